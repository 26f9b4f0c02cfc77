"""A folder for the Hugging Face hub: the snippet of its card against the run's network."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from export_cases import CLASSES, NAMES, crops, write_checkpoint
from torch import Tensor, nn

import alexnet
from alexnet.config import ExportConfig, ExportFormat
from alexnet.errors import UserError
from alexnet.export import formats
from alexnet.export.export import export
from alexnet.export.pixel_model import PixelModel
from alexnet.export.plain_torch import load_source, write_out
from alexnet.models.flops import forward_flops
from conftest import request_of, save_image

safetensors = pytest.importorskip("safetensors.torch")

FILES = ["README.md", "config.json", "model.safetensors", "network.py"]


def hub_config(**keys: Any) -> ExportConfig:
    defaults = {"run": None, "checkpoint": None, "out": None, "tolerance": 1e-4, "opset": None}
    return ExportConfig(**(defaults | {"format": "hub", "license": "cc-by-4.0"} | keys))


def write_run(folder: Path, *overrides: str) -> None:
    """A finished run's folder: three epochs, of which the second was the best."""
    (folder / "checkpoints").mkdir(parents=True)
    write_checkpoint(folder / "checkpoints/best.ckpt", *overrides)
    typed = ["model.width=0.05", "data.root=/nowhere", *overrides, f"outputs={folder.parent}", "seed=3"]
    resolved = request_of(folder, *typed).resolved
    (folder / "config.yaml").write_text(yaml.safe_dump(resolved))
    (folder / "overrides.yaml").write_text(yaml.safe_dump(typed))
    rows = [(1, 70.0, 20.0), (2, 30.5, 4.0), (3, 31.0, 2.0)]
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "val/top1_error", "val/top5_error", "val/samples"])
        writer.writerows([*row, 200] for row in rows)
    result = {"status": "completed", "epochs": 3, "train": {"samples": 1280}, "best": {"epoch": 2}}
    (folder / "result.json").write_text(json.dumps(result))
    environment = {"gpus": [], "cpu": {"model": "Abacus", "cores": 2}, "python": "3.12.1"}
    environment |= {"packages": {"torch": "2.11.0"}, "git": {"commit": "0123456789abcdef"}}
    (folder / "environment.json").write_text(json.dumps(environment))


def parts(card: str) -> tuple[dict[str, Any], str]:
    """The metadata and the text of a model card."""
    _, front, text = card.split("---\n", 2)
    return yaml.safe_load(front), text


def test_the_cards_snippet(tmp_path: Path) -> None:
    """What the card says, typed as it stands; and all numbers in it."""
    write_run(tmp_path / "run", "data=cifar10")
    export(hub_config(run=str(tmp_path / "run")))
    folder = tmp_path / "run/exports/best_hub"
    assert sorted(path.name for path in folder.iterdir()) == FILES
    for name in ("README.md", "config.json", "network.py"):
        assert not re.search(rf"{tmp_path}|/nowhere|alexnet\.", (folder / name).read_text())

    metadata, text = parts((folder / "README.md").read_text())
    save_image(folder / "photo.jpg", np.random.default_rng(0), (256, 256))  # nothing to resize
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    end = "\nimport sys; assert 'alexnet' not in sys.modules\ntorch.save(logits.clone(), 'logits.pt')"
    program = f"import sys\nsys.path.insert(0, '.')\n{snippet}{end}"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], cwd=folder, capture_output=True, text=True, check=True
    )
    run = alexnet.load_run(tmp_path / "run")
    with torch.inference_mode():
        logits = run.network(run.preprocess(folder / "photo.jpg"))
    torch.testing.assert_close(torch.load(folder / "logits.pt"), logits, rtol=1e-4, atol=1e-5)
    ((name, probability),) = run.predict(folder / "photo.jpg", top=1)[0]
    assert done.stdout.rpartition(" ")[0] == name
    assert float(done.stdout.rpartition(" ")[2]) == pytest.approx(probability, rel=1e-3)

    assert (metadata["license"], metadata["datasets"]) == ("cc-by-4.0", ["uoft-cs/cifar10"])
    assert metadata["pipeline_tag"] == "image-classification"
    (result,) = metadata["model-index"][0]["results"]
    assert [metric["value"] for metric in result["metrics"]] == [0.695, 0.96]
    # 30.5% and 4% of 200 images: sqrt(0.305 * 0.695 / 200) = 0.0326, sqrt(0.04 * 0.96 / 200) = 0.0139
    assert "| 200 validation images of cifar10 | centre | 30.50% ± 3.26 | 4.00% ± 1.39 |" in text
    assert "After epoch 2 of 3" in text
    weights = safetensors.load_file(folder / "model.safetensors")
    count = sum(value.numel() for name, value in weights.items() if name != "mean")
    assert f"| parameters | {count:,} |" in text
    assert "python src/train.py model.width=0.05 'data.root=<root>' data=cifar10 seed=3\n" in text
    assert "Abacus, 2 cores, with Python 3.12.1 and torch 2.11.0, code at commit 0123456789ab." in text

    config = json.loads((folder / "config.json").read_text())
    assert config["id2label"]["1"] == "the letter b"
    assert config["label2id"]["the letter b"] == 1
    assert config["config"]["model"]["width"] == 0.05


def test_a_checkpoint_by_itself(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "weights.ckpt", *NAMES["alexnet_2012"])
    export(hub_config(checkpoint=str(tmp_path / "weights.ckpt"), out=str(tmp_path / "out")))
    metadata, text = parts((tmp_path / "out/weights_hub/README.md").read_text())
    assert "Not measured" in text
    assert "model-index" not in metadata


