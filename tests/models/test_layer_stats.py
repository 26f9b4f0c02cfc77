"""Statistics of layers against numpy, and against .backward()."""

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet.inspection.neighbours import feature_vectors
from alexnet.models.activations import ACTIVATIONS
from alexnet.models.alexnet import AlexNet
from alexnet.models.layer_stats import LayerStats, measure_layers
from conftest import model_config

IMAGES, CLASSES = 7, 5


def small_network() -> nn.Sequential:
    """conv with two dead maps, a full layer with tanh, one with a sigmoid, and the logits; in float64."""
    torch.manual_seed(0)
    layers: dict[str, nn.Module] = {
        "conv": nn.Conv2d(3, 6, 3),
        "relu": nn.ReLU(inplace=True),
        "norm": nn.BatchNorm2d(6),
        "flat": nn.Flatten(),
        "drop": nn.Dropout(),
        "full": nn.Linear(6 * 9, 8),
        "tanh": nn.Tanh(),
        "wide": nn.Linear(8, 8),
        "sigmoid": nn.Sigmoid(),
        "last": nn.Linear(8, CLASSES),
    }
    network = nn.Sequential(OrderedDict(layers)).double()
    with torch.no_grad():
        network.conv.bias[[1, 4]] = -100.0
        network.full.weight *= 8
        network.wide.weight *= 8
    return network


def batches(*sizes: int) -> list[tuple[Tensor, Tensor]]:
    rng = np.random.default_rng(0)
    images, labels = torch.from_numpy(rng.normal(size=(IMAGES, 3, 5, 5))), rng.integers(0, CLASSES, IMAGES)
    labels = torch.from_numpy(labels)
    return list(zip(images.split(sizes), labels.split(sizes), strict=True))


def outputs_in_numpy(network: Any, images: np.ndarray) -> dict[str, np.ndarray]:
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(2, 3))
    maps = np.einsum("ncyxij,fcij->nfyx", windows, state["conv.weight"])
    maps = np.maximum(maps + state["conv.bias"][:, None, None], 0)
    flat = (maps / np.sqrt(1 + network.norm.eps)).reshape(len(images), -1)  # new: mean 0, variance 1
    full = np.tanh(flat @ state["full.weight"].T + state["full.bias"])
    wide = 1 / (1 + np.exp(-(full @ state["wide.weight"].T + state["wide.bias"])))
    return {
        "conv": maps,
        "full": full,
        "wide": wide,
        "last": wide @ state["last.weight"].T + state["last.bias"],
    }


def test_outputs_against_numpy() -> None:
    network = small_network()
    (images, _), *_ = batches(IMAGES)
    expected = outputs_in_numpy(network, images.numpy())
    measured = {layer.layer: layer for layer in measure_layers(network, batches(3, 2, 2), gradients=False)}
    assert list(measured) == ["conv", "full", "wide", "last"]
    assert [layer.units for layer in measured.values()] == [6, 8, 8, CLASSES]
    for name, output in expected.items():
        assert measured[name].activation_rms == pytest.approx(np.sqrt((output**2).mean()), rel=1e-12)
        weight = getattr(network, name).weight.detach().numpy()
        assert measured[name].weight_norm == pytest.approx(np.sqrt((weight**2).sum()), rel=1e-12)
        assert measured[name].gradient_norm is None
    dead = (expected["conv"].transpose(1, 0, 2, 3).reshape(6, -1) == 0).all(1).mean()
    assert dead >= 2 / 6
    near_one = (np.abs(expected["full"]) >= 0.95).mean()
    near_limit = ((expected["wide"] <= 0.05) | (expected["wide"] >= 0.95)).mean()
    assert 0.1 < near_one < 0.9 and 0.1 < near_limit < 0.9
    shares = {name: (layer.dead_fraction, layer.saturated_fraction) for name, layer in measured.items()}
    assert shares == {
        "conv": (dead, None),
        "full": (None, near_one),
        "wide": (None, near_limit),
        "last": (None, None),
    }


def test_dead_on_all_images_and_at_all_places() -> None:
    """A unit that answers to one place of one image in another batch is alive."""
    network = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.ReLU())
    with torch.no_grad():
        network[0].weight.fill_(1.0)
    images = torch.full((4, 1, 3, 3), -1.0)
    images[2, 0, 1, 2] = 0.5

    def dead(*sizes: int) -> float | None:
        parts = ((part, torch.zeros(len(part))) for part in images[: sum(sizes)].split(sizes))
        (layer,) = measure_layers(network, parts, gradients=False)
        return layer.dead_fraction

    assert dead(2) == 1
    assert dead(2, 2) == dead(4) == dead(3, 1) == 0


