"""A device that multiplies wrongly is found."""

import pytest
import torch

from alexnet.doctor import hardware
from alexnet.doctor.hardware import check_product, check_unused_gpus, list_devices, relative_error
from alexnet.doctor.report import Status

CPU = torch.device("cpu")


def test_the_cpu_multiplies() -> None:
    assert list_devices("cpu") == [CPU]
    (finding,) = check_product(CPU)
    assert finding.status is Status.ok
    rate = float(finding.message.split(", ")[-1].split(" GFLOP/s")[0].replace(",", ""))
    assert 0.1 < rate < 1e5


@pytest.mark.parametrize("wrong", [1.0, float("nan"), float("inf")])
def test_one_wrong_number_is_enough(monkeypatch: pytest.MonkeyPatch, wrong: float) -> None:
    def faulty(product: torch.Tensor, expected: torch.Tensor) -> float:
        product = product.clone()
        product[700, 3] += wrong * 100
        return relative_error(product, expected)

    monkeypatch.setattr(hardware, "relative_error", faulty)
    (finding,) = check_product(CPU)
    assert finding.status is Status.failed
    assert "in float32 is wrong by" in finding.message


@pytest.mark.parametrize("dtype", list(hardware.TOLERANCES))
def test_rounding_is_no_fault(dtype: torch.dtype) -> None:
    a, b = (torch.randn(512, 512, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    error = relative_error(a.to(dtype) @ b.to(dtype), a.double() @ b.double())
    assert 0 < error < hardware.TOLERANCES[dtype] / 2


def test_gpus_that_torch_does_not_see() -> None:
    assert list(check_unused_gpus("cpu", [])) == []
    assert list(check_unused_gpus("gpu", ["0"])) == []
    (finding,) = check_unused_gpus("cpu", ["0", "1"])
    assert finding.status is Status.warning
    assert "lists 2 GPUs" in finding.message
    assert "newer driver" in finding.advice


@pytest.mark.gpu
def test_gpus_multiply() -> None:
    for device in list_devices("gpu"):
        (finding,) = check_product(device)
        assert finding.status is Status.ok
        assert "GFLOP/s in bfloat16" in finding.message
