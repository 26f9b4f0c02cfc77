"""Weights that do not come back from the disk as they were are found."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from alexnet.doctor import capacity
from alexnet.doctor.capacity import check_checkpoint, differing_tensors
from alexnet.doctor.report import Status


def test_there_and_back(tmp_path: Path) -> None:
    (finding,) = check_checkpoint(nn.Linear(1000, 1000), tmp_path)
    assert finding.status is Status.ok
    assert finding.message.startswith("4 MB written and read, the same bit for bit")
    assert list(tmp_path.iterdir()) == []


def test_one_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = capacity.round_trip

    def damaged(path: Path, content: dict[str, Any]) -> dict[str, Any]:
        restored = original(path, content)
        restored["state_dict"]["weight"].view(torch.int32)[2, 3] ^= 1
        return restored

    monkeypatch.setattr(capacity, "round_trip", damaged)
    (finding,) = check_checkpoint(nn.Linear(5, 5), tmp_path)
    assert finding.status is Status.failed
    assert finding.message == "weight: not what was written (1 of 2 tensors)"


def test_bits_not_values() -> None:
    nan, zero = torch.tensor([float("nan")]), torch.tensor([0.0])
    assert differing_tensors({"a": nan}, {"a": nan.clone()}) == []
    assert differing_tensors({"a": zero, "b": zero, "c": zero}, {"a": -zero, "b": zero.double()}) == [
        "a",
        "b",
        "c",
    ]
