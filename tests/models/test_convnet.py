"""The 2012 program's networks for CIFAR-10: sizes by hand, layers against plain loops."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from alexnet.errors import UserError
from alexnet.models.build import build_network
from alexnet.models.convnet import ConvNet
from alexnet.models.layer_stats import measure_layers
from alexnet.models.locally_connected import LocallyConnected2d
from conftest import model_config

# by hand, from the layer files; locally connected layers have filters and biases for each of 6x6 positions
CONV1, CONV2 = 3 * 25 * 64 + 64, 64 * 25 * 64 + 64
LOCAL32 = {inputs: 36 * (inputs * 9 * 32 + 32) for inputs in (32, 64)}
LOCAL64 = 36 * (64 * 9 * 64 + 64)
FC = 36 * 32 * 10 + 10
PARAMETERS = {
    "convnet_13pct": [CONV1, CONV2, LOCAL32[64], LOCAL32[32], FC],
    "convnet_11pct": [CONV1, CONV2, LOCAL64, LOCAL32[64], FC],
    "convnet_11pct_n5": [CONV1, CONV2, LOCAL32[64], LOCAL32[32], FC],
    "convnet_18pct": [3 * 25 * 32 + 32, 32 * 25 * 32 + 32, 32 * 25 * 64 + 64, 16 * 64 * 10 + 10],
}


def network(preset: str, *overrides: str) -> ConvNet:
    torch.manual_seed(0)
    built = build_network(model_config(f"model={preset}", *overrides), 10)
    assert isinstance(built, ConvNet)
    return built


@pytest.mark.parametrize("preset", PARAMETERS)
def test_parameters(preset: str) -> None:
    ours = network(preset)
    layers = [module for module in ours.children() if next(module.parameters(), None) is not None]
    assert [sum(p.numel() for p in layer.parameters()) for layer in layers] == PARAMETERS[preset]
    assert ours.last_layer == "fc"


def test_locally_connected_is_a_filter_bank_at_each_position() -> None:
    """A plain loop over positions, in numpy and float64."""
    torch.manual_seed(0)
    layer = LocallyConnected2d(3, 4, 3, 5).double()
    nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, 5, 5, dtype=torch.float64, requires_grad=True)
    padded = np.pad(x.detach().numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)))
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    expected = np.empty((2, 4, 5, 5))
    for image, unit, row, column in np.ndindex(2, 4, 5, 5):
        patch = padded[image, :, row : row + 3, column : column + 3]
        expected[image, unit, row, column] = (patch * weight[unit, row, column]).sum()
    np.testing.assert_allclose(layer(x).detach().numpy(), expected + bias, rtol=1e-12)
    assert torch.autograd.gradcheck(
        lambda *given: torch.func.functional_call(layer, {"weight": given[1], "bias": given[2]}, (given[0],)),
        (x, layer.weight, layer.bias),
    )


def test_locally_connected_with_equal_filters_is_a_convolution() -> None:
    torch.manual_seed(0)
    layer, conv = LocallyConnected2d(3, 4, 3, 6).double(), nn.Conv2d(3, 4, 3, padding=1).double()
    with torch.no_grad():
        layer.weight.copy_(conv.weight[:, None, None].expand_as(layer.weight))
        layer.bias.copy_(conv.bias[:, None, None].expand_as(layer.bias))  # type: ignore[index]
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64).to(memory_format=torch.channels_last)
    torch.testing.assert_close(layer(x), conv(x))


def normalize(x: np.ndarray, size: int, alpha: float, within: bool) -> np.ndarray:
    """The 2012 program's response normalisation, term by term: (1 + alpha times sum of squares) ** 0.75."""
    result, half = np.empty_like(x), size // 2
    _, maps, height, width = x.shape
    for c, i, j in np.ndindex(maps, height, width):
        window = x[:, max(0, c - half) : c + half + 1, i, j]
        if within:
            window = x[:, c, max(0, i - half) : i + half + 1, max(0, j - half) : j + half + 1]
        total = (window**2).reshape(len(x), -1).sum(1)
        result[:, c, i, j] = x[:, c, i, j] / (1 + alpha * total) ** 0.75
    return result


def pool(x: np.ndarray, mean: bool) -> np.ndarray:
    """3x3 windows, stride 2, of which the last is cut off by the edge (2012 source, outputsX=0)."""
    side = math.ceil((x.shape[-1] - 3) / 2) + 1
    result = np.empty((*x.shape[:2], side, side))
    for i, j in np.ndindex(side, side):
        window = x[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
        result[:, :, i, j] = window.mean((2, 3)) if mean else window.max((2, 3))
    return result


@pytest.mark.parametrize(
    ("preset", "places", "size", "alpha"),
    [
        ("convnet_13pct", ["none", "none"], 0, 0.0),
        ("convnet_11pct", ["after", "before"], 9, 0.001 / 9),
        ("convnet_11pct_n5", ["before", "before"], 5, 0.001 / 5),
        ("convnet_18pct", ["after", "after", "none"], 3, 0.00005 / 9),
    ],
)
def test_stages_as_the_layer_file_orders_them(
    preset: str, places: list[str], size: int, alpha: float
) -> None:
    filters = [6, 5, 4][: len(places)]
    ours = network(preset, f"model.conv_filters={filters}").double()
    with torch.no_grad():
        ours.conv1.weight *= 100  # type: ignore[operator] # the published ones leave little to normalise
    within = preset == "convnet_18pct"
    side = ours.config.image_size
    x = found = torch.randn(2, 3, side, side, dtype=torch.float64) * 60
    for number, place in enumerate(places, 1):
        x = ours.get_submodule(f"conv{number}")(x).relu()
        expected = x.detach().numpy()
        if place == "before":
            expected = normalize(expected, size, alpha, within)
        expected = pool(expected, mean=within and number > 1)
        if place == "after":
            expected = normalize(expected, size, alpha, within)
        x = torch.from_numpy(expected)
    for name, layer in ours.named_children():
        if name in ("local3", "flat"):
            break
        found = layer(found)
    np.testing.assert_allclose(found.detach().numpy(), x.numpy(), rtol=1e-6)


def test_published_deviations() -> None:
    ours = network("convnet_13pct")
    for name, std in {"conv1": 1e-4, "conv2": 0.01, "local3": 0.04, "local4": 0.04, "fc": 0.01}.items():
        layer = ours.get_submodule(name)
        assert layer.weight.std().item() == pytest.approx(std, rel=0.05)
        assert not layer.bias.any()


def test_the_sigmoid_is_given_a_gain() -> None:
    plain = network("convnet_13pct", "model.activation=sigmoid", "model.init_gain=1")
    adapted = network("convnet_13pct", "model.activation=sigmoid")
    torch.testing.assert_close(plain.conv1.weight, adapted.conv1.weight)
    weight = plain.conv2.weight
    centred = weight - weight.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(adapted.conv2.weight, 4 * centred)


def test_layers_are_measured() -> None:
    images = torch.randn(4, 3, 24, 24) * 60
    found = measure_layers(network("convnet_11pct"), [(images, torch.arange(4))], gradients=True)
    assert [(layer.layer, layer.units) for layer in found] == [
        *(("conv1", 64), ("conv2", 64), ("local3", 64), ("local4", 32), ("fc", 10))
    ]
    assert all(layer.gradient_norm for layer in found)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.pooling=[max]", "2 values, one for each convolution"),
        ("model.lrn_size=4", "an odd number"),
        ("model.image_size=4", "too small for 2 poolings"),
        ("model.conv_filters=[]", "a number for each convolution"),
    ],
)
def test_bad_values(override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        network("convnet_13pct", override)
