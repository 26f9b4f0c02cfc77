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
