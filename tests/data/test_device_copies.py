"""Copies are waited for where they might read memory that has been freed."""

from pathlib import Path
from typing import Any

import pytest
import torch

from alexnet.data import loader
from alexnet.data.loader import move_to_device


class Recorder:
    """In the place of a tensor, on a machine without the device."""

    def __init__(self) -> None:
        self.calls: list[tuple[torch.device, bool]] = []

    def to(self, device: torch.device, non_blocking: bool = False) -> "Recorder":
        self.calls.append((device, non_blocking))
        return self


@pytest.mark.parametrize(
    ("device", "overlaps"), [("cuda", True), ("cuda:1", True), ("mps", False), ("xpu", False), ("cpu", False)]
)
def test_only_cuda_is_not_waited_for(device: str, overlaps: bool) -> None:
    tensor: Any = Recorder()
    assert move_to_device(tensor, torch.device(device)) is tensor
    assert tensor.calls == [(torch.device(device), overlaps)]


def test_the_rule_is_in_one_place() -> None:
    source = Path(loader.__file__)
    package = source.parents[1]
    assert [path for path in package.rglob("*.py") if "non_blocking" in path.read_text()] == [source]
