"""Dropout: its masks, its scaling, and that they follow from image and unit alone."""

import numpy as np
import pytest
import torch
from torch import Tensor

from alexnet.models.alexnet import AlexNet
from alexnet.models.dropout import Dropout
from alexnet.models.families.alexnet import DropoutScaling
from conftest import model_config

SEEDS = torch.from_numpy(np.random.default_rng(0).integers(0, 2**32, 2000))


def masks(p: float, units: int, *, dropout_seeds: Tensor = SEEDS, number: int = 6) -> Tensor:
    """1 where a unit is dropped, [images, units]."""
    layer = Dropout(p, DropoutScaling.test, number).train()
    return (layer(torch.ones(len(dropout_seeds), units, dtype=torch.float64), dropout_seeds) == 0).double()


@pytest.mark.parametrize("drawn", ["by seeds", "by torch"])
def test_masks_in_training_and_scales_at_test(drawn: str) -> None:
    layer = Dropout(0.3, DropoutScaling.test, 6)
    x = torch.rand(1000, 100) + 1
    kept = layer.train()(x, SEEDS[:1000] if drawn == "by seeds" else None)
    assert torch.equal(kept[kept != 0], x[kept != 0])  # not scaled up
    assert abs((kept == 0).float().mean().item() - 0.3) < 0.01
    torch.testing.assert_close(layer.eval()(x), 0.7 * x)


def test_torchs_scaling() -> None:
    layer = Dropout(0.2, DropoutScaling.train, 6)
    x = torch.rand(1000, 100) + 1
    kept = layer.train()(x, SEEDS[:1000])
    torch.testing.assert_close(kept[kept != 0], x[kept != 0] / 0.8)
    assert torch.equal(layer.eval()(x), x)


def test_without_dropout_nothing_changes() -> None:
    x = torch.rand(5, 3)
    for scaling in DropoutScaling:
        layer = Dropout(0, scaling, 6)
        assert layer.train()(x) is x
        assert layer.eval()(x) is x


def test_gradient_follows_the_mask() -> None:
    x = torch.rand(50, 20, requires_grad=True)
    y = Dropout(0.5, DropoutScaling.test, 6).train()(x, SEEDS[:50])
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad != 0, y != 0)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_each_unit_and_each_image_loses_its_share(p: float) -> None:
    dropped = masks(p, 512)
    for axis, count in ((0, 2000), (1, 512)):
        error = (dropped.mean(axis) - p) / np.sqrt(p * (1 - p) / count)  # standard normal, were they fair
        assert error.abs().max() < 5
        assert abs(error.std().item() - 1) < 0.12


def test_units_images_and_layers_are_independent() -> None:
    """No two columns, rows or layers agree more often than fair coins: 5 standard errors of 130,816 pairs."""
    dropped = masks(0.5, 512)
    for dropped_part in (dropped, dropped[:512].T):
        signs = 2 * dropped_part - 1
        agreement = (signs.T @ signs) / np.sqrt(len(signs))
        agreement.fill_diagonal_(0)
        assert agreement.abs().max() < 5.5
        assert abs(agreement.std().item() - 1) < 0.05
    other = masks(0.5, 512, number=7)
    assert abs(((dropped == other).double().mean() - 0.5).item()) < 5 / (2 * np.sqrt(dropped.numel()))


def test_consecutive_seeds_are_as_good() -> None:
    dropped = masks(0.5, 64, dropout_seeds=torch.arange(4096))
    words = (dropped[:, :8] @ (2.0 ** torch.arange(8, dtype=torch.float64))).long()  # 256 patterns
    expected = 4096 / 256
    chi_squared = ((torch.bincount(words, minlength=256) - expected) ** 2 / expected).sum().item()
    assert 160 < chi_squared < 370  # mean 255, standard deviation 22.6: five of them


def test_a_mask_follows_from_image_and_unit_alone() -> None:
    """Whichever batch the image is in, and whichever units of the layer are computed here."""
    x = torch.ones(2000, 40)
    layer = Dropout(0.5, DropoutScaling.test, 6).train()
    whole = layer(x, SEEDS)
    turned = torch.randperm(2000)
    assert torch.equal(layer(x, SEEDS[turned]), whole[turned])
    layer.first_unit = 30
    assert torch.equal(layer(x[:, 30:], SEEDS), whole[:, 30:])


def test_half_of_the_outputs_of_fc6_and_fc7() -> None:
    network = AlexNet(model_config("model.width=0.125", "model.activation=identity"), 10).train()
    inputs = {}
    network.fc7.register_forward_hook(lambda _m, args, _o: inputs.update(fc7=args[0]))
    network.fc8.register_forward_hook(lambda _m, args, _o: inputs.update(fc8=args[0]))
    network(torch.randn(4, 3, 227, 227), SEEDS[:4])
    for name, x in inputs.items():
        assert 0.4 < (x == 0).float().mean().item() < 0.6, name
