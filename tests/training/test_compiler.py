"""A machine without a compiler trains all the same, and says so once."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from lightning import Trainer
from torch import nn

from alexnet import hardware
from alexnet.callbacks import compiler_check
from alexnet.callbacks.compiler_check import CompilerCheck, check_compiled
from alexnet.config import PerformanceConfig, Strategy
from alexnet.errors import UserError
from alexnet.hardware import compiler_failure
from alexnet.models.lrn import LocalResponseNorm
from alexnet.training.compile import apply_performance_options
from alexnet.training.components import build_components
from alexnet.training.fit import train
from conftest import PROJECT, SMALL, compose_config, request_of
from survival import differences, outcome

CPU = torch.device("cpu")
NO_COMPILER = "Failed to find C compiler. Please specify via CC environment variable."


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    compiler_failure.cache_clear()


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every function that torch.compile makes fails when it is called, as Triton's launchers do."""

    def made(*_: object, **__: object) -> object:
        def run(*_: object, **__: object) -> None:
            raise RuntimeError(f"{NO_COMPILER}\n\nSet TORCHDYNAMO_VERBOSE=1")

        return run

    compiler_failure.cache_clear()
    monkeypatch.setattr(torch, "compile", made)


def network_on_a_gpu(*overrides: str) -> tuple[nn.Module, PerformanceConfig]:
    """What a GPU would be given, on the CPU."""
    config = compose_config(*overrides)
    network = nn.Sequential(nn.Linear(3, 3), LocalResponseNorm(5, 2, 1e-4, 0.75))
    apply_performance_options(network, config.performance, "gpu", Strategy.single)
    assert network._compiled_call_impl is not None
    return network, config.performance


@pytest.mark.usefixtures("broken")
def test_auto_goes_on_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    network, config = network_on_a_gpu()
    with caplog.at_level(logging.WARNING):
        check_compiled(network, config, CPU)
        check_compiled(network, config, CPU)
    (warning,) = caplog.messages
    assert NO_COMPILER in warning
    assert "TORCHDYNAMO" not in warning
    assert "Install a C++ compiler (g++ or clang++), or give its path in CXX" in warning
    assert network._compiled_call_impl is None
    assert network[1].compiled is False  # which would fail, and warn, too


@pytest.mark.usefixtures("broken")
def test_what_was_asked_for_is_an_error() -> None:
    network, config = network_on_a_gpu("performance.compile=network")
    with pytest.raises(UserError, match=r"^performance\.compile=network: .*find C compiler.*compile=none\.$"):
        check_compiled(network, config, CPU)


def test_what_compiles_stays_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler_check, "compiler_failure", lambda _: None)
    network, config = network_on_a_gpu()
    check_compiled(network, config, CPU)
    assert network._compiled_call_impl is not None
    assert network[1].compiled is None


@pytest.mark.usefixtures("broken")
def test_nothing_is_tried_where_nothing_is_to_be_compiled() -> None:
    config = compose_config("performance.compile=lrn").performance
    network = nn.Linear(3, 3)
    apply_performance_options(network, config, "cpu", Strategy.single)
    check_compiled(network, config, CPU)
    assert compiler_failure.cache_info().misses == 0


def test_want_of_memory_is_not_want_of_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 MiB")

    monkeypatch.setattr(hardware.torch, "compile", full)
    with pytest.raises(torch.OutOfMemoryError):
        compiler_failure(CPU)


def test_the_lrn_learns_how_long_a_run_is(tmp_path: Path, synthetic: tuple[str, ...]) -> None:
    """Whether its compilation pays off depends on it; a resumed run has to decide as one without a break."""
    request = request_of(
        tmp_path / "run", *SMALL, *synthetic, "logger=csv", "trainer.max_epochs=3", "model.lrn=true"
    )
    components = build_components(request)
    trainer = Trainer(
        max_epochs=3,
        limit_train_batches=2,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        callbacks=[CompilerCheck(request.config.performance)],
    )
    trainer.fit(components.module, components.datamodule)
    layers = [layer for layer in components.network.modules() if isinstance(layer, LocalResponseNorm)]
    assert [layer.calls for layer in layers] == [6, 6]


@pytest.mark.usefixtures("broken")
def test_the_run_is_the_eager_one(
    tmp_path: Path, synthetic: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit: nothing had begun when the compiler failed."""
    command = (*SMALL, *synthetic, "logger=csv", "trainer.max_epochs=1")
    train(request_of(tmp_path / "plain", *command, "performance.compile=none"))
    monkeypatch.setattr("alexnet.training.components.apply_performance_options", as_on_a_gpu)
    train(request_of(tmp_path / "run", *command))
    actual, expected = outcome(tmp_path / "run"), outcome(tmp_path / "plain")
    log = (tmp_path / "run/train.log").read_text()
    assert log.count("The network runs uncompiled, and slower") == 1
    weights = [each["checkpoints"]["last.ckpt"]["state_dict"] for each in (actual, expected)]
    assert differences(*weights) == []


def as_on_a_gpu(network: nn.Module, config: PerformanceConfig, _: str, strategy: Strategy) -> None:
    apply_performance_options(network, config, "gpu", strategy)


@pytest.mark.parametrize("there", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_real_compiler(there: bool, tmp_path: Path) -> None:
    """Not found by torch itself, with nothing that was compiled before; and found."""
    (tmp_path / "bin").mkdir()
    environment = os.environ | {
        "PYTHONPATH": str(PROJECT / "src"),
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"),
    }
    if not there:
        environment |= {"PATH": str(tmp_path / "bin"), "CXX": "no-such-compiler"}
    code = (
        "import torch; from alexnet.hardware import compiler_failure;"
        "print(compiler_failure(torch.device('cpu')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    (line,) = done.stdout.splitlines()
    assert (line == "None") if there else ("C++ compiler" in line)
