"""torchvision's published weights, from a file, against torchvision's own network."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from PIL import Image
from torchvision import models

from alexnet.config import EvaluateConfig, ValCrops
from alexnet.config.composition import register
from alexnet.config.reading import read_config
from alexnet.data.image import decode_image
from alexnet.data.imagenet_classes import class_names
from alexnet.errors import UserError
from alexnet.evaluation.evaluate import evaluate
from conftest import PROJECT

register("evaluate", EvaluateConfig)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def evaluate_config(*overrides: str) -> EvaluateConfig:
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        return read_config(compose("evaluate", list(overrides)), EvaluateConfig)


@pytest.mark.slow
def test_weights_from_a_file(tmp_path: Path) -> None:
    """Errors and predictions for one image of each of ImageNet's 1000 classes."""
    rng = np.random.default_rng(0)
    wnids = sorted(class_names())
    paths = [tmp_path / "images" / "val" / wnid / "image.png" for wnid in wnids]
    for path in paths:
        for file in (path, tmp_path / "images" / "train" / path.parent.name / "image.png"):
            file.parent.mkdir(parents=True)
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(file)
    torch.manual_seed(0)
    network = models.squeezenet1_1(weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (MEAN, STD))
    images = np.stack([decode_image(path.read_bytes(), 64) for path in paths])
    with torch.no_grad():
        scores = network((torch.from_numpy(images)[..., 4:60, 4:60].float() / 255 - mean) / std)
    order = scores.argsort(1, descending=True)
    labels = torch.arange(1000)[:, None]
    config = evaluate_config(
        *("model=torchvision", "model.name=squeezenet1_1", "model.image_size=56"),
        *("data=folder", f"data.root={tmp_path / 'images'}", "data.resize_size=64"),
        *(f"data.cache={tmp_path / 'cache'}", f"weights={tmp_path / 'weights.pth'}"),
        *(f"out={tmp_path / 'out'}", "accelerator=cpu", "crops=[center]", "batch_size=250"),
    )
    metrics = evaluate(config).primary[ValCrops.center].metrics
    for error, k in ((metrics.top1_error, 1), (metrics.top5_error, 5)):
        assert error == pytest.approx(
            100 * (1 - (order[:, :k] == labels).any(1).float().mean().item()), abs=0.1
        )
    assert metrics.samples == 1000
    with (tmp_path / "out/predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    probabilities = scores.softmax(1)
    for image, row in enumerate(rows):
        expected = [wnids[label] for label in order[image, :5].tolist()]
        assert [row[f"class_{rank}"] for rank in range(1, 6)] == expected
        assert float(row["probability_1"]) == pytest.approx(probabilities[image].max().item(), rel=1e-3)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["weights=torchvision"], "also needs a network and images"),
        (["weights=torchvision", "run=a", "model=resnet18", "data=synthetic"], "Specify what to evaluate"),
        (["run=a", "model=resnet18"], "only valid with weights="),
    ],
)
def test_what_does_not_go_together(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        evaluate_config(*overrides)
