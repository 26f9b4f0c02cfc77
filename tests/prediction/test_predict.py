"""Predictions for images: against a plain loop, and through the program."""

import json
import os
import re
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet.config import Accelerator, PredictConfig, ValCrops
from alexnet.data.augmentation import Crops
from alexnet.errors import UserError
from alexnet.models.alexnet import AlexNet
from alexnet.prediction import Prediction, find_images, predict, print_predictions
from alexnet.runs.trained_model import TrainedModel, load_trained_model, probabilities
from alexnet.training import fit
from conftest import SMALL, Train, model_config, request_of, save_image

CLASSES = tuple("abcdef")


def test_images_in_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    names = ["one/a.jpg", "one/b.PNG", "two/deep/c.jpeg", "two/[d].jpg"]
    files = [tmp_path / name for name in names]
    for file in files:
        save_image(file, rng)
    (tmp_path / "one/notes.md").write_text("no image")
    (tmp_path / "list.txt").write_text("one/b.PNG\n\ntwo\n")
    monkeypatch.chdir(tmp_path)
    a, b, c, d = files
    assert find_images("one") == [a, b]
    assert find_images("two/deep/c.jpeg") == [c]
    assert find_images("two/[d].jpg") == [d]  # a file, although its name could be a pattern
    assert find_images("**/*.jp*g") == [a, d, c]
    assert find_images(["two", "one/a.jpg", "one"]) == [d, c, a, b]
    assert find_images("list.txt") == [b, d, c]
    (tmp_path / "itself.txt").write_text("itself.txt\n")
    assert find_images("itself.txt") == [
        tmp_path / "itself.txt"
    ]  # not an image, as is reported later; no endless loop
    for images, message in (
        ("three", "there is no such file"),
        ("*.gif", "no images there"),
        ([], "no images"),
    ):
        with pytest.raises(UserError, match=message):
            find_images(images)


