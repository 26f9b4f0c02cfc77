"""Processes that do not meet. Those that do are in test_doctor.py."""

import time

import pytest
from torch.multiprocessing import active_children

from alexnet.doctor.distributed import assess_sums, check_distributed
from alexnet.doctor.report import Status


def test_one_device_needs_no_processes() -> None:
    (finding,) = check_distributed(1, "cpu")
    assert finding.status is Status.ok
    assert "one device" in finding.message


def test_a_network_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "none0")
    (finding,) = check_distributed(2, "cpu")
    assert finding.status is Status.failed
    assert "none0" in finding.message
    assert "\n" not in finding.message
    assert "GLOO_SOCKET_IFNAME=none0" in finding.advice
    assert active_children() == []


def test_processes_that_do_not_come_up_in_time() -> None:
    began = time.monotonic()
    (finding,) = check_distributed(2, "cpu", timeout=0.2)
    assert finding.status is Status.failed
    assert "not done within 0.2 s" in finding.message
    assert time.monotonic() - began < 10
    assert active_children() == []


@pytest.mark.parametrize(
    ("sums", "status", "expected"),
    [
        ({0: [3, 3, 0.1], 1: [3, 3, 0.2]}, Status.ok, "sums right, 16 MB in 200 ms"),
        ({0: [3, 3, 0.1], 1: [2, 3, 0.2]}, Status.failed, "a wrong sum on rank 1"),
        ({0: [3, 3, 0.1]}, Status.failed, "no sum on rank 1"),
    ],
)
def test_sums(sums: dict[int, list[float]], status: Status, expected: str) -> None:
    finding = assess_sums(sums, 2, "2 processes", "gloo")
    assert finding.status is status
    assert expected in finding.message
