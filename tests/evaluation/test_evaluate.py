"""Evaluations of two tiny runs: against plain loops, through the program, and mistakes."""

import csv
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from numpy.typing import NDArray
from PIL import Image

from alexnet.config import Accelerator, EvaluateConfig, PrepareConfig, ValCrops
from alexnet.config.composition import register
from alexnet.config.reading import read_config
from alexnet.data.folders import list_folders
from alexnet.data.image import decode_image
from alexnet.data.image_list import fingerprint
from alexnet.data.pack_writer import make_pack
from alexnet.data.val_data import load_val_data
from alexnet.data.walk import Walk
from alexnet.errors import UserError
from alexnet.evaluation.evaluate import evaluate, evaluate_models
from alexnet.evaluation.models import load_data, load_models
from alexnet.runs.trained_model import load_trained_model
from alexnet.training import fit
from conftest import PROJECT, SMALL, Train, compose_config, request_of
from wandb_file import read_wandb_file

register("evaluate", EvaluateConfig)


def evaluate_config(*overrides: str) -> EvaluateConfig:
    """conf/evaluate.yaml with overrides, as evaluate.py reads it."""
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        return read_config(
            compose("evaluate", ["accelerator=cpu", "wandb=false", *overrides]), EvaluateConfig
        )


class Runs(NamedTuple):
    """Two runs on the same images, with different crop sizes and means; the first has a W&B run."""

    first: Path
    second: Path
    images: Path