def test_evaluated_with_ten_crops(tmp_path: Path) -> None:
    """evaluate.py's errors of other crops stand beside those of training, if they are of these weights."""
    from alexnet.export.model_card import read_training

    write_run(tmp_path / "run")
    content = {
        "members": [{"checkpoint": "/elsewhere/best.ckpt"}],
        "figures": {
            kind: {"top1_error": 29.0, "top1_standard_error": 3.2, "samples": 200}
            for kind in ("center", "ten")
        },
    }
    (tmp_path / "run/evaluation").mkdir()
    (tmp_path / "run/evaluation/evaluation.json").write_text(json.dumps(content))
    measured = read_training(tmp_path / "run", "best.ckpt").measured
    assert measured is not None
    assert [(row.crops, row.top1[0]) for row in measured.rows] == [("center", 30.5), ("ten", 29.0)]
    last = read_training(tmp_path / "run", "last.ckpt").measured
    assert last is not None
    assert [(row.crops, row.top1[0]) for row in last.rows] == [("center", 31.0)]


def test_operations_of_a_pass() -> None:
    """Counted by hand for LeNet-5: outputs times weights of each, a multiplication and an addition apiece."""
    network = alexnet.create_model("lenet5", classes=10)
    c1, c3, c5 = 28 * 28 * 6 * 75, 10 * 10 * 16 * 6 * 25, 120 * 400  # c3 as a full convolution
    assert forward_flops(network) == 2 * (c1 + c3 + c5 + 120 * 84 + 84 * 10)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_network(name: str, tmp_path: Path) -> None:
    network = write_checkpoint(tmp_path / "weights.ckpt", *NAMES[name])
    export(hub_config(checkpoint=str(tmp_path / "weights.ckpt")))
    folder = tmp_path / "weights_hub"
    plain = load_source((folder / "network.py").read_text())
    plain.load_state_dict(safetensors.load_file(folder / "model.safetensors"))
    size = json.loads((folder / "config.json").read_text())["image_size"]
    images = crops(3, size)
    expected = network(images)
    assert expected.std() > 0.01
    with torch.inference_mode():
        torch.testing.assert_close(plain(images), expected, rtol=1e-5, atol=1e-5)


class Scaled(nn.Module):
    """A layer with a weight of its own, which torch.nn does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([2.0, 3.0]))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight[:, None, None]


def test_layers_that_are_not_built_by_what_they_print() -> None:
    """AvgPool2d does not print `ceil_mode`; a layer of someone's own prints what torch.nn does not have."""
    layers = (Scaled(), nn.AvgPool2d(3, 2, ceil_mode=True), nn.Identity(), nn.Conv2d(2, 2, 1))
    network = PixelModel(nn.Sequential(*layers), torch.rand(2, 6, 6)).eval()
    plain = write_out(network, "Four layers.")
    built = load_source(plain.source)
    built.load_state_dict(plain.tensors)
    x = torch.rand(1, 2, 6, 6)
    torch.testing.assert_close(built(x), network(x))
    assert built(x).shape[-1] == 3
    assert "Identity" not in plain.source


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def test_a_network_that_cannot_be_written_out() -> None:
    with pytest.raises(UserError, match=r"^format=hub: torch.fx cannot export this network \(.*\)\. format"):
        write_out(PixelModel(Branching(), torch.zeros(1)), "")
    with pytest.raises(UserError, match=r"^format=hub: the network as it was written out does not run"):
        load_source("class Network(NoSuchThing): pass")


def test_a_wrong_folder_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the right one from before stays."""
    write_checkpoint(tmp_path / "weights.ckpt", "model=alexnet_torchvision")
    config = hub_config(checkpoint=str(tmp_path / "weights.ckpt"))
    right = formats.FORMATS[ExportFormat.hub]
    wrong = right._replace(load=lambda trained, folder: lambda images: torch.zeros(len(images), len(CLASSES)))
    monkeypatch.setitem(formats.FORMATS, ExportFormat.hub, wrong)
    with pytest.raises(UserError, match="is not written: as hub the logits differ by"):
        export(config)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.ckpt"]
    monkeypatch.setitem(formats.FORMATS, ExportFormat.hub, right)
    export(config)
    before = {path.name: path.read_bytes() for path in (tmp_path / "weights_hub").iterdir()}
    assert sorted(before) == FILES
    monkeypatch.setitem(formats.FORMATS, ExportFormat.hub, wrong)
    with pytest.raises(UserError, match="is not written"):
        export(config)
    assert {path.name: path.read_bytes() for path in (tmp_path / "weights_hub").iterdir()} == before


def test_validated_on_ten_crops(tmp_path: Path) -> None:
    """The errors of metrics.csv are then those of ten crops; evaluate.py's of the centre are beside them."""
    from alexnet.export.model_card import read_training

    run = tmp_path / "run"
    write_run(run)
    content = yaml.safe_load((run / "config.yaml").read_text())
    content["data"]["val_crops"] = "ten"
    (run / "config.yaml").write_text(yaml.safe_dump(content))
    figures = {
        kind: {"top1_error": error, "top1_standard_error": 3.2, "samples": 200}
        for kind, error in (("center", 32.0), ("ten", 30.5))
    }
    (run / "evaluation").mkdir()
    found = {"members": [{"checkpoint": "/elsewhere/best.ckpt"}], "figures": figures}
    (run / "evaluation/evaluation.json").write_text(json.dumps(found))
    measured = read_training(run, "best.ckpt").measured
    assert measured is not None
    assert [(row.crops, row.top1[0]) for row in measured.rows] == [("ten", 30.5), ("center", 32.0)]
