"""Pictures, lists and published errors of a fabricated evaluation on a thousand classes."""

import csv
import json
import tracemalloc
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alexnet.config import DataConfig, ValCrops
from alexnet.data.augmentation import Crops
from alexnet.data.dataset import ImageDataset
from alexnet.data.imagenet_classes import class_names
from alexnet.data.val_data import ValData
from alexnet.evaluation import figures
from alexnet.evaluation.models import EvaluatedModel
from alexnet.evaluation.predictions import score
from alexnet.evaluation.report import write_report
from alexnet.evaluation.results import Evaluation
from alexnet.evaluation.terminal import print_evaluation
from alexnet.runs.trained_model import TrainedModel
from pictures import watch


class _Grey(ImageDataset):
    def path(self, index: int) -> str:
        return f"val/{index}.jpg"

    def _read(self, index: int, out: NDArray[np.uint8]) -> None:
        out[...] = index % 256


def fabricated(classes: int, *, perfect: bool = False) -> Evaluation:
    """Return an evaluation of 5 images of each class; the second class is predicted as the third."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(classes), 5)
    scores = rng.normal(0, 1, (len(labels), classes))
    scores[np.arange(len(labels)), labels] += 30 if perfect else 4
    if not perfect:
        scores[5:10, 2] += 20
    probabilities = (np.exp(scores) / np.exp(scores).sum(1, keepdims=True)).astype(np.float32)
    wnids = tuple(list(class_names())[:classes])
    names = tuple(list(class_names().values())[:classes])
    data = ValData(wnids, _Grey(labels), {}, 0, 6 * len(labels), "f", "files in /somewhere")
    config = DataConfig(name="imagenet", source="imagenet", max_unreadable=0)
    trained = TrainedModel(
        Path("best.ckpt"), torch.nn.Identity(), Crops(torch.zeros(3, 8, 8), 0), 8, wnids, names
    )
    predictions = {kind: score(probabilities, labels) for kind in ValCrops}
    return Evaluation(
        [EvaluatedModel("a", trained, config)], [predictions], None, data, np.arange(len(labels)), {}
    )


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures that are saved."""
    drawn: list[Figure] = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, path: drawn.append(figure))
    return drawn


def test_a_thousand_classes_have_no_labels_but_a_list(drawn: list[Figure], tmp_path: Path) -> None:
    evaluation = fabricated(1000)
    figures.draw_confusion(evaluation, tmp_path / "x.png")
    matrix, listed, _ = drawn[0].axes
    cells = matrix.images[0].get_array()
    counts = np.zeros((1000, 1000))
    for label, predicted in zip(evaluation.predictions.labels, evaluation.predictions.top[:, 0], strict=True):
        counts[label, predicted] += 1 / 5
    assert cells.shape == (200, 200)
    expected = counts.reshape(200, 5, 200, 5).max((1, 3))
    np.testing.assert_allclose(cells, expected)
    assert expected[0, 0] == 1
    assert not matrix.get_xticks().size
    assert not matrix.texts
    assert listed.texts[0].get_text() == "5/5"
    assert listed.texts[1].get_text().startswith("goldfish → great white shark")
    assert len(listed.texts) == 2 * figures.PAIRS
    figures.draw_per_class(evaluation, tmp_path / "x.png")
    (bars,) = drawn[1].axes
    errors = [patch.get_width() for patch in bars.patches]
    assert len(errors) == figures.BARS
    assert errors == sorted(errors)
    assert errors[-1] == 100
    assert [text.get_text() for text in bars.texts] == ["960 classes between"]


def test_ten_classes_have_their_names(drawn: list[Figure], tmp_path: Path) -> None:
    evaluation = fabricated(10)
    figures.draw_confusion(evaluation, tmp_path / "x.png")
    (matrix,) = drawn[0].axes
    assert [label.get_text() for label in matrix.get_yticklabels()][:2] == ["tench", "goldfish"]
    shown = {text.get_position(): text.get_text() for text in matrix.texts}
    assert shown[2, 1] == "100"
    assert (1, 1) not in shown
    figures.draw_per_class(evaluation, tmp_path / "x.png")
    (bars,) = drawn[1].axes
    assert len(bars.patches) == 10
    worst = bars.get_yticklabels()[-1].get_text()
    assert worst == "goldfish"
    ((_, _, (segments,)),) = [line.lines for line in bars.containers if hasattr(line, "lines")]
    low, high = segments.get_segments()[-1][:, 0]
    assert (low, high) == pytest.approx((56.55, 100), abs=0.01)  # Wilson's interval of 5 in 5


