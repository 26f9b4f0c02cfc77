"""`python src/inspect_run.py` as a user runs it, and its mistakes."""

import csv
import io
import json
import re
import shutil
from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet.config import Accelerator, InspectConfig
from alexnet.data.dataset import ImageDataset
from alexnet.data.image import UNREADABLE
from alexnet.errors import UserError
from alexnet.inspection.inspect import InspectedModel, inspect_run, load_inspected_model
from alexnet.inspection.neighbours import feature_vectors
from alexnet.training.fit import train as fit
from conftest import SMALL, Train, request_of
from wandb_file import read_wandb_file

FILES = {
    "filters.png",
    "units.png",
    "neighbours.png",
    "layers.csv",
    "neighbours.csv",
    "inspection.json",
    "inspection.html",
}


def config_of(**changes: Any) -> InspectConfig:
    """Return a configuration with these keys and small defaults for the others."""
    keys: dict[str, Any] = dict.fromkeys(("run", "checkpoint", "data_root", "out"))
    keys |= {"images": 30, "queries": 3, "neighbours": 4, "wandb": True, "batch_size": 8}
    return InspectConfig(**keys | {"accelerator": Accelerator.cpu} | changes)


@pytest.fixture(scope="module")
def run(synthetic: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with an offline W&B run."""
    folder = tmp_path_factory.mktemp("inspected") / "run"
    small = (*SMALL, *synthetic, "trainer.max_epochs=1", "model.activation=tanh", "logger.mode=offline")
    fit(request_of(folder, *small))
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_all_files_are_in_the_run_folder(train: Train, run: Path) -> None:
    """And in its W&B run, which is continued offline."""
    before = {
        path: path.read_bytes() for path in run.rglob("*") if path.is_file() and "wandb" not in path.parts
    }
    done = train(f"run={run}", "images=30", "queries=3", "accelerator=cpu", program="inspect_run.py")
    assert done.status == 0, done.err
    assert done.err == ""
    out = run / "figures/inspection"
    assert {path.name for path in out.iterdir()} == FILES
    assert all(path.read_bytes() == content for path, content in before.items())
    for name in ("filters", "units", "neighbours"):
        with Image.open(out / f"{name}.png") as picture:
            assert min(picture.size) > 100
        assert str(out / f"{name}.png") in done.out

    layers = rows_of(out / "layers.csv")
    assert [row["layer"] for row in layers] == [
        "conv1",
        "conv2",
        "conv3",
        "conv4",
        "conv5",
        "fc6",
        "fc7",
        "fc8",
    ]
    assert all(float(row["saturated_fraction"]) <= 1 and row["dead_fraction"] == "" for row in layers[:-1])
    assert all(re.search(rf"^{row['layer']} +{row['units']} ", done.out, re.MULTILINE) for row in layers)
    content = json.loads((out / "inspection.json").read_text())
    assert content["layers"][3]["activation_rms"] == pytest.approx(
        float(layers[3]["activation_rms"]), rel=1e-5
    )
    assert content["unreadable"] == {}

    parts = sorted((run / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(parts) == 2
    assert len({part.name for part in parts}) == 1  # the same run
    recorded = read_wandb_file(parts[1])
    logged = {key.partition(".")[0] for row in recorded.history for key in row}
    assert {"inspection/filters", "inspection/units", "inspection/neighbours"} <= logged
    assert recorded.exit_code == 0
    assert "offline-run-*" in done.out


@pytest.fixture(scope="module")
def inspected(run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, InspectedModel]:
    """The folder of an inspection that searched all training images, and its network with its images."""
    out = tmp_path_factory.mktemp("inspection") / "out"
    checkpoint = str(run / "checkpoints/last.ckpt")
    inspect_run(config_of(checkpoint=checkpoint, images=None, out=str(out)))
    return out, load_inspected_model(None, checkpoint, None)


def test_neighbours_are_the_nearest_training_images(inspected: tuple[Path, InspectedModel]) -> None:
    """By features of one image at a time."""
    out, model = inspected
    rows = rows_of(out / "neighbours.csv")
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4"] * 3
    data, trained = model.data, model.trained

    def features(images: ImageDataset, index: int) -> np.ndarray:
        image = np.empty((3, 256, 256), np.uint8)
        images.read(index, image)
        crop = trained.crops.center(torch.from_numpy(image)[None])
        return feature_vectors(trained.network, crop)[0].numpy()

    bank = np.stack([features(data.train, index) for index in range(len(data.train))])
    paths = [data.val.path(index) for index in range(len(data.val))]
    for start in range(0, len(rows), 4):
        query = paths.index(rows[start]["query"])
        assert rows[start]["query_class"] == Path(rows[start]["query"]).parent.name
        distances = np.sqrt(((bank - features(data.val, query)) ** 2).sum(1))
        nearest = np.argsort(distances)[:4]
        written = rows[start : start + 4]
        assert [row["neighbour"] for row in written] == [data.train.path(index) for index in nearest]
        assert [row["neighbour_class"] for row in written] == [
            Path(row["neighbour"]).parent.name for row in written
        ]
        np.testing.assert_allclose([float(row["distance"]) for row in written], distances[nearest], rtol=1e-3)


def test_the_page_shows_what_the_network_computes(inspected: tuple[Path, InspectedModel]) -> None:
    """Compare probabilities, a map, a patch and the filters with those of the network, image by image."""
    out, model = inspected
    text = (out / "inspection.html").read_text()
    assert len(text) < 10e6
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", text)  # nothing outside the file
    content = json.loads(text.partition('type="application/json">')[2].partition("</script>")[0])
    trained, rows = model.trained, rows_of(out / "neighbours.csv")
    paths = [model.data.val.path(index) for index in range(len(model.data.val))]
    assert len(content["images"]) == 3
    for number, shown in enumerate(content["images"]):
        pixels = np.empty((3, 256, 256), np.uint8)
        assert Path(rows[4 * number]["query"]).name == shown["path"]
        model.data.val.read(paths.index(rows[4 * number]["query"]), pixels)
        crop = trained.crops.center(torch.from_numpy(pixels)[None])
        expected = torch.softmax(trained.network(crop)[0], 0).detach().numpy()
        ranked = sorted(zip(-expected, trained.class_names, strict=True))[:5]
        assert [item["name"] for item in shown["predictions"]] == [name for _, name in ranked]
        np.testing.assert_allclose(
            [item["probability"] for item in shown["predictions"]], [-p for p, _ in ranked], rtol=1e-4
        )

        best, side = int(expected.argmax()), round(227 / 4)
        top, left = round(3 * (227 - side) / 10), round(8 * (227 - side) / 10)
        crop[..., top : top + side, left : left + side] = 0
        occluded = torch.softmax(trained.network(crop)[0], 0)[best].item()
        assert shown["occlusion"][3][8] == pytest.approx(occluded, rel=1e-4)

        crop = trained.crops.center(torch.from_numpy(pixels)[None])
        maps = np.tanh(dict(trained.network.named_modules())["conv1"](crop)[0].detach().numpy())
        sheet = pixels_of(shown["layers"][0]["src"])
        across, (height, width) = shown["layers"][0]["across"], maps.shape[1:]
        for index in (0, len(maps) - 1):
            y, x = index // across * height, index % across * width
            grey = 127.5 + 127.5 * maps[index] / np.abs(maps).max()
            np.testing.assert_allclose(sheet[y : y + height, x : x + width], grey, atol=1)
        assert [layer["name"] for layer in shown["layers"]][-2:] == ["fc6", "fc7"]
        assert [item["class"] for item in shown["neighbours"]] == [
            row["neighbour_class"] for row in rows[4 * number : 4 * number + 4]
        ]

    weights = dict(trained.network.named_modules())["conv1"].weight.detach().numpy()
    kernels = [src for column in content["filters"]["columns"] for src in column]
    assert len(kernels) == len(weights)
    scaled = 127.5 * (1 + weights[1] / np.abs(weights[1]).max())
    np.testing.assert_allclose(pixels_of(kernels[1]), scaled.transpose(1, 2, 0), atol=1)


def pixels_of(data_uri: str) -> np.ndarray:
    with Image.open(io.BytesIO(b64decode(data_uri.partition(",")[2]))) as image:
        return np.asarray(image, np.float32)


def test_mistakes(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    text = (moved / "config.yaml").read_text()
    text = re.sub(r"(?m)^  root: .*$", "  root: /gone", text).replace("source: synthetic", "source: folder")
    (moved / "config.yaml").write_text(text)
    for name in ("cat", "dog"):
        (tmp_path / "others/train" / name).mkdir(parents=True)
        Image.new("RGB", (9, 9)).save(tmp_path / f"others/train/{name}/1.png")
    shutil.copytree(tmp_path / "others/train", tmp_path / "others/val")
    (tmp_path / "file").touch()
    for changes, message in (
        ({"run": "/nowhere"}, "is not a run folder"),
        ({"checkpoint": "/nowhere.ckpt"}, "there is no such checkpoint"),
        ({"run": str(moved)}, "data.root=/gone: there is no such folder.* data_root=<folder>"),
        ({"run": str(run), "data_root": "/gone"}, "/gone: there is no such folder. Create it, or"),
        (
            {"run": str(moved), "data_root": str(tmp_path / "others")},
            "has 2 classes, cat to dog, and the network",
        ),
        ({"run": str(run), "out": str(tmp_path / "file")}, "Cannot write .*file"),
    ):
        with pytest.raises(UserError, match=message) as raised:
            inspect_run(config_of(**changes))
        assert "\n" not in str(raised.value)
    for file in (moved / "checkpoints").iterdir():
        file.unlink()
    with pytest.raises(UserError, match="has no checkpoint"):
        inspect_run(config_of(run=str(moved)))


@pytest.mark.parametrize(("split", "images"), [("val", "3 queries"), ("train", "30 training images")])
def test_images_that_cannot_be_read(
    run: Path, tmp_path: Path, split: str, images: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ImageDataset.read

    def read(self: ImageDataset, index: int, out: np.ndarray) -> int:
        return UNREADABLE if self.path(index).startswith(split) else real(self, index, out)

    monkeypatch.setattr("alexnet.inspection.inspect._inspect_layers", lambda *_: [])
    monkeypatch.setattr(ImageDataset, "read", read)
    with pytest.raises(UserError, match=rf"None of the {images} of .* can be read"):
        inspect_run(config_of(run=str(run), out=str(tmp_path)))


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("run=x", "checkpoint=y"), "either run=<run folder> or checkpoint=<file>"),
        (("run=x", "images=0"), "images=0: expected a whole number from 1 up"),
        (("run=x", "qeries=3"), r"qeries: there is no such key. Did you mean queries\?"),
    ],
)
def test_a_mistake_is_one_line(train: Train, typed: tuple[str, ...], message: str) -> None:
    done = train(*typed, program="inspect_run.py")
    assert (done.status, done.out) == (1, "")
    assert re.fullmatch(rf"Error: .*{message}.*\n", done.err)
