"""Arithmetic of a training step against a count by hand, and the rate of a matrix product."""

import pytest
import torch

from alexnet import hardware
from alexnet.hardware import measure_matrix_rate
from alexnet.models.alexnet import AlexNet
from alexnet.models.flops import training_flops
from conftest import model_config

CONV1 = 55 * 55 * 96 * 11 * 11 * 3


@pytest.mark.parametrize(
    ("columns", "forward"),
    [
        # alexnet-facts, by layer: outputs x inputs of each
        (1, CONV1 + 27**2 * 256 * 25 * 96 + 13**2 * 9 * (384 * 256 + 384 * 384 + 256 * 384)),
        (2, CONV1 + 27**2 * 256 * 25 * 48 + 13**2 * 9 * (384 * 256 + 384 * 192 + 256 * 192)),
    ],
)
def test_three_times_forward_less_the_images_gradient(columns: int, forward: int) -> None:
    forward += 9216 * 4096 + 4096 * 4096 + 4096 * 1000
    assert forward == pytest.approx({1: 1_135.3e6, 2: 724.4e6}[columns], rel=1e-4)  # the reference's figures
    with torch.device("meta"):
        network = AlexNet(model_config(f"model.columns={columns}", "model.init=pytorch"), 1000)
    assert training_flops(network) == 2 * (3 * forward - CONV1)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "64-true"])
def test_rate_of_a_matrix_product(precision: str) -> None:
    """Positive, below any processor's, and no draw from the run's own generator."""
    before = torch.get_rng_state()
    assert 1e8 < measure_matrix_rate(torch.device("cpu"), precision) < 1e15
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("device", "times"), [("cuda", 1), ("cpu", 0)])
def test_memory_of_the_product_is_not_the_runs_peak(
    device: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    reset: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset.append)
    monkeypatch.setattr(hardware, "product_rate", lambda *_: 1e9)
    assert measure_matrix_rate(torch.device(device), "32-true") == 1e9
    assert reset == times * [torch.device(device)]
