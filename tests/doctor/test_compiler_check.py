"""A compiler that is wanted and does not work is found; one that is not wanted is not looked for."""

import pytest
import torch

from alexnet.config import Compile
from alexnet.doctor import hardware
from alexnet.doctor.hardware import check_compiler
from alexnet.doctor.report import Status
from conftest import compose_config

MISSING = "Failed to find C compiler."


@pytest.mark.parametrize(
    ("asked", "compiled", "device", "status"),
    [
        ("auto", Compile.network, "cuda", Status.warning),
        ("auto", Compile.lrn, "cpu", Status.warning),
        ("lrn", Compile.lrn, "cuda", Status.warning),
        ("network", Compile.network, "cuda", Status.failed),
    ],
)
def test_missing(
    asked: str, compiled: Compile, device: str, status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "compiler_failure", lambda _: MISSING)
    speed = compose_config(f"performance.compile={asked}").performance
    (finding,) = check_compiler(speed, compiled, torch.device(device))
    assert finding.status is status
    assert MISSING in finding.message
    assert ("in CC" in finding.advice) == (device == "cuda")


@pytest.mark.parametrize(("compiled", "device"), [(Compile.none, "cuda"), (Compile.lrn, "mps")])
def test_not_wanted(compiled: Compile, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "compiler_failure", lambda _: pytest.fail("looked for"))
    assert list(check_compiler(compose_config().performance, compiled, torch.device(device))) == []


def test_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "compiler_failure", lambda _: None)
    (finding,) = check_compiler(compose_config().performance, Compile.network, torch.device("cuda"))
    assert (finding.status, finding.message) == (Status.ok, "compiles for cuda, as needed for the network")
