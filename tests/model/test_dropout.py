"""Dropout scaled at test time."""

import torch
from torch import nn

from alexnet.choices import DropoutScaling
from alexnet.model.dropout import TestScaledDropout, dropout
from alexnet.model.network import AlexNet
from conftest import model_config


def test_masks_in_training_and_scales_at_test() -> None:
    layer = TestScaledDropout(0.3)
    x = torch.rand(1000, 100) + 1
    kept = layer.train()(x)
    assert torch.equal(kept[kept != 0], x[kept != 0])  # not scaled up
    assert abs((kept == 0).float().mean().item() - 0.3) < 0.01
    torch.testing.assert_close(layer.eval()(x), 0.7 * x)


def test_gradient_follows_the_mask() -> None:
    x = torch.rand(50, 20, requires_grad=True)
    y = TestScaledDropout(0.5).train()(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad != 0, y != 0)


def test_kinds() -> None:
    assert isinstance(dropout(0.0, DropoutScaling.test), nn.Identity)
    assert isinstance(dropout(0.5, DropoutScaling.train), nn.Dropout)
    assert isinstance(dropout(0.5, DropoutScaling.test), TestScaledDropout)


def test_half_of_the_outputs_of_fc6_and_fc7() -> None:
    network = AlexNet(model_config("model.width=0.125", "model.activation=identity"), 10).train()
    inputs = {}
    network.fc7.register_forward_hook(lambda _m, args, _o: inputs.update(fc7=args[0]))
    network.fc8.register_forward_hook(lambda _m, args, _o: inputs.update(fc8=args[0]))
    network(torch.randn(4, 3, 227, 227))
    for name, x in inputs.items():
        assert 0.4 < (x == 0).float().mean().item() < 0.6, name