@pytest.fixture(scope="module")
def runs(synthetic: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("evaluated")
    shared = (
        *(*SMALL, *synthetic, "trainer.max_epochs=1", "model.fc_units=[32,32]", "trainer.precision=32-true"),
        *("performance=plain", f"data.cache={folder / 'cache'}"),
    )
    size = ("model.image_size=195", "model.canvas_size=195", "data.mean=channel", "seed=1")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL"):
            patch.delenv(name, raising=False)
        fit.train(request_of(folder / "first", *shared, "logger.mode=offline"))
    fit.train(request_of(folder / "second", *shared, *size, "logger=csv"))
    return Runs(folder / "first", folder / "second", Path(synthetic[0].partition("=")[2]))


def plain_probabilities(run: Path, files: list[Path]) -> dict[str, NDArray[np.float64]]:
    """Compute the class probabilities of each image, one crop at a time, in float64."""
    trained = load_trained_model(str(run), None)
    network, mean = trained.network.double(), trained.crops.mean.double().numpy()
    size, probabilities = trained.crops.size, {"center": [], "ten": []}
    end = 256 - size
    for file in files:
        image = decode_image(file.read_bytes(), 256).astype(np.float64)
        of_crops = []
        for top, left in ((end // 2, end // 2), (0, 0), (0, end), (end, 0), (end, end)):
            crop = image[:, top : top + size, left : left + size]
            for view in (crop, crop[:, :, ::-1]):
                with torch.no_grad():
                    logits = network(torch.from_numpy(view - mean)[None]).numpy()[0]
                of_crops.append(np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum())
        probabilities["center"].append(of_crops[0])
        probabilities["ten"].append(np.mean(of_crops, axis=0))
    return {kind: np.array(rows) for kind, rows in probabilities.items()}


def plain_metrics(probabilities: NDArray[np.float64], labels: list[int]) -> dict[str, Any]:
    wrong1 = wrong5 = loss = 0.0
    for row, label in zip(probabilities, labels, strict=True):
        order = sorted(range(len(row)), key=lambda number: -row[number])
        wrong1 += order[0] != label
        wrong5 += label not in order[:5]
        loss -= np.log(row[label])
    count = len(labels)
    return {
        "top1_error": 100 * wrong1 / count,
        "top1_standard_error": 100 * (wrong1 / count * (1 - wrong1 / count) / count) ** 0.5,
        "top5_error": 100 * wrong5 / count,
        "top5_standard_error": 100 * (wrong5 / count * (1 - wrong5 / count) / count) ** 0.5,
        "loss": loss / count,
        "samples": count,
    }


def test_an_ensemble_equals_plain_loops(runs: Runs, tmp_path: Path) -> None:
    """Members of different sizes and means, both kinds of crops, every file that is written."""
    out = tmp_path / "out"
    evaluate(evaluate_config(f"run=[{runs.first},{runs.second}]", f"out={out}", "batch_size=7"))
    content = json.loads((out / "evaluation.json").read_text())
    files = sorted(next(runs.images.glob("**/val")).rglob("*.*"))
    classes = sorted({file.parent.name for file in files})
    labels = [classes.index(file.parent.name) for file in files]
    members = [plain_probabilities(run, files) for run in (runs.first, runs.second)]
    both = {kind: (members[0][kind] + members[1][kind]) / 2 for kind in ("center", "ten")}
    expected = [(content["figures"], both)]
    expected += [(member["figures"], of) for member, of in zip(content["members"], members, strict=True)]
    for metrics, probabilities in expected:
        for kind in ("center", "ten"):
            assert metrics[kind] == pytest.approx(plain_metrics(probabilities[kind], labels), rel=1e-4)

    predicted = [int(row.argmax()) for row in both["ten"]]
    for label, row in enumerate(content["classes"]):
        of_class = [index for index, other in enumerate(labels) if other == label]
        wrong = sum(predicted[index] != label for index in of_class)
        assert (row["class"], row["images"]) == (classes[label], len(of_class))
        assert row["ten"]["top1_error"] == pytest.approx(100 * wrong / len(of_class))
        for other, name in enumerate(classes):
            count = sum(predicted[index] == other for index in of_class)
            assert content["confusion"]["ten"][classes[label]].get(name, 0) == count
    with (out / "confusion.csv").open(newline="") as file:
        pairs = {(row["class"], row["predicted"]): int(row["images"]) for row in csv.DictReader(file)}
    assert pairs == Counter(
        (classes[label], classes[of]) for label, of in zip(labels, predicted, strict=True)
    )
    with (out / "per_class.csv").open(newline="") as file:
        for row, errors in zip(csv.DictReader(file), content["classes"], strict=True):
            assert float(row["ten_top5_error"]) == pytest.approx(errors["ten"]["top5_error"], rel=1e-4)
    with (out / "predictions.csv").open(newline="") as file:
        rows = {(Path(row["file"]).name, row["class"], row["crops"]): row for row in csv.DictReader(file)}
    assert len(rows) == 2 * len(files)
    for index, path in enumerate(files):
        row, expected = rows[path.name, path.parent.name, "ten"], np.sort(both["ten"][index])[::-1]
        assert row["class_1"] == classes[predicted[index]]
        written = [float(row[f"probability_{rank}"]) for rank in range(1, 6)]
        np.testing.assert_allclose(written, expected[:5], rtol=1e-3)
    assert {path.name for path in out.glob("*.png")} == {"confusion.png", "per_class.png", "worst.png"}
    for picture in out.glob("*.png"):
        with Image.open(picture) as image:
            assert min(image.size) > 200


def test_bfloat16_is_that_of_training(runs: Runs, tmp_path: Path) -> None:
    """Layer by layer: the network under autocast, as Lightning's bf16-mixed runs it."""
    evaluate(evaluate_config(f"run={runs.first}", f"out={tmp_path / 'out'}", "precision=bf16-mixed"))
    evaluate(evaluate_config(f"run={runs.first}", f"out={tmp_path / 'float32'}"))
    trained = load_trained_model(str(runs.first), None)
    files = sorted(next(runs.images.glob("**/val")).rglob("*.*"))
    images = torch.stack([torch.from_numpy(decode_image(file.read_bytes(), 256)) for file in files])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        logits = trained.network(trained.crops.center(images)).double().numpy()
    probabilities = np.exp(logits - logits.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    written, others = (
        {
            Path(row["file"]).name: float(row["probability_1"])
            for row in csv.DictReader((tmp_path / name / "predictions.csv").read_text().splitlines())
            if row["crops"] == "center"
        }
        for name in ("out", "float32")
    )
    errors = [
        max(abs(of[file.name] / row.max() - 1) for file, row in zip(files, probabilities, strict=True))
        for of in (written, others)
    ]
    assert errors[0] < 2e-5 < 1e-4 < errors[1]


@pytest.mark.parametrize(
    ("typed", "of_training", "native", "expected"),
    [
        ("auto", "auto", True, "bf16-mixed"),
        ("auto", "bf16-mixed", True, "bf16-mixed"),
        ("auto", "auto", False, "32-true"),
        ("auto", "32-true", True, "32-true"),
        ("32-true", "auto", True, "32-true"),
        ("bf16-mixed", "32-true", False, "bf16-mixed"),
    ],
)
def test_the_precision_is_that_of_training(
    runs: Runs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    typed: str,
    of_training: str,
    native: bool,
    expected: str,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": native}, raising=False)
    file = tmp_path / "a.ckpt"
    content = torch.load(runs.first / "checkpoints/best.ckpt", weights_only=True)
    content["config"]["trainer"]["precision"] = of_training
    torch.save(content, file)
    (member,) = load_models(evaluate_config(f"checkpoint={file}", f"precision={typed}"))
    assert member.precision == expected


def test_a_run_through_the_program(train: Train, runs: Runs) -> None:
    """Metrics of the centre crop equal those of the run; they go to its folder and to its W&B run."""
    before = set(runs.first.glob("wandb/offline-run-*"))
    done = train(f"run={runs.first}", "crops=[center]", program="evaluate.py")
    assert done.status == 0, done.err
    content = json.loads((runs.first / "evaluation/evaluation.json").read_text())
    expected = json.loads((runs.first / "result.json").read_text())["val"]
    assert content["figures"]["center"]["top1_error"] == pytest.approx(expected["top1_error"], abs=1e-3)
    assert content["figures"]["center"]["top5_error"] == pytest.approx(expected["top5_error"], abs=1e-3)
    assert content["figures"]["center"]["loss"] == pytest.approx(expected["loss"], rel=1e-4)
    assert "ten" not in content["figures"]
    assert re.search(r"first +centre +\d+\.\d\d ± ", done.out)
    assert done.out.count("predicted as") == 3
    (part,) = set(runs.first.glob("wandb/offline-run-*")) - before
    (file,) = part.glob("run-*.wandb")
    assert file.name in {other.name for earlier in before for other in earlier.glob("run-*.wandb")}
    recorded = read_wandb_file(file)
    for key in ("top1_error", "top5_error", "loss", "samples"):
        assert recorded.summary[f"eval/center/{key}"] == pytest.approx(content["figures"]["center"][key])
    logged = {key.split(".")[0] for row in recorded.history for key in row}
    assert logged >= {"eval/confusion", "eval/per_class", "eval/worst"}
    assert recorded.exit_code == 0


def test_a_checkpoint_by_itself_and_other_images(runs: Runs, tmp_path: Path) -> None:
    """Its images come from its own configuration, from data_root, or from data=."""
    file = tmp_path / "alone.ckpt"
    shutil.copy(runs.second / "checkpoints/best.ckpt", file)
    copy = tmp_path / "moved"
    shutil.copytree(runs.images, copy)
    cheap = ("crops=[center]", f"outputs={tmp_path}")
    own = evaluate(evaluate_config(f"checkpoint={file}", *cheap))
    wrong = np.flatnonzero(own.predictions.wrong)
    broken = next(copy.glob("**/val")) / Path(own.data.images.path(int(wrong[0]))).relative_to("val")
    broken.write_bytes(b"\xff\xd8 no more")
    given = ("data=folder", f"data.root={broken.parents[2]}", "data.max_unreadable=0.1")
    other = evaluate(
        evaluate_config(f"checkpoint={file}", *cheap, *given, f"data.cache={tmp_path / 'cache'}")
    )
    assert other.predictions.wrong.sum() == len(wrong) - 1
    assert other.predictions.metrics.samples == own.predictions.metrics.samples - 1
    assert [Path(path).name for path in other.unreadable] == [broken.name]
    first, second = sorted((tmp_path / "evaluations").iterdir(), key=lambda folder: folder.stat().st_mtime)
    content = json.loads((second / "evaluation.json").read_text())
    assert content["unreadable"][0]["file"].endswith(broken.name)
    assert json.loads((first / "evaluation.json").read_text())["unreadable"] == []
    moved = load_models(evaluate_config(f"checkpoint={file}", f"data_root={copy}"))
    assert (moved[0].data.root, moved[0].data.pack) == (str(copy), None)


def test_an_image_that_stops_decoding(runs: Runs, tmp_path: Path) -> None:
    """It is left out and named for every member; too many of them are an error."""
    copy = tmp_path / "copy"
    shutil.copytree(runs.images, copy)
    members = load_models(evaluate_config(f"run=[{runs.first},{runs.second}]"))
    members = [
        replace(member, data=replace(member.data, root=str(copy), cache=str(tmp_path), max_unreadable=0.05))
        for member in members
    ]
    data = load_data(members)
    assert data[0] is data[1]  # read once
    lost = data[0].images.path(3)
    next(copy.glob(f"**/{lost}")).write_bytes(b"")
    rest = {"batch_size": 31, "accelerator": Accelerator.cpu}
    evaluation = evaluate_models(members, data, [ValCrops.center], **rest)
    assert evaluation.unreadable == {lost: "empty file"}
    assert evaluation.ensemble is not None
    assert 3 not in evaluation.indices
    assert {of[ValCrops.center].metrics.samples for _, of in evaluation.all_results} == {30}
    strict = [replace(member, data=replace(member.data, max_unreadable=0.001)) for member in members]
    with pytest.raises(UserError, match="cannot be read, more than"):
        evaluate_models(strict, data, [ValCrops.center], **rest)


def _lacking(run: Path, folder: Path, *names: str) -> Path:
    shutil.copytree(run, folder)
    for name in names:
        for file in folder.glob(name):
            file.unlink()
    return folder


def _rewritten(run: Path, folder: Path, change: Callable[[str], str]) -> Path:
    shutil.copytree(run, folder)
    config = folder / "config.yaml"
    config.write_text(change(config.read_text()))
    return folder


def test_mistakes(runs: Runs, image_tree: Path, tmp_path: Path) -> None:
    bare = _lacking(runs.first, tmp_path / "bare", "checkpoints/*")
    gone = _rewritten(
        runs.first, tmp_path / "gone", lambda text: text.replace(str(runs.images), "/nowhere/images")
    )
    fewer = tmp_path / "fewer"
    shutil.copytree(runs.images, fewer)
    next(iter(fewer.glob("**/val/*/*.*"))).unlink()
    second = _rewritten(
        runs.second, tmp_path / "second", lambda text: text.replace(str(runs.images), str(fewer))
    )
    for overrides, message in (
        ([], "Specify what to evaluate: run=<run folder> or checkpoint=<file>"),
        (["run=x", "checkpoint=y"], "Specify what to evaluate: run=<run folder> or checkpoint=<file>"),
        (["run=[]"], "run=[]: expected at least one path"),
        (["run={a:1}"], "expected a path, or a list"),
        (["run=x", "crops=[]"], "crops=[]: expected"),
        (["run=x", "batch_size=0"], "batch_size=0: expected"),
        (["run=x", "precision=bf16"], "precision=bf16: expected one of auto, 32-true, bf16-mixed"),
        (["run=x", "data=folder", "data.root=y", "data_root=z"], "data_root=z: with data=..."),
        (["run=/nowhere"], "/nowhere is not a run folder"),
        (["checkpoint=/nowhere.ckpt"], "there is no such checkpoint"),
        ([f"run={bare}"], "has no checkpoint"),
        (
            [f"run={gone}"],
            "gone: its images are no longer at /nowhere/images. Give their new location: data_root=",
        ),
        ([f"run={runs.first}", "data_root=/nowhere"], "data_root=/nowhere: there is no such folder."),
        ([f"run=[{runs.first},{runs.first}]"], "is given twice"),
        (
            [f"run={runs.first}", "data=folder", f"data.root={image_tree}"],
            "Not the same classes: 2 classes in",
        ),
        ([f"run=[{runs.first},{second}]"], "The networks have different validation images: "),
        ([f"run={runs.first}", f"out={runs.first}/config.yaml"], "Cannot write to"),
    ):
        with pytest.raises(UserError, match=re.escape(message)) as raised:
            evaluate(evaluate_config(*overrides))
        assert "\n" not in str(raised.value)
    other = tmp_path / "two.ckpt"
    content = torch.load(runs.first / "checkpoints/best.ckpt", weights_only=True)
    content["ImageDataModule"]["classes"] = [f"z{name}" for name in content["ImageDataModule"]["classes"]]
    torch.save(content, other)
    with pytest.raises(UserError, match=r"Not the same classes: 10 classes in .*, 10 in .*; '.*' is only in"):
        load_models(evaluate_config(f"checkpoint=[{runs.second}/checkpoints/best.ckpt,{other}]"))


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("crops=[tne]", "crops.*"),
        ("data=foldr", "data=foldr: there is no such choice. Did you mean folder.*"),
        ("data.root=y", "data.root: no data is chosen. Add data=<choice>."),
    ],
)
def test_a_mistake_is_one_line(train: Train, typed: str, message: str) -> None:
    done = train("run=x", typed, program="evaluate.py")
    assert (done.status, done.out) == (1, "")
    assert re.fullmatch(rf"Error: {message}\n", done.err)


def test_val_data_from_files_and_from_a_pack(image_tree: Path, tmp_path: Path) -> None:
    """The same images, and the same file set aside; a pack of another size is refused."""
    (image_tree / "val/cat/broken.jpg").write_bytes(b"\xff\xd8")
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        typed = ["data=folder", f"data.root={image_tree}", f"data.cache={tmp_path / 'cache'}"]
        raw = compose("prepare", [*typed, "data.resize_size=32", "data.max_unreadable=0.2"])
    config = read_config(raw, PrepareConfig)
    files = load_val_data(config.data)
    make_pack(config)
    packed = load_val_data(config.data)
    assert packed.origin.startswith("raw pack ")
    assert (packed.fingerprint, packed.classes, packed.listed) == (files.fingerprint, ("cat", "dog"), 19)
    assert list(packed.excluded) == list(files.excluded) == ["val/cat/broken.jpg"]
    assert packed.excluded == files.excluded
    from_files, from_pack = (np.empty((3, 32, 32), np.uint8) for _ in range(2))
    assert files.images.read(4, from_files) == packed.images.read(4, from_pack) == 1
    np.testing.assert_array_equal(from_files, from_pack)
    (image_tree / "val/dog/dog0.jpg").rename(image_tree / "val/dog/other.jpg")
    moved = replace(config.data, cache=str(tmp_path / "new"))
    assert load_val_data(moved).fingerprint != files.fingerprint
    (pack,) = (path for path in (tmp_path / "cache/packs").glob("folder-*") if path.is_dir())
    with pytest.raises(UserError, match="a pack of images of 32 pixels, not 64"):
        load_val_data(replace(config.data, pack=str(pack), resize_size=64))


def test_a_folder_that_is_given_is_measured_whole(runs: Runs, tmp_path: Path) -> None:
    """Class folders without splits, a folder of validation images alone, and one split as usual."""
    (root,) = (path for path in runs.images.iterdir() if path.is_dir())
    flat, lone = tmp_path / "flat", tmp_path / "lone"
    for split in ("train", "val"):
        shutil.copytree(root / split, flat, dirs_exist_ok=True)
    shutil.copytree(root / "val", lone / "Testing")
    count, val_count = (sum(path.is_file() for path in folder.rglob("*")) for folder in (flat, lone))
    assert (count, val_count) == (92, 31)
    for where, expected in ((flat, 92), (lone, 31), (root, 31)):
        for given in (("data=folder", f"data.root={where}"), (f"data_root={where}",)):
            (data,) = load_data(load_models(evaluate_config(f"run={runs.first}", *given)))
            assert len(data.images) == expected, (where, given)
    assert sorted(path.name for path in flat.iterdir()) == list(data.classes)  # nothing was made in it


def test_the_runs_own_images_that_have_moved(runs: Runs, tmp_path: Path) -> None:
    """Those on which it was not trained are measured, as before; of other images all."""
    (root,) = (path for path in runs.images.iterdir() if path.is_dir())
    flat = tmp_path / "flat"
    shutil.copytree(root / "train", flat)
    run = tmp_path / "run"
    shutil.copytree(runs.first, run)
    config = (run / "config.yaml").read_text().replace("source: synthetic", "source: folder")
    config = re.sub(r"  synthetic:\n(    .*\n)+", "", config)
    (run / "config.yaml").write_text(config)
    environment = json.loads((run / "environment.json").read_text())
    environment["data_fingerprint"] = fingerprint(*list_folders(Walk(flat), 0.1))
    (run / "environment.json").write_text(json.dumps(environment))
    held_out = len(list_folders(Walk(flat), 0.1)[1])
    typed = (f"run={run}", f"data_root={flat}", f"cache={tmp_path / 'cache'}")
    assert len(load_data(load_models(evaluate_config(*typed)))[0].images) == held_out < 61
    next(flat.rglob("*.JPEG")).unlink()
    assert len(load_data(load_models(evaluate_config(*typed)))[0].images) == 60


@pytest.mark.parametrize("others", [False, True])
def test_results_on_other_images_stay_out_of_the_run(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str], others: bool
) -> None:
    """What a run reached on its own images, moved elsewhere, stands in its folder, and nothing else."""
    (root,) = (path for path in runs.images.iterdir() if path.is_dir())
    moved, run = tmp_path / "moved", tmp_path / "run"
    shutil.copytree(root / "val", moved)
    shutil.copytree(runs.first, run, ignore=shutil.ignore_patterns("evaluation"))
    if others:
        next(moved.rglob("*.JPEG")).rename(next(moved.iterdir()) / "another.JPEG")
    typed = (f"run={run}", f"data_root={moved}", "crops=[center]", f"outputs={tmp_path / 'outputs'}")
    evaluate(evaluate_config(*typed, f"cache={tmp_path / 'cache'}"))
    assert (run / "evaluation/evaluation.json").is_file() != others
    assert len(list(tmp_path.glob("outputs/evaluations/*/evaluation.json"))) == others
    out = " ".join(capsys.readouterr().out.split())
    assert (": not those on which the run was validated" in out) == others
    typed = (f"checkpoint={run / 'checkpoints/last.ckpt'}", *typed[1:])
    evaluate(evaluate_config(*typed, f"cache={tmp_path / 'cache'}"))
    assert "not those" not in capsys.readouterr().out  # nothing is known of a checkpoint by itself


def test_classes_in_another_form_and_order(image_tree: Path, tmp_path: Path) -> None:
    """As when the images were copied to a Mac: the labels are the network's."""
    for name, new in (("cat", "cafe\u0301"), ("dog", "Cafz")):
        (image_tree / "val" / name).rename(image_tree / "val" / new)
    config = compose_config("data=folder", f"data.root={image_tree / 'val'}", f"data.cache={tmp_path}").data
    data = load_val_data(config, whole=True)
    assert data.classes == ("Cafz", "cafe\u0301")
    ours = data.with_classes(("cafz", "caf\u00e9"))
    names = [ours.images.path(row).rpartition("/")[2][:3] for row in range(len(ours.images))]
    assert [("dog", "cat")[label] for label in ours.images.labels.tolist()] == names
    turned = data.with_classes(("caf\u00e9", "cafz"))
    assert [("cat", "dog")[label] for label in turned.images.labels.tolist()] == names
    assert data.with_classes(("caf\u00e9", "other")) is data