def test_saturated_is_within_a_twentieth_of_a_limit() -> None:
    full = nn.Linear(4, 4, bias=False).double()
    full.weight.data = torch.eye(4, dtype=torch.float64)
    for activation, inverse, outputs, share in (
        (nn.Tanh(), torch.atanh, [-0.951, -0.949, 0.949, 0.951], 0.5),
        (nn.Sigmoid(), torch.logit, [0.049, 0.051, 0.949, 0.951], 0.5),
        (nn.Tanh(), torch.atanh, [-0.96, 0.0, 0.05, 0.5], 0.25),
    ):
        inputs = inverse(torch.tensor([outputs], dtype=torch.float64))
        (layer,) = measure_layers(
            nn.Sequential(full, activation), [(inputs, torch.zeros(1))], gradients=False
        )
        assert (layer.saturated_fraction, layer.dead_fraction) == (share, None)


def test_gradients_against_backward() -> None:
    """Of the mean over all images, in float64; frozen weights have none."""
    network = small_network()
    network.wide.weight.requires_grad_(False)
    measured = measure_layers(network, batches(4, 3), gradients=True)
    (images, labels), *_ = batches(IMAGES)
    network.eval()
    functional.cross_entropy(network(images), labels).backward()
    for layer in measured:
        weight = getattr(network, layer.layer).weight
        if layer.layer == "wide":
            assert layer.gradient_norm is None
        else:
            assert layer.gradient_norm == pytest.approx(float(weight.grad.norm()), rel=1e-12)


def test_nothing_is_left_behind() -> None:
    """Modes, running means, gradients, hooks and generators are as they were."""
    network = small_network().train()
    network.drop.eval()  # one in another mode than the rest
    network.conv.weight.grad = torch.ones_like(network.conv.weight)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    generator = torch.get_rng_state()
    measure_layers(network, batches(IMAGES), gradients=True)
    feature_vectors(network, batches(IMAGES)[0][0])
    assert [name for name, module in network.named_modules() if not module.training] == ["drop"]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert [name for name, weight in network.named_parameters() if weight.grad is not None] == ["conv.weight"]
    assert bool((network.conv.weight.grad == 1).all())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert torch.equal(torch.get_rng_state(), generator)


class Block(nn.Module):
    """As in a residual network: one ReLU used twice, a shortcut, and a ReLU that is no module."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = (nn.Conv2d(3, 3, 1) for _ in range(3))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.one(x))
        y = self.relu(self.two(y) + x)
        return functional.relu(self.three(y)).mean((2, 3))


def test_activations_belong_to_the_layer_before() -> None:
    measured = measure_layers(Block(), [(torch.randn(2, 3, 4, 4), torch.tensor([0, 1]))], gradients=True)
    dies = [(layer.layer, layer.dead_fraction is not None) for layer in measured]
    assert dies == [("one", True), ("two", True), ("three", False)]


class Halving(nn.Module):
    """An activation function of another module, of a type that the measurement does not know."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(min=0) / 2


def test_an_activation_of_an_extension_is_measured_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its output, not the layer's own: half of the ReLU's in the first layer."""
    monkeypatch.setitem(ACTIVATIONS._choices, "halving", Halving)
    measured = []
    for activation in ("relu", "halving"):
        torch.manual_seed(0)
        config = model_config(f"model.activation={activation}", "model.width=0.05", "model.fc_units=[40,40]")
        images = 50 * torch.randn(2, 3, config.image_size, config.image_size)
        batch = (images, torch.tensor([0, 1]))
        measured.append(measure_layers(AlexNet(config, CLASSES), [batch], gradients=False)[0])
    assert measured[1].activation_rms == pytest.approx(measured[0].activation_rms / 2, rel=1e-5)
    assert measured[1].dead_fraction is None


@pytest.mark.parametrize(
    ("overrides", "layers"),
    [
        ((), ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"]),
        (
            ("model=alexnet_2012", "model.remove_layers=[conv3]", "model.cross_column=false"),
            ["conv1", "conv2", "conv4", "conv5", "fc6", "fc7"],
        ),
    ],
)
def test_alexnet(overrides: tuple[str, ...], layers: list[str]) -> None:
    config = model_config(*overrides, "model.width=0.05", "model.fc_units=[40,40]")
    network = AlexNet(config, CLASSES)
    images = torch.randn(2, 3, config.image_size, config.image_size)
    measured: list[LayerStats] = measure_layers(network, [(images, torch.tensor([0, 1]))], gradients=True)
    assert [layer.layer for layer in measured if layer.dead_fraction is not None] == layers
    assert measured[-1].layer == "fc8"
    assert all(layer.gradient_norm is not None for layer in measured)
    vectors = feature_vectors(network.train(), images)
    network.eval()
    torch.testing.assert_close(network.fc8(vectors), network(images))


def test_features_of_a_network_that_ends_in_a_convolution() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.AdaptiveAvgPool2d(1))
    images = torch.randn(2, 3, 6, 5)
    expected = network[1](network[0](images)).mean((2, 3))
    torch.testing.assert_close(feature_vectors(network, images), expected)
