"""Memory and disk that a network needs, against sums by hand."""

import pytest
from torch import nn

from alexnet.doctor.capacity import ResourceEstimate, check_memory, estimate_resources
from alexnet.doctor.report import Status
from conftest import compose_config

PARAMETERS = 1_000_000
IMAGE = 3 * 227 * 227


@pytest.mark.parametrize(
    ("overrides", "weights", "memory"),
    [
        ((), 4e6, 12e6 + 4 * 16 * IMAGE),
        (("trainer.devices=2",), 4e6, 12e6 + 4 * 8 * IMAGE),
        (("trainer.devices=2", "strategy=fsdp"), 4e6, 6e6 + 4 * 8 * IMAGE),
        (("trainer.devices=2", "strategy=model_parallel", "model.columns=2"), 4e6, 6e6 + 4 * 16 * IMAGE),
        (("trainer.precision=64-true",), 8e6, 24e6 + 8 * 16 * IMAGE),
        (("trainer.precision=bf16-true",), 2e6, 6e6 + 2 * 16 * IMAGE),
        (("trainer.precision=bf16-mixed",), 4e6, 12e6 + 4 * 16 * IMAGE),
        (("optimizer=adamw",), 4e6, 16e6 + 4 * 16 * IMAGE),
        (("callbacks.ema.decay=0.99",), 4e6, 16e6 + 4 * 16 * IMAGE),
    ],
)
def test_bytes(overrides: tuple[str, ...], weights: float, memory: float) -> None:
    network = nn.Linear(1000, 1000, bias=False)
    estimate = estimate_resources(compose_config(*overrides), network)
    assert (estimate.weights, estimate.memory) == (weights, memory)
    extra = overrides in (("optimizer=adamw",), ("callbacks.ema.decay=0.99",))
    assert (estimate.last_checkpoint, estimate.best_checkpoint) == ((3 if extra else 2) * weights, weights)


def test_memory() -> None:
    estimate = ResourceEstimate(weights=0, memory=2_000_000_000)
    for free, processes, status in ((4.5e9, 2, Status.ok), (3.9e9, 2, Status.failed), (3.9e9, 1, Status.ok)):
        (finding,) = check_memory(estimate, free, processes)
        assert finding.status is status
        assert f"{2 * processes:.2f} GB at least" in finding.message
    assert "data.batch_size" in next(check_memory(estimate, 1e9, 1)).advice
    assert next(check_memory(estimate, None, 1)).status is Status.ok
