"""Freed memory is used again."""

import platform
import subprocess
import sys

import pytest

from alexnet import hardware
from conftest import PROJECT

COUNT_FAULTS = """
import resource, sys
import torch
from alexnet.hardware import retain_malloc
if sys.argv[1] == "keep":
    assert retain_malloc()
def step():
    return torch.ones(16, 2**20).relu().sum().item()
for _ in range(5):  # until every size has found its place
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    assert step() == 2**24
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode: str) -> int:
    command = [sys.executable, "-c", COUNT_FAULTS, mode]
    environment = {"PYTHONPATH": str(PROJECT / "src"), "THP_MEM_ALLOC_ENABLE": "0"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True, env=environment)
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_is_used_again() -> None:
    pages = 5 * 2 * 2**26 // 4096
    assert page_faults("default") > pages / 2
    assert page_faults("keep") < pages / 100


def test_another_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not hardware.retain_malloc()
