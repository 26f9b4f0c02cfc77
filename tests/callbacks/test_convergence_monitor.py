"""A warning when nothing is learned, and only then."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from alexnet.callbacks.convergence_monitor import ConvergenceMonitor
from alexnet.errors import UserError
from conftest import compose_config


def after_epochs(losses: list[float], *overrides: str) -> ConvergenceMonitor:
    monitor = ConvergenceMonitor(
        compose_config(*overrides).callbacks.convergence_monitor, chance_loss=math.log(1000)
    )
    module: Any = None
    for epoch, loss in enumerate(losses):
        trainer: Any = SimpleNamespace(
            current_epoch=epoch,
            global_step=30 * (epoch + 1),
            callback_metrics={"train/loss": torch.tensor(loss)},
            is_global_zero=True,
            optimizers=[SimpleNamespace(param_groups=[{"lr": 0.01}])],
        )
        monitor.on_train_epoch_end(trainer, module)
    return monitor


def test_warns_at_chance() -> None:
    monitor = after_epochs([6.91, 6.907])
    assert monitor.warning is not None
    assert "chance level is 6.908" in monitor.warning
    assert "other initial weights (with the paper's, model.init=paper" in monitor.warning


def test_no_warning_while_learning_or_too_early() -> None:
    assert after_epochs([6.91, 6.5]).warning is None
    assert after_epochs([6.91]).warning is None
    assert after_epochs([6.91, 6.907], "callbacks.convergence_monitor.steps=61").warning is None


def test_checks_once() -> None:
    assert after_epochs([6.91, 5.0, 6.907]).warning is None


def test_a_network_that_begins_late_is_not_warned_of_in_the_end() -> None:
    assert after_epochs([6.91, 6.907, 6.906]).warning is not None
    assert after_epochs([6.91, 6.907, 6.5]).warning is None


def test_stops_if_configured() -> None:
    with pytest.raises(UserError, match="Not learning"):
        after_epochs([6.91, 6.907], "callbacks.convergence_monitor.stop=true")
