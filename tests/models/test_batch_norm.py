"""Batch normalization against numpy, and where it stands in the network."""

import numpy as np
import pytest
import torch

from alexnet.errors import UserError
from alexnet.models.alexnet import AlexNet
from alexnet.models.batch_norm import BatchNorm
from conftest import model_config


@pytest.fixture
def norm() -> BatchNorm:
    norm = BatchNorm(3).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.5, 2.0, -1.0]))
        norm.bias.copy_(torch.tensor([1.0, 0.0, 3.0]))
    return norm


def by_numpy(x: np.ndarray, mean: np.ndarray, var: np.ndarray) -> np.ndarray:
    weight, bias = np.array([0.5, 2.0, -1.0]), np.array([1.0, 0.0, 3.0])
    scaled = (x - mean[:, None, None]) / np.sqrt(var[:, None, None] + 1e-5)
    return weight[:, None, None] * scaled + bias[:, None, None]


def test_is_the_published_formula(norm: BatchNorm) -> None:
    """Algorithm 1 in training; in evaluation running statistics, with the unbiased variance."""
    x = np.random.default_rng(0).normal(3, 2, (4, 3, 5, 6))
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
    np.testing.assert_allclose(norm(torch.from_numpy(x)).detach(), by_numpy(x, mean, var), rtol=1e-10)
    running_mean, running_var = 0.1 * mean, 0.9 + 0.1 * x.var((0, 2, 3), ddof=1)
    norm.eval()
    expected = by_numpy(x, running_mean, running_var)
    np.testing.assert_allclose(norm(torch.from_numpy(x)).detach(), expected, rtol=1e-6)


def test_synchronized_alone_is_the_same(norm: BatchNorm, monkeypatch: pytest.MonkeyPatch) -> None:
    """The written-out form, with a group of one: values, gradients and running statistics."""
    monkeypatch.setattr("alexnet.models.batch_norm.all_reduce", lambda values: values)
    other = BatchNorm(3).double()
    other.load_state_dict(norm.state_dict())
    other.synchronized = True
    x = torch.randn(4, 3, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 100
    inputs, outputs = [x.clone().requires_grad_() for _ in range(2)], []
    for layer, given in zip((norm, other), inputs, strict=True):
        outputs.append(layer(given))
        outputs[-1].square().sum().backward()
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad, rtol=1e-8, atol=1e-10)
    for one, two in zip(norm.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(two.grad, one.grad, rtol=1e-10, atol=1e-10)
    for one, two in zip(norm.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(two, one, rtol=1e-12, atol=0)


@pytest.mark.parametrize("preset", ["alexnet", "alexnet_2012", "alexnet_torchvision"])
def test_stands_between_each_convolution_and_its_activation(preset: str) -> None:
    config = model_config(f"model={preset}", "model.batch_norm=true", "model.width=0.0625")
    network = AlexNet(config, 10)
    norms = [name for name, layer in network.named_modules() if isinstance(layer, BatchNorm)]
    assert norms == [f"stage{number}.norm" for number in range(1, 6)]
    for number in range(1, 6):
        stage = getattr(network, f"stage{number}")
        assert next(iter(dict(stage.named_children()))) == "norm"
        assert stage.norm.num_features == getattr(network, f"conv{number}").out_channels
    without = AlexNet(model_config(f"model={preset}", "model.width=0.0625"), 10)
    assert not any(isinstance(layer, BatchNorm) for layer in without.modules())
    assert "batch norm" in config.features and "batch norm" not in without.config.features


def test_a_layer_that_is_left_out_leaves_its_norm_out() -> None:
    config = model_config("model.batch_norm=true", "model.remove_layers=[conv4]", "model.width=0.0625")
    network = AlexNet(config, 10)
    assert "stage4" not in dict(network.named_children())
    assert network(torch.zeros(2, 3, 227, 227)).shape == (2, 10)


def test_only_where_there_is_one() -> None:
    with pytest.raises(UserError, match=r"model\.batch_norm: there is no such key|Key 'batch_norm'"):
        try:
            model_config("model=lenet5", "model.batch_norm=true")
        except Exception as error:
            raise UserError(str(error.__cause__)) from error
