"""The guard speaks up when nothing is learnt, and only then."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from alexnet.callbacks.learning_guard import LearningGuard
from alexnet.errors import UserError
from conftest import compose_config


def after_epochs(losses: list[float], *overrides: str) -> LearningGuard:
    guard = LearningGuard(compose_config(*overrides).callbacks.learning_guard, classes=1000)
    module: Any = None
    for epoch, loss in enumerate(losses):
        trainer: Any = SimpleNamespace(
            current_epoch=epoch,
            global_step=30 * (epoch + 1),
            callback_metrics={"train/loss": torch.tensor(loss)},
            is_global_zero=True,
            optimizers=[SimpleNamespace(param_groups=[{"lr": 0.01}])],
        )
        guard.on_train_epoch_end(trainer, module)
    return guard


def test_warns_at_guessing() -> None:
    guard = after_epochs([6.91, 6.907])
    assert guard.warning is not None
    assert "ln(1000) = 6.908" in guard.warning
    assert "model.init=cuda_convnet_2012" in guard.warning


def test_is_silent_while_learning_and_before_its_time() -> None:
    assert after_epochs([6.91, 6.5]).warning is None
    assert after_epochs([6.91]).warning is None
    assert after_epochs([6.91, 6.907], "callbacks.learning_guard.steps=61").warning is None


def test_judges_once() -> None:
    assert after_epochs([6.91, 5.0, 6.907]).warning is None


def test_stops_where_asked() -> None:
    with pytest.raises(UserError, match="Not learning"):
        after_epochs([6.91, 6.907], "callbacks.learning_guard.stop=true")


def step(guard: LearningGuard, loss: float) -> bool:
    trainer: Any = SimpleNamespace(
        current_epoch=0, global_step=1, optimizers=[SimpleNamespace(param_groups=[{"lr": 0.01}])]
    )
    failed = guard.failed(trainer, torch.tensor(loss))
    if failed:
        with pytest.raises(UserError, match=r"smaller optimizer\.lr \(it is 0\.01\)"):
            guard.fail(trainer)
    return failed


@pytest.mark.parametrize("loss", [math.nan, math.inf, 1001 * math.log(1000)])
def test_a_loss_that_is_lost(loss: float) -> None:
    guard = LearningGuard(compose_config().callbacks.learning_guard, classes=1000)
    assert not step(guard, 6.9)
    assert not step(guard, 999 * math.log(1000)) and not guard.lost
    assert step(guard, loss) and guard.lost
    assert step(guard, 6.9)  # it stays so


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_to_be_skipped(loss: float) -> None:
    config = compose_config("callbacks.learning_guard.nonfinite=skip").callbacks.learning_guard
    guard = LearningGuard(config, classes=1000)
    assert not step(guard, loss)
    assert step(guard, 1001 * math.log(1000))
