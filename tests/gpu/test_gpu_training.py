"""Training on a GPU gives what it gives on the CPU, however its steps are launched.

`make test-gpu` runs these on a GPU, in minutes. Each also runs on the CPU in the GPU's place, with the slow
tests: the same lines, so that none is first run where time is short.
"""

import copy
import csv
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from torch import distributed
from torch._dynamo.utils import counters
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor
from torch.nn.functional import cross_entropy

from alexnet.config import ValCrops
from alexnet.distributed.parallelize import apply_column_parallel
from alexnet.errors import UserError
from alexnet.hardware import compiler_failure
from alexnet.models.alexnet import AlexNet
from alexnet.runs.trained_model import load_trained_model, probabilities
from alexnet.training import fit
from alexnet.training.module import ClassificationModule
from conftest import PROJECT, Train, model_config, request_of
from survival import differences, outcome

# 20 steps of 15 and 16 images, in float32 unless a test says otherwise
COMMON = (
    *("model.width=0.125", "model.fc_units=[256,256]", "trainer.max_epochs=5", "logger=csv"),
    *("trainer.precision=32-true", "performance.compile=none", "callbacks.activation_monitor.images=null"),
)
STEPS = 20
BF16 = "trainer.precision=bf16-mixed"
FIRST_STEP = 1e-5  # relative: one forward pass, in another order of its sums
ALL_STEPS = 1e-3  # relative: what twenty updates make of that


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("gpu", marks=pytest.mark.gpu),
        pytest.param("cpu", marks=pytest.mark.slow),
    ],
)
def accelerator(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(autouse=True)
def _packages_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs find what this process has found: on a borrowed GPU it may lie in a folder of its own."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))


@pytest.fixture
def device(accelerator: str) -> torch.device:
    return torch.device("cuda" if accelerator == "gpu" else "cpu")


class Watched(Callback):
    """The loss of each step, and the memory that torch holds on the GPU at the end of each epoch."""

    def __init__(self) -> None:
        self.losses: list[Any] = []
        self.reserved: list[int] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.losses.append(outputs["loss"].detach())

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.reserved.append(torch.cuda.memory_reserved())


class Run(NamedTuple):
    """A run that has ended."""

    folder: Path
    losses: list[float]
    reserved: list[int]

    @property
    def result(self) -> dict[str, Any]:
        return json.loads((self.folder / "result.json").read_text())


def train_here(folder: Path, *overrides: str, callbacks: tuple[Callback, ...] = ()) -> Run:
    """Train in this process; keys that are given twice count as last given."""
    watched, lightning_fit = Watched(), Trainer.fit

    def watched_fit(trainer: Trainer, *arguments: Any, **named: Any) -> None:
        trainer.callbacks[:0] = callbacks
        trainer.callbacks.append(watched)
        lightning_fit(trainer, *arguments, **named)

    last = {item.partition("=")[0]: item for item in (*COMMON, *overrides)}
    with patch.object(Trainer, "fit", watched_fit):
        fit.train(request_of(folder, *last.values()))
    return Run(folder, [float(loss) for loss in watched.losses], watched.reserved)


Trained = Callable[..., Run]


@pytest.fixture(scope="module")
def trained(synthetic: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The run with these overrides; each is trained once."""
    runs: dict[tuple[str, ...], Run] = {}

    def run(accelerator: str, *overrides: str) -> Run:
        key = (f"trainer.accelerator={accelerator}", *overrides)
        if key not in runs:
            runs[key] = train_here(tmp_path_factory.mktemp("run") / "run", *synthetic, *key)
        return runs[key]

    return run


def check_losses(actual: Run, expected: Run) -> None:
    assert len(actual.losses) == len(expected.losses) == STEPS
    assert actual.losses[0] == pytest.approx(expected.losses[0], rel=FIRST_STEP)
    assert actual.losses == pytest.approx(expected.losses, rel=ALL_STEPS)
    assert len(set(actual.losses)) == STEPS  # they are those of a training


def distance(one: Run, other: Run) -> float:
    """Root mean square of the differences of two runs' losses."""
    pairs = zip(one.losses, other.losses, strict=True)
    return math.sqrt(sum((a - b) ** 2 for a, b in pairs) / STEPS)


@pytest.mark.parametrize("performance", ["plain", "fast"])
def test_float32_is_the_cpu_s(accelerator: str, performance: str, trained: Trained) -> None:
    """TF32 would be off by a hundred times these bounds."""
    options = ("performance=plain",) if performance == "plain" else ()
    check_losses(trained(accelerator, *options), trained("cpu", "performance=plain"))


def test_bfloat16_is_as_near_as_the_cpu_s(accelerator: str, trained: Trained) -> None:
    """To float32: no more than three times as far from it, over 20 steps."""
    exact, here, there = trained("cpu", "performance=plain"), trained("cpu", BF16), trained(accelerator, BF16)
    assert there.result["precision"] == "bf16-mixed"
    assert 0 < distance(there, exact) <= 3 * distance(here, exact)


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Each launch of a CUDA graph."""
    launched: list[object] = []
    replay = torch.cuda.CUDAGraph.replay
    monkeypatch.setattr(
        torch.cuda.CUDAGraph, "replay", lambda graph: (launched.append(graph), replay(graph))[1]
    )
    return launched


@pytest.mark.parametrize("graphs", [True, False])
def test_compiled_equals_eager(
    accelerator: str, graphs: bool, device: torch.device, trained: Trained, replays: list[object]
) -> None:
    """With two compilations for all sizes of batches, and CUDA graphs where they are asked for."""
    # as the run itself will, which would otherwise count among its compilations
    assert compiler_failure(torch.device("cuda", 0) if accelerator == "gpu" else device) is None
    torch.compiler.reset()
    counters.clear()
    compiled = trained(accelerator, "performance.compile=network", f"performance.cuda_graphs={graphs}")
    check_losses(compiled, trained(accelerator))
    # training and evaluation; a CPU's convolutions of fewer than 16 images are another library's than of 16
    assert counters["stats"]["unique_graphs"] == (2 if accelerator == "gpu" else 4)
    assert not counters["graph_break"]
    assert not counters["inductor"]["cudagraph_skips"]
    assert bool(replays) == (graphs and accelerator == "gpu")


def test_the_default_learns_in_bfloat16_compiled(
    accelerator: str, trained: Trained, replays: list[object]
) -> None:
    """All that is on by default at once: no other test has bfloat16 in a CUDA graph."""
    precision = BF16 if accelerator == "gpu" else "trainer.precision=auto"
    run = trained(accelerator, "performance.compile=auto", precision)
    assert distance(run, trained("cpu", "performance=plain")) < 0.1
    assert run.losses[-1] < run.losses[0]
    assert bool(replays) == (accelerator == "gpu")


def placements(accelerator: str) -> dict[str, tuple[str, ...]]:
    """The strategies of several devices, on as many as there are, or alone in their group."""
    devices = max(1, min(2, torch.cuda.device_count())) if accelerator == "gpu" else 1
    placed = {name: (f"strategy={name}", f"trainer.devices={devices}") for name in ("ddp", "fsdp")}
    if devices == 2:
        placed["model_parallel"] = ("strategy=model_parallel", "trainer.devices=2")
    return placed


@pytest.mark.parametrize("strategy", ["ddp", "fsdp", "model_parallel"])
def test_strategies_give_the_same_numbers(
    accelerator: str, strategy: str, synthetic: tuple[str, ...], train: Train, tmp_path: Path
) -> None:
    """Compiled as by default: with DDP's buckets, and CUDA graphs, on a GPU."""
    placed = placements(accelerator)
    if strategy not in placed:
        pytest.skip("needs two devices")
    losses = []
    for name in ("single", strategy):
        last = {item.partition("=")[0]: item for item in (*COMMON, *synthetic, *placed.get(name, ()))}
        last |= {"accelerator": f"trainer.accelerator={accelerator}", "columns": "model.columns=2"}
        last["performance.compile"] = f"performance.compile={'auto' if accelerator == 'gpu' else 'none'}"
        done = train(*last.values(), f"run_folder={tmp_path / name}")
        assert done.status == 0, done.err
        with (tmp_path / name / "metrics.csv").open() as file:
            losses.append(
                [float(row[key]) for row in csv.DictReader(file) for key in ("train/loss", "val/loss")]
            )
    assert len(losses[0]) == 10
    assert losses[1] == pytest.approx(losses[0], rel=ALL_STEPS)


@pytest.fixture
def group_of_one(device: torch.device, tmp_path: Path) -> Iterator[None]:
    """A process group of this process alone, of the kind that runs on the device use."""
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("group_of_one")
def test_columns_in_a_group_of_one(device: torch.device) -> None:
    """All exchanges of model_parallel, through the device's library, with nobody: an undivided network."""
    torch.manual_seed(0)
    whole = AlexNet(model_config("model.width=0.125", "model.fc_units=[256,256]"), 7).to(device)
    divided = copy.deepcopy(whole)
    apply_column_parallel(divided, init_device_mesh(device.type, (1,)))
    images = 30 * torch.randn(4, 3, 227, 227, device=device)
    labels, seeds = torch.arange(4, device=device), torch.arange(4, device=device)
    for network in (whole, divided):
        cross_entropy(network(images, seeds), labels).backward()
    for (name, one), other in zip(divided.named_parameters(), whole.parameters(), strict=True):
        assert isinstance(one.grad, DTensor) and other.grad is not None
        torch.testing.assert_close(one.grad.full_tensor(), other.grad, rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_a_killed_run_goes_on(
    accelerator: str, name: str, synthetic: tuple[str, ...], train: Train, tmp_path: Path
) -> None:
    """In its second epoch; resumed it is bit-identical to one that was left alone."""
    command = (*COMMON, *synthetic, f"trainer.accelerator={accelerator}", "trainer.deterministic=true")
    command = (*command, "callbacks.checkpoint.every_n_steps=2", f"outputs={tmp_path / 'outputs'}")
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    assert (done := train(*command, f"run_folder={whole}")).status == 0, done.err
    killed = subprocess.run(
        [sys.executable, str(PROJECT / "tests/stopping_train.py"), *command, f"run_folder={folder}"],
        cwd=tmp_path,
        env=os.environ | {"STOP": f"0,7,{name}", "ALEXNET_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert killed.returncode == (1 if name == "SIGTERM" else -9), killed.stderr
    assert (done := train(f"resume={folder}")).status == 0, done.err
    assert differences(outcome(folder), outcome(whole)) == []


def out_of_memory(*_: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 MiB")


def test_out_of_memory_is_one_line(
    accelerator: str, synthetic: tuple[str, ...], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as stack:
        if accelerator == "gpu":
            torch.cuda.empty_cache()
            held = torch.cuda.memory_reserved() + 50e6  # the network, but no activations
            torch.cuda.set_per_process_memory_fraction(held / torch.cuda.mem_get_info()[1])
            stack.callback(torch.cuda.set_per_process_memory_fraction, 1.0)
        else:
            stack.enter_context(patch.object(ClassificationModule, "training_step", out_of_memory))
        arguments = (
            *synthetic,
            f"trainer.accelerator={accelerator}",
            "model.width=0.5",
            "data.batch_size=60",
        )
        with pytest.raises(UserError, match=r"^Out of memory\. Try a smaller data\.batch_size"):
            train_here(tmp_path / "run", *arguments)
    assert json.loads((tmp_path / "run/result.json").read_text())["status"] == "failed"
    assert "Traceback" not in "".join(capfd.readouterr())


def test_memory_does_not_grow(accelerator: str, trained: Trained) -> None:
    """From the second epoch on: another stream for each epoch's loader would take 20 MB each."""
    run = trained(accelerator)
    assert len(run.reserved) == 5
    assert run.reserved[-1] - run.reserved[1] < 20e6
    assert 1 < run.result["peak_memory_mb"] < 20_000
    if accelerator == "gpu":
        assert run.result["peak_memory_mb"] <= max(run.reserved) / 1e6


def test_resident_images_are_the_same(accelerator: str, trained: Trained) -> None:
    """The losses of a run from images on the device, and the memory that these take there."""
    held, read = trained(accelerator, "data.resident=true"), trained(accelerator)
    check_losses(held, read)
    if accelerator == "cpu":  # a GPU may add up in another order each time
        assert held.losses == read.losses
    else:
        images = (61 + 31) * 3 * 256**2 / 1e6
        assert held.result["peak_memory_mb"] >= read.result["peak_memory_mb"] + 0.5 * images


class NoWaiting(Callback):
    """Any wait for the GPU within a step is an error, once the first steps are done."""

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step >= 5 and pl_module.device.type == "cuda":
            torch.cuda.set_sync_debug_mode("error")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if pl_module.device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")


def test_a_step_does_not_wait_for_the_gpu(
    accelerator: str, synthetic: tuple[str, ...], tmp_path: Path
) -> None:
    """Forward and backward pass, loss, metrics and update are queued; this process goes on."""
    try:
        arguments = (*synthetic, f"trainer.accelerator={accelerator}", BF16)
        run = train_here(tmp_path / "run", *arguments, callbacks=(NoWaiting(),))
    finally:
        if accelerator == "gpu":
            torch.cuda.set_sync_debug_mode("default")
    assert len(run.losses) == STEPS


def test_speeds_are_told(accelerator: str, trained: Trained) -> None:
    result = trained(accelerator).result
    assert result["status"] == "completed"
    assert result["images_per_second"] > 0
    assert 0 <= result["data_wait_fraction"] <= 1
    assert 0 < result["matrix_rate_fraction"] < 1


@pytest.mark.parametrize("crops", list(ValCrops))
def test_a_trained_network_predicts_the_same(
    accelerator: str, crops: ValCrops, device: torch.device, trained: Trained
) -> None:
    checkpoint = str(trained(accelerator).folder / "checkpoints/last.ckpt")
    images = torch.randint(256, (8, 3, 256, 256), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    here = probabilities(load_trained_model(None, checkpoint), images, crops, torch.device("cpu"))
    there = probabilities(load_trained_model(None, checkpoint), images, crops, device)
    torch.testing.assert_close(there, here, rtol=0, atol=1e-4)
    assert here.std() > 0
