"""A loss that has diverged is noticed, and stays noticed."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from alexnet.callbacks.nan_monitor import NaNMonitor
from alexnet.errors import UserError
from conftest import compose_config


def step(monitor: NaNMonitor, loss: float) -> bool:
    trainer: Any = SimpleNamespace(
        current_epoch=0, global_step=1, optimizers=[SimpleNamespace(param_groups=[{"lr": 0.01}])]
    )
    diverged = monitor.update(trainer, torch.tensor(loss))
    if diverged:
        with pytest.raises(UserError, match=r"smaller optimizer\.lr \(now 0\.01\)"):
            monitor.fail(trainer)
    return diverged


@pytest.mark.parametrize("loss", [math.nan, math.inf, 1001 * math.log(1000)])
def test_a_diverged_loss(loss: float) -> None:
    monitor = NaNMonitor(compose_config().callbacks.nan_monitor, chance_loss=math.log(1000))
    assert not step(monitor, 6.9)
    assert not step(monitor, 999 * math.log(1000)) and not monitor.diverged
    assert step(monitor, loss) and monitor.diverged
    assert step(monitor, 6.9)  # it stays so


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_to_skip(loss: float) -> None:
    config = compose_config("callbacks.nan_monitor.nonfinite=skip").callbacks.nan_monitor
    monitor = NaNMonitor(config, chance_loss=math.log(1000))
    assert not step(monitor, loss)
    assert step(monitor, 1001 * math.log(1000))


def test_advice_that_is_not_yet_followed() -> None:
    """Where steps are skipped already, a run that fails is not told to skip them."""
    config = compose_config("callbacks.nan_monitor.nonfinite=skip").callbacks.nan_monitor
    trainer: Any = SimpleNamespace(
        current_epoch=0, global_step=9, optimizers=[SimpleNamespace(param_groups=[{"lr": 0.01}])]
    )
    for in_a_row, told in ((0, "over 1000 times the loss"), (101, "gradients of 101 steps in a row")):
        monitor = NaNMonitor(config, 1.0)
        monitor._in_a_row = in_a_row
        with pytest.raises(UserError, match=told) as caught:
            monitor.fail(trainer)
        assert "nonfinite=skip" not in str(caught.value)
        assert "no longer finite" not in str(caught.value)
