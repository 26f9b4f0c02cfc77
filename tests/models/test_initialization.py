"""Initial weights against the published numbers."""

import math

import pytest
import torch

from alexnet.models.alexnet import AlexNet
from conftest import model_config

ONES = {"conv2", "conv4", "conv5", "fc6", "fc7"}  # paper §5
LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")


def expected(init: str, layer: str) -> tuple[float, float]:
    """(standard deviation, bias), written from alexnet's sources, apart from the code's own table."""
    bias = 1.0 if layer in ONES else 0.0
    if init == "cuda_convnet_2012":
        return (0.03 if layer in ("conv3", "conv4", "conv5") else 0.01), bias
    if init == "caffe":
        return (0.005 if layer in ("fc6", "fc7") else 0.01), bias / 10
    return 0.01, bias


@pytest.mark.parametrize("width", [1, 0.25])
@pytest.mark.parametrize("init", ["paper", "cuda_convnet_2012", "caffe"])
def test_published_schemes(init: str, width: float) -> None:
    torch.manual_seed(0)
    network = AlexNet(model_config(f"model.init={init}", f"model.width={width}"), 100)
    for name in LAYERS:
        layer = network.get_submodule(name)
        std, bias = expected(init, name)
        std *= 1 if name == "conv1" else width**-0.5  # a quarter of the inputs, twice the deviation
        spread = 4 / math.sqrt(2 * layer.weight.numel())  # four standard errors
        assert layer.weight.std().item() == pytest.approx(std, rel=spread), name
        assert abs(layer.weight.mean().item()) < 4 * std / math.sqrt(layer.weight.numel()), name
        assert (layer.bias == bias).all(), name


@pytest.mark.parametrize("columns", [1, 2])
def test_he(columns: int) -> None:
    """He's rule in convolutions, 0.01 behind them, as in torchvision's VGG."""
    network = AlexNet(model_config("model.init=he", "model.width=0.5", f"model.columns={columns}"), 100)
    for name in LAYERS:
        layer = network.get_submodule(name)
        std = math.sqrt(2 / layer.weight[0].numel()) if name.startswith("conv") else 0.01 / math.sqrt(0.5)
        assert layer.weight.std().item() == pytest.approx(std, rel=0.05), name
        assert (layer.bias == 0).all()


@pytest.mark.parametrize("init", ["cuda_convnet_2012", "caffe", "pytorch", "he"])
def test_the_loss_starts_near_chance(init: str) -> None:
    """Of inputs as large as pixels are; with He's rule in all layers it was 20."""
    torch.manual_seed(0)
    network = AlexNet(model_config(f"model.init={init}", "model.width=0.25"), 10)
    with torch.no_grad():
        logits = network(60 * torch.randn(16, 3, 227, 227))
    loss = torch.nn.functional.cross_entropy(logits, torch.arange(16) % 10)
    assert loss.item() < 2 * math.log(10)


def test_pytorch_is_torchs_default() -> None:
    network = AlexNet(model_config("model.init=pytorch", "model.width=0.5"), 100)
    for name in LAYERS:
        layer = network.get_submodule(name)
        bound = 1 / math.sqrt(layer.weight[0].numel())
        assert layer.weight.abs().max().item() == pytest.approx(bound, rel=0.02), name


def test_seed_decides() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return AlexNet(model_config("model.width=0.0625"), 10).conv3.weight

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))