@pytest.mark.parametrize("crops", list(ValCrops))
def test_probabilities_equal_a_plain_loop(crops: ValCrops, monkeypatch: pytest.MonkeyPatch) -> None:
    """One image and one crop at a time, in numpy and float64."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    network = AlexNet(model_config("model.width=0.0625", "model.fc_units=[32,32]"), len(CLASSES))
    network.double().eval()
    images = rng.integers(0, 256, (3, 3, 256, 256), dtype=np.uint8)
    mean = rng.uniform(100, 150, (3, 227, 227)).astype(np.float32)
    trained = TrainedModel(
        Path("x.ckpt"), network, Crops(torch.from_numpy(mean), 29), 256, CLASSES, CLASSES, {}
    )
    corners = [(14, 14)] if crops is ValCrops.center else [(0, 0), (0, 29), (29, 0), (29, 29), (14, 14)]
    expected = []
    for image in images:
        of_crops = []
        for top, left in corners:
            crop = image[:, top : top + 227, left : left + 227].astype(np.float64)
            for flipped in [crop] if crops is ValCrops.center else [crop, crop[:, :, ::-1]]:
                with torch.no_grad():
                    logits = network(torch.from_numpy(flipped - mean)[None]).numpy()[0]
                of_crops.append(np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum())
        expected.append(np.mean(of_crops, axis=0))
    for name in ("center", "ten"):
        monkeypatch.setattr(trained.crops, name, partial(getattr(trained.crops, name), dtype=torch.float64))
    predicted = probabilities(trained, torch.from_numpy(images), crops, torch.device("cpu"))
    np.testing.assert_allclose(predicted.numpy(), np.array(expected), rtol=1e-6)


def test_the_error_equals_the_run_s(train: Train, synthetic: tuple[str, ...], tmp_path: Path) -> None:
    """On its validation images, to which a grey image and a broken one are added."""
    trained = train(*SMALL, *synthetic, "trainer.precision=32-true", "logger=csv")
    assert trained.status == 0, trained.err
    (val,) = Path(synthetic[0].partition("=")[2]).glob("**/val")
    shutil.copytree(val, tmp_path / "photos")
    grey, broken = tmp_path / "photos/grey.png", tmp_path / "photos/broken.jpg"
    Image.linear_gradient("L").resize((300, 90)).save(grey)
    broken.write_bytes(b"\xff\xd8 no more")
    out, sheet = tmp_path / "predictions.json", tmp_path / "new/sheet.png"
    done = train(
        *(f"run={trained.folder}", f"images={tmp_path / 'photos'}", "top=3"),
        *(f"output={out}", f"sheet={sheet}"),
        program="predict.py",
    )
    assert done.status == 0, done.err
    content: dict[str, Any] = json.loads(out.read_text())
    assert [entry["file"] for entry in content["unreadable"]] == [str(broken)]
    assert f"Left out  {broken}: " in done.out
    wrong = [
        image["predictions"][0]["class"] != Path(image["file"]).parent.name
        for image in content["images"]
        if image["file"] != str(grey)
    ]
    best = trained.result["best"]["top1_error"]
    assert len(wrong) == 31
    assert 100 * np.mean(wrong) == pytest.approx(best, abs=1e-3)
    for image in content["images"]:
        top_probabilities = [entry["probability"] for entry in image["predictions"]]
        assert len(top_probabilities) == 3
        assert top_probabilities == sorted(top_probabilities, reverse=True)
    assert done.out.count("%") == 3 * len(content["images"])
    with Image.open(sheet) as picture:
        assert min(picture.size) > 500


def test_brackets_in_names_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    crops = Crops(torch.zeros(3, 8, 8), 0)
    names = ("[red]x", "[/] y")
    trained = TrainedModel(Path("x.ckpt"), torch.nn.Identity(), crops, 8, names, names, {})
    print_predictions([Prediction(Path("[bold]z.jpg"), [0, 1], [0.75, 0.25])], trained)
    out = capsys.readouterr().out
    assert all(name in out for name in ("[bold]z.jpg", *names))


def test_mistakes(tmp_path: Path, synthetic: tuple[str, ...]) -> None:
    run = tmp_path / "run"
    fit.train(request_of(run, *SMALL, *synthetic, "trainer.max_epochs=1", "logger=csv"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.jpg").write_bytes(b"")
    (tmp_path / "weights.ckpt").write_bytes((run / "checkpoints/best.ckpt").read_bytes()[:-1000])
    rest = (ValCrops.center, 5, None, None, 32, Accelerator.cpu)
    for model, images, message in (
        ((None, None), "x.jpg", "either run=<run folder> or checkpoint=<file>"),
        ((str(run), "x.ckpt"), "x.jpg", "either run=<run folder> or checkpoint=<file>"),
        (("/nowhere", None), tmp_path / "broken.jpg", "is not a run folder"),
        ((None, "/nowhere.ckpt"), tmp_path / "broken.jpg", "there is no such checkpoint"),
        ((None, str(tmp_path / "weights.ckpt")), tmp_path / "broken.jpg", "is damaged"),
        ((str(run), None), tmp_path / "empty", "no images there"),
        ((str(run), None), tmp_path / "broken.jpg", "None of the 1 images can be read"),
    ):
        with pytest.raises(UserError, match=message):
            predict(PredictConfig(*model, str(images), *rest))
    for file in (run / "checkpoints").iterdir():
        file.unlink()
    with pytest.raises(UserError, match="has no checkpoint"):
        load_trained_model(str(run), None)


def test_a_mistake_is_one_line(train: Train) -> None:
    done = train("run=x", "images=x", "corps=ten", program="predict.py")
    assert (done.status, done.out) == (1, "")
    assert re.fullmatch(r"Error: corps: there is no such key. Did you mean crops\?.*\n", done.err)


def test_hidden_files_and_pipes_are_not_images(tmp_path: Path) -> None:
    for name in ("a.jpg", ".b.jpg", "__MACOSX/c.jpg", ".trash/d.jpg", "deep/e.JPG"):
        save_image(tmp_path / name, np.random.default_rng(0))
    os.mkfifo(tmp_path / "f.jpg")
    (tmp_path / "g.jpg").symlink_to("/nowhere")
    assert [path.name for path in find_images(str(tmp_path))] == ["a.jpg", "e.JPG", "g.jpg"]


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    for name in ("images/a.jpg", "elsewhere/b.jpg"):
        save_image(tmp_path / name, np.random.default_rng(0))
    images = tmp_path / "images"
    (images / "linked").symlink_to(tmp_path / "elsewhere")
    (images / "circle").symlink_to(images)
    assert find_images(str(images)) == [images / "a.jpg", images / "linked/b.jpg"]
