"""Small untrained networks of every kind, for the tests of exports."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from alexnet.models.build import build_network
from conftest import request_of

CLASSES = tuple("abcdef")
NAMES = {
    "alexnet": ("model=alexnet",),
    "alexnet_paper": ("model=alexnet_paper",),
    "alexnet_2012": ("model=alexnet_2012",),
    "alexnet_caffe": ("model=alexnet_caffe",),
    "alexnet_torchvision": ("model=alexnet_torchvision",),
    "columns_apart": ("model.columns=2", "model.cross_column=false"),
    "later": ("model.batch_norm=true", "model.activation=gelu"),
    "pretrained": ("model=alexnet_2012_pretrained",),
    # with larger initial weights than the published ones, for logits that differ
    "convnet_11pct": ("model=convnet_11pct", "model.conv_std=[0.01,0.05]"),
    "convnet_18pct": ("model=convnet_18pct", "model.conv_std=[0.01,0.05,0.05]", "model.fc_std=0.1"),
    "lenet5": ("model=lenet5",),
    "squeezenet1_1": ("model=torchvision", "model.name=squeezenet1_1"),
    "resnet18": ("model=resnet18",),
    "googlenet": ("model=googlenet",),
}
# not of AlexNet's family: without a width
OTHERS = ("convnet_11pct", "convnet_18pct", "lenet5", "squeezenet1_1", "resnet18", "googlenet")
Logits = Callable[[Tensor], Tensor]


def write_checkpoint(path: Path, *overrides: str) -> Logits:
    """Write the checkpoint of a small untrained network; return its logits for crops of 0-255."""
    torch.manual_seed(0)
    alexnet = not any(overrides == NAMES[name] for name in OTHERS)
    width = ["model.width=0.05"] if alexnet else []
    request = request_of(path.parent, *width, "data.root=/nowhere", *overrides)
    model = request.config.model
    network = build_network(model, len(CLASSES)).eval()
    mean = 100 + 50 * torch.rand(3, model.image_size, model.image_size)
    names = {"classes": list(CLASSES), "class_names": [f"the letter {name}" for name in CLASSES]}
    content = {
        "state_dict": {f"network.{name}": value for name, value in network.state_dict().items()},
        "config": request.resolved,
        "ImageDataModule": names | {"mean": mean},
    }
    torch.save(content, path)
    return torch.inference_mode()(lambda crops: network(crops - mean))


def crops(count: int, size: int) -> Tensor:
    return 255 * torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(count))