@pytest.mark.parametrize("classes", [10, 1000])
def test_they_can_be_read(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = watch(monkeypatch, figures)
    evaluation = fabricated(classes)
    figures.draw_confusion(evaluation, Path("confusion.png"))
    figures.draw_per_class(evaluation, Path("per_class.png"))
    assert found == {"confusion": [], "per_class": []}


def test_every_file_of_a_thousand_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluation = fabricated(1000)
    write_report(evaluation, tmp_path, batch_size=1)
    content = json.loads((tmp_path / "evaluation.json").read_text())
    assert sum(sum(row.values()) for row in content["confusion"]["ten"].values()) == 5000
    assert content["notes"][0].startswith("5,000 of ImageNet's 50,000 images")
    assert not any(row["comparable"] for row in content["published"]["ten"])  # a tenth of the images
    whole = replace(evaluation, indices=np.arange(49_990))
    assert {row.split for row, comparable in whole.published(ValCrops.ten) if comparable} == {
        "ILSVRC-2012 val"
    }
    print_evaluation(evaluation)
    printed = capsys.readouterr().out
    assert printed.count("measured here") == 2
    assert "goldfish predicted as great white shark: 5 of 5" in printed
    for name in ("confusion", "per_class", "worst"):
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000


def test_ten_thousand_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs that do not occur take neither time nor memory nor disk: there are a hundred million."""
    classes, images = 10_000, 200
    rng = np.random.default_rng(0)
    probabilities = rng.random((images, classes), np.float32)
    predictions = score(probabilities, rng.integers(0, classes, images))
    names = tuple(f"c{number:04d}" for number in range(classes))
    data = ValData(names, _Grey(predictions.labels), {}, 0, images, "f", "files in /somewhere")
    config = DataConfig(name="imagenet", source="folder", max_unreadable=0)
    trained = TrainedModel(
        Path("best.ckpt"), torch.nn.Identity(), Crops(torch.zeros(3, 8, 8), 0), 8, names, names
    )
    member = EvaluatedModel("a", trained, config)
    evaluation = Evaluation([member], [{ValCrops.center: predictions}], None, data, np.arange(images), {})
    monkeypatch.setattr("alexnet.evaluation.report.FIGURES", {"confusion": figures.draw_confusion})
    tracemalloc.start()
    write_report(evaluation, tmp_path, batch_size=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300e6  # the matrix alone would take 800 MB
    assert (tmp_path / "confusion.csv").stat().st_size < 20_000
    with (tmp_path / "confusion.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = Counter(zip(predictions.labels.tolist(), probabilities.argmax(1).tolist(), strict=True))
    written = {(int(row["class"][1:]), int(row["predicted"][1:])): int(row["images"]) for row in rows}
    assert written == dict(expected)


def test_without_a_mistake_there_is_no_sheet(tmp_path: Path) -> None:
    (tmp_path / "worst.png").write_bytes(b"of an earlier evaluation")
    evaluation = fabricated(10, perfect=True)
    write_report(evaluation, tmp_path, batch_size=1)
    assert not (tmp_path / "worst.png").exists()
    assert (tmp_path / "confusion.png").exists()
    assert not evaluation.is_imagenet  # ten of its classes are another task
    assert "published" not in json.loads((tmp_path / "evaluation.json").read_text())


def test_names_that_several_classes_have() -> None:
    """Two cranes are a bird and a machine."""
    evaluation = fabricated(1000)
    assert len(set(evaluation.short_names)) == len(set(evaluation.class_names))
    assert "tench" in evaluation.short_names
    assert "crane" not in [name for name in evaluation.short_names if name != "crane"]
