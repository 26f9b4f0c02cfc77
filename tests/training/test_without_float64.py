"""What a run does on its device can be done on one without float64."""

from pathlib import Path

import pytest
import torch

from alexnet.hardware import measure_matrix_rate
from alexnet.models.layer_stats import measure_layers
from alexnet.training.fit import train
from conftest import SMALL, request_of
from no_float64 import NoFloat64


def test_the_device_refuses_it() -> None:
    with NoFloat64(), pytest.raises(TypeError, match="doesn't support float64"):
        torch.ones(2, dtype=torch.bool).double()


@pytest.mark.parametrize("gradients", [True, False])
def test_layers_are_measured(gradients: bool) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    torch.nn.init.constant_(network[0].bias, -100)  # all units dead
    batches = [(torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1]))]
    with NoFloat64():
        first, _ = measure_layers(network, batches, gradients=gradients)
    assert first.dead_fraction == 1


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param(("trainer.precision=32-true",), marks=pytest.mark.slow),
        pytest.param(
            ("trainer.precision=bf16-mixed", "data.val_crops=ten", "callbacks.nan_monitor.nonfinite=skip"),
            marks=pytest.mark.slow,
        ),
        ("trainer.precision=32-true", "model.columns=2", "scheduler=plateau", "optimizer=cuda_convnet_2012"),
    ],
)
def test_a_run(overrides: tuple[str, ...], tmp_path: Path, synthetic: tuple[str, ...]) -> None:
    """With its probe of the layers, training, validation and checkpoints, from beginning to end."""
    probed = (
        "callbacks.activation_monitor.images=8",
        "performance.compile=none",
        "logger=csv",
        "trainer.max_epochs=1",
    )
    request = request_of(tmp_path / "run", *SMALL, *synthetic, *probed, *overrides)
    with NoFloat64():
        error = train(request)
    assert error is not None
    rows = (tmp_path / "run/layers.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 8  # eight layers, before and after


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_matrix_rate(precision: str) -> None:
    with NoFloat64():
        assert measure_matrix_rate(torch.device("cpu"), precision) > 0
