"""AlexNet's predecessors and successors against the published numbers, torchvision and plain loops."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models

from alexnet.errors import UserError
from alexnet.models.build import build_network
from alexnet.models.families.lenet5 import LeNet5Config
from alexnet.models.families.torchvision import TorchvisionConfig
from alexnet.models.flops import training_flops
from alexnet.models.lenet5 import CONNECTIONS, LeNet5, PartialConvolution, ScaledTanh, Subsampling
from alexnet.models.torchvision import IMAGENET_STD, TorchvisionNetwork
from alexnet.optim.optimizers import parameter_groups
from conftest import compose_config, model_config


def numbers(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_lenet5_has_the_published_numbers() -> None:
    """Section II.B: 60,000 trained numbers in all; but C1 has three colours here."""
    config = model_config("model=lenet5")
    assert isinstance(config, LeNet5Config)
    torch.manual_seed(0)
    layers = LeNet5(config, 10).layers
    published = {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48_120, "f6": 10_164}
    assert sum(published.values()) == 60_000
    for name, count in published.items():
        assert numbers(getattr(layers, name)) == count + (2 * 25 * 6 if name == "c1" else 0)
    assert sum(map(len, CONNECTIONS)) == 60
    for name, module in layers.named_children():
        if name in ("c1", "c5", "f6"):
            assert module.weight.std().item() == pytest.approx(module.weight[0].numel() ** -0.5, rel=0.1)


def test_lenet5_equals_a_plain_loop() -> None:
    """Kernel by kernel from the table of connections, in numpy and float64."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 6, 8, 8))
    layer = PartialConvolution(3).double()
    nn.init.normal_(layer.bias)
    kernels, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    expected, used = np.zeros((2, 16, 6, 6)), 0
    for target, sources in enumerate(CONNECTIONS):
        expected[:, target] = bias[target]
        for source in sources:
            for top, left in np.ndindex(6, 6):
                patch = x[:, source, top : top + 3, left : left + 3]
                expected[:, target, top, left] += (patch * kernels[used]).sum((1, 2))
            used += 1
    np.testing.assert_allclose(layer(torch.from_numpy(x)).detach().numpy(), expected)

    below = Subsampling(6).double()
    nn.init.normal_(below.bias)
    weight, bias = below.weight.detach().numpy(), below.bias.detach().numpy()
    sums = x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]
    squashed = 1.7159 * np.tanh(2 / 3 * (sums * weight[:, None, None] + bias[:, None, None]))
    ours = ScaledTanh()(below(torch.from_numpy(x)))
    np.testing.assert_allclose(ours.detach().numpy(), squashed)
    assert ScaledTanh()(torch.ones(())).item() == pytest.approx(1, abs=1e-4)


def test_lenet5_sees_the_mean_of_7x7_pixels() -> None:
    network = build_network(model_config("model=lenet5"), 5).double().eval()
    images = torch.randn(2, 3, 224, 224, dtype=torch.float64) * 60
    averaged = images.reshape(2, 3, 32, 7, 32, 7).mean((3, 5)) / 60
    assert isinstance(network, LeNet5)
    torch.testing.assert_close(network(images), network.layers(averaged))
    assert network(images).shape == (2, 5)


@pytest.mark.parametrize(
    ("preset", "count"),
    [("vgg16", 138_357_544), ("googlenet", 6_624_904), ("resnet18", 11_689_512)],
)
def test_published_parameters(preset: str, count: int) -> None:
    """torchvision's table of models: at 1000 classes, without auxiliary outputs."""
    with torch.device("meta"):
        network = models.get_model(preset, weights=None, init_weights=False) if preset != "resnet18" else None
        ours = models.resnet18() if network is None else network
    kept = (p.numel() for name, p in ours.named_parameters() if not name.startswith("aux"))
    assert sum(kept) == count
    if preset == "resnet18":  # the others take seconds to draw
        assert numbers(build_network(model_config(f"model={preset}"), 1000)) == count


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "squeezenet1_1"])
def test_equals_torchvisions_own(name: str) -> None:
    """For mean-subtracted images, where theirs takes them divided by the standard deviations, too."""
    config = model_config("model=torchvision", f"model.name={name}")
    assert isinstance(config, TorchvisionConfig)
    config.image_size = 64
    extra = (
        {"aux_logits": True, "init_weights": False, "transform_input": True} if name == "googlenet" else {}
    )
    torch.manual_seed(0)
    theirs = models.get_model(name, weights=None, num_classes=7, **extra).double().eval()
    ours = TorchvisionNetwork(config, 7).double().eval()
    ours.load_state_dict(ours.convert_state_dict(theirs.state_dict()))
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64) * 60
    expected = theirs(images / torch.tensor(IMAGENET_STD, dtype=torch.float32).double().reshape(3, 1, 1))
    torch.testing.assert_close(ours(images), expected)


def test_an_unknown_torchvision_name() -> None:
    with pytest.raises(UserError, match=r"resnt18: not among torchvision's.* Did you mean resnet18"):
        build_network(model_config("model=torchvision", "model.name=resnt18"), 10)


@pytest.mark.parametrize("preset", ["alexnet", "lenet5", "resnet18", "squeezenet1_1"])
def test_the_last_layer(preset: str) -> None:
    named = (
        ["model=torchvision", "model.name=squeezenet1_1"]
        if preset == "squeezenet1_1"
        else [f"model={preset}"]
    )
    network = build_network(model_config(*named), 10)
    last = {"alexnet": "fc8", "lenet5": "layers.output", "resnet18": "net.fc"}
    assert network.last_layer == last.get(preset, "net.classifier.1")
    assert network.stem.weight.shape[1] == 3


def test_flops_of_resnet18() -> None:
    """1.814 thousand million multiplications and additions forward, by torchvision's table."""
    network = build_network(model_config("model=resnet18"), 1000)
    first = 2 * 112 * 112 * 64 * 3 * 7 * 7
    assert training_flops(network) == pytest.approx(3 * 2 * 1.814e9 - first, rel=1e-3)
    assert network.training


def test_frozen_layers_keep_weights_and_statistics() -> None:
    config = compose_config("model=resnet18", "model.freeze=[net.conv1,net.bn1,net.layer1]")
    network = build_network(config.model, 10).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    groups = parameter_groups(network, config.optimizer)
    optimizer = torch.optim.SGD(groups, lr=0.1)
    network(torch.randn(2, 3, 64, 64) * 50).square().sum().backward()
    optimizer.step()
    for name, value in network.state_dict().items():
        frozen = name.startswith(("net.conv1", "net.bn1", "net.layer1"))
        assert torch.equal(value, before[name]) == frozen, name
    assert math.isfinite(float(value.sum()))


def test_freezing_an_unknown_layer() -> None:
    with pytest.raises(UserError, match=r"model\.freeze=conv9: no such layer. Did you mean conv"):
        build_network(model_config("model.freeze=[conv9]", "model.width=0.05"), 10)
