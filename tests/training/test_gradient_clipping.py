"""Gradient clipping: how far the weights move in one step."""

from pathlib import Path

import pytest
import torch

from alexnet.training.components import build_components
from alexnet.training.fit import train
from conftest import SMALL, request_of

ONE_STEP = (
    *("trainer.max_epochs=1", "trainer.limit_train_batches=1", "trainer.limit_val_batches=1", "logger=csv"),
    *("optimizer=pytorch_sgd", "optimizer.momentum=0", "optimizer.weight_decay=0", "scheduler=constant"),
    *("optimizer.bias_weight_decay=0", "optimizer.lr=0.5", "trainer.precision=64-true"),
)


def moved(folder: Path, *overrides: str) -> torch.Tensor:
    """The changes of all weights in one step, divided by the rate."""
    request = request_of(folder, *SMALL, *ONE_STEP, *overrides)
    train(request)
    before = build_components(request).network.state_dict()
    after = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    changes = [(after[f"network.{name}"] - weight).flatten() for name, weight in before.items()]
    return torch.cat(changes) / 0.5


def test_by_norm_and_by_value(tmp_path: Path, synthetic: tuple[str, ...]) -> None:
    """All gradients together are made shorter, and keep their direction; or each is cut off."""
    plain = moved(tmp_path / "plain", *synthetic)
    assert plain.norm() > 0.02
    by_norm = moved(tmp_path / "norm", *synthetic, "trainer.gradient_clip_val=0.01")
    torch.testing.assert_close(by_norm, plain * (0.01 / plain.norm()), rtol=1e-3, atol=1e-9)
    limit = float(plain.abs().max()) / 4
    by_value = moved(
        *(tmp_path / "value", *synthetic, f"trainer.gradient_clip_val={limit}"),
        "trainer.gradient_clip_algorithm=value",
    )
    torch.testing.assert_close(by_value, plain.clamp(-limit, limit), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("trainer.gradient_clip_val=0", "trainer.gradient_clip_val=0.0: expected a number above 0"),
        ("trainer.gradient_clip_algorithm=l2", "gradient_clip_algorithm=l2: expected one of norm, value"),
    ],
)
def test_mistakes(typed: str, told: str) -> None:
    from test_config import mistake

    assert told in mistake(typed)
