"""The summary of a divided network matches the network."""

import pytest
import torch
from fake_devices import fake_devices

from alexnet.distributed.column_summary import Column, LayerSummary, summarize_column
from alexnet.distributed.parallelize import parallelize
from alexnet.models.alexnet import AlexNet
from conftest import model_config


def summarized(*overrides: str, classes: int = 1000, copies: int = 1) -> Column:
    with fake_devices(copies) as mesh, torch.device("meta" if copies == 1 else "cpu"):
        network = AlexNet(model_config("model.columns=2", *overrides), classes)
        parallelize(network, mesh)
        column = summarize_column(network, mesh["tensor_parallel"])
    assert network.training
    return column


def test_the_published_network() -> None:
    """Paper figure 2, of one GPU."""
    column = summarized("model=alexnet_paper")
    assert column == [
        LayerSummary("image", (3, 224, 224), 0),
        LayerSummary("conv1", (48, 55, 55), 48 * 11 * 11 * 3 + 48),
        LayerSummary("pool", (48, 27, 27), 0),
        LayerSummary("conv2", (128, 27, 27), 128 * 5 * 5 * 48 + 128),
        LayerSummary("pool", (128, 13, 13), 0),
        LayerSummary("conv3", (192, 13, 13), 192 * 3 * 3 * 256 + 192, sent_before=128 * 13 * 13 * 4),
        LayerSummary("conv4", (192, 13, 13), 192 * 3 * 3 * 192 + 192),
        LayerSummary("conv5", (128, 13, 13), 128 * 3 * 3 * 192 + 128),
        LayerSummary("pool", (128, 6, 6), 0),
        LayerSummary("fc6", (2048,), 2048 * 256 * 6 * 6 + 2048, sent_before=128 * 6 * 6 * 4),
        LayerSummary("fc7", (2048,), 2048 * 4096 + 2048, sent_before=2048 * 4),
        LayerSummary("fc8", (1000,), 1000 * 2048 + 1000, sent_after=1000 * 4),
    ]
    assert 2 * sum(layer.parameters for layer in column) - 1000 == 60_965_224  # both have all biases of fc8


def test_width_and_classes() -> None:
    column = {layer.name: layer for layer in summarized("model.width=0.25", classes=7)}
    assert column["conv3"] == LayerSummary(
        "conv3", (48, 13, 13), 48 * 3 * 3 * 64 + 48, sent_before=32 * 13 * 13 * 4
    )
    assert column["fc7"] == LayerSummary("fc7", (512,), 512 * 1024 + 512, sent_before=512 * 4)
    assert column["fc8"] == LayerSummary("fc8", (7,), 7 * 512 + 7, sent_after=7 * 4)


@pytest.mark.parametrize(
    ("removed", "exchanging"),
    [("conv4", ["conv3", "fc6", "fc7", "fc8"]), ("conv3", ["fc6", "fc7", "fc8"])],
)
def test_removed_layers_are_left_out(removed: str, exchanging: list[str]) -> None:
    whole = [layer.name for layer in summarized()]
    column = summarized(f"model.remove_layers=[{removed}]")
    assert [layer.name for layer in column] == [name for name in whole if name != removed]
    assert [layer.name for layer in column if layer.sent] == exchanging


def test_without_communication_only_the_logits() -> None:
    column = summarized("model.cross_column=false")
    assert {layer.name: layer.sent for layer in column if layer.sent} == {"fc8": 4000}
    assert column[-3].parameters == 2048 * 4608 + 2048  # fc6


def test_copies_hold_parts_and_exchange_the_same() -> None:
    """Weights that the copies gather are not counted as exchanged by the columns."""
    one, two = summarized("model.width=0.25"), summarized("model.width=0.25", copies=2)
    assert [(layer.name, layer.shape, layer.sent) for layer in two] == [
        (layer.name, layer.shape, layer.sent) for layer in one
    ]
    assert sum(layer.parameters for layer in two) == sum(layer.parameters for layer in one) / 2
