"""Learning rates over a run."""

import math

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from alexnet.optim.optimizers import build_optimizer
from conftest import compose_config


def rates(epochs: int, *overrides: str, errors: list[float] | None = None) -> list[list[float]]:
    """The rate of weights and biases in each epoch."""
    config = compose_config("optimizer=cuda_convnet_2012", "optimizer.lr=0.01", *overrides)
    optimizer = build_optimizer(nn.Linear(2, 2), config.optimizer)
    schedule = config.scheduler.build(optimizer, epochs)
    seen = []
    for epoch in range(epochs):
        seen.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        if isinstance(schedule, ReduceLROnPlateau):
            assert errors is not None
            schedule.step(torch.tensor(errors[epoch]))
        elif schedule is not None:
            schedule.step()
    return seen


def test_step_drops_where_the_2010_run_did() -> None:
    seen = [weights for weights, _ in rates(93, "scheduler=step")]
    drops = [epoch for epoch in range(1, 93) if seen[epoch] < seen[epoch - 1]]
    assert drops == [23, 51, 78]
    assert seen[-1] == pytest.approx(1e-5)


def test_2012_run() -> None:
    config = compose_config("experiment=alexnet_2012", "data.root=.")
    assert config.trainer.max_epochs == 91
    assert [round(m * 91) for m in config.scheduler.milestones] == [25, 51, 79]


def test_step_on_a_short_run() -> None:
    seen = [weights for weights, _ in rates(4, "scheduler=step")]
    assert seen == pytest.approx([0.01, 0.001, 1e-4, 1e-5])


def test_plateau_divides_by_ten_three_times_and_no_more() -> None:
    seen = rates(40, "scheduler=plateau", "scheduler.patience=4", errors=[50.0] * 40)
    weights = [rate for rate, _ in seen]
    assert weights[:6] == pytest.approx([0.01] * 6)
    assert weights[6] == pytest.approx(0.001)
    assert weights[-1] == pytest.approx(1e-5)
    assert [bias for _, bias in seen] == pytest.approx([2 * rate for rate in weights])


def test_plateau_waits_while_the_error_falls() -> None:
    falling = [50.0 - epoch for epoch in range(20)]
    assert [w for w, _ in rates(20, "scheduler=plateau", errors=falling)] == pytest.approx([0.01] * 20)


def test_cosine() -> None:
    seen = [weights for weights, _ in rates(10, "scheduler=cosine")]
    assert seen == pytest.approx([0.005 * (1 + math.cos(math.pi * epoch / 10)) for epoch in range(10)])


def test_constant() -> None:
    assert rates(5, "scheduler=constant") == [[0.01, 0.02]] * 5
