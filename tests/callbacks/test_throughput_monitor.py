"""Speeds are those of steady steps: by a clock that tells each step how long it took."""

import copy
import csv
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning import Trainer

from alexnet.callbacks import throughput_monitor
from alexnet.callbacks.throughput_monitor import STARTUP_STEPS, ThroughputMonitor
from alexnet.training import fit
from conftest import request_of

WAIT = 0.25  # seconds before each step
SMALL_RUN = (
    *("model.width=0.0625", "model.fc_units=[64,64]", "data.batch_size=8", "trainer.max_epochs=3"),
    *("callbacks.checkpoint.every_n_steps=3", "logger=csv", "trainer.accelerator=cpu"),
)


class Run:
    """A run of fabricated steps. A step of 8 images takes a second, a smaller one in proportion."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, batches: list[int]) -> None:
        self.now, self.batches = 0.0, batches
        monkeypatch.setattr(throughput_monitor, "perf_counter", lambda: self.now)
        monkeypatch.setattr(throughput_monitor, "matrix_rate", lambda *_: 1_000_000.0)
        progress = SimpleNamespace(current=SimpleNamespace(completed=0))
        self.fit_loop = SimpleNamespace(
            is_resuming=False, epoch_loop=SimpleNamespace(batch_progress=progress)
        )
        self.module: Any = SimpleNamespace(device=torch.device("cpu"), device_mesh=None)
        self.trainer: Any = SimpleNamespace(
            num_training_batches=len(batches),
            precision="32-true",
            world_size=2,
            global_rank=0,
            fit_loop=self.fit_loop,
            lightning_module=self.module,
        )
        self.monitor = ThroughputMonitor(flops=2_000)

    def start(self) -> None:
        """Another start of the run, from the monitor's state."""
        state = copy.deepcopy(self.monitor.state_dict())
        self.monitor = ThroughputMonitor(flops=2_000)
        self.monitor.load_state_dict(state)
        self.monitor.on_train_start(self.trainer, self.module)

    def epoch(self, *extra: float, first: int = 0, last: int | None = None) -> None:
        """An epoch, of which `extra` are the seconds that the first steps take longer."""
        self.fit_loop.is_resuming = first > 0
        self.fit_loop.epoch_loop.batch_progress.current.completed = first
        self.monitor.on_train_epoch_start(self.trainer, self.module)
        for index in range(first, last or len(self.batches)):
            batch = (None, torch.zeros(self.batches[index]))
            self.now += WAIT
            self.monitor.on_train_batch_start(self.trainer, self.module, batch, index)
            self.now += self.batches[index] / 8 + (extra[index - first] if index - first < len(extra) else 0)
            self.monitor.on_train_batch_end(self.trainer, self.module, {}, batch, index)
        if last is None:
            self.monitor.on_train_epoch_end(self.trainer, self.module)
        self.now += 1000  # validation


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(monkeypatch, [8] * 12 + [4])


# images of two devices over the seconds of a step with its wait
RATE = 2 * 8 / (1 + WAIT)


def test_compiling_and_the_first_steps_are_apart(run: Run) -> None:
    """One epoch: seven steady steps, whatever the first ones and the first of another size took."""
    run.start()
    run.epoch(60, 9, 4, 0, 0)
    summary = run.monitor.summary()
    steady = 7 * (1 + WAIT) + WAIT  # the wait for the last batch, whose step is not steady, is one for data
    assert summary["images_per_second"] == pytest.approx(2 * 8 * 7 / steady)
    assert summary["seconds_per_step"] == pytest.approx(steady / 7)
    assert summary["data_wait_fraction"] == pytest.approx(8 * WAIT / steady)
    assert summary["startup_seconds"] == pytest.approx(73 + 5 * (1 + WAIT) + 0.5)
    assert summary["model_flops_per_second"] == pytest.approx(2_000 * 2 * 8 * 7 / steady)
    assert summary["matrix_rate_fraction"] == pytest.approx(0.002 * 2 * 8 * 7 / steady)
    assert run.monitor.epoch_summary() == summary


def test_the_median_over_the_epochs(run: Run) -> None:
    """A slow epoch, while the machine did something else, does not count more than any other."""
    run.batches[:] = [8] * 13
    run.start()
    run.epoch(60)
    run.epoch(*[50] * 13)
    slow = run.monitor.epoch_summary()
    assert slow["images_per_second"] == pytest.approx(2 * 8 / (51 + WAIT))
    assert slow["startup_seconds"] == 0
    run.epoch()
    assert run.monitor.summary()["images_per_second"] == pytest.approx(RATE)
    assert run.monitor.summary()["seconds_per_step"] == pytest.approx(1 + WAIT)


def test_saving_is_not_waiting_for_data(
    synthetic: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a real run, by a clock on which each checkpoint takes a thousand seconds."""
    saving = 0.0
    save_checkpoint = Trainer.save_checkpoint

    def slow_save(trainer: Trainer, *arguments: Any, **named: Any) -> None:
        nonlocal saving
        saving += 1000
        save_checkpoint(trainer, *arguments, **named)

    monkeypatch.setattr(Trainer, "save_checkpoint", slow_save)
    monkeypatch.setattr(throughput_monitor, "perf_counter", lambda: time.perf_counter() + saving)
    last = {item.partition("=")[0]: item for item in (*synthetic, *SMALL_RUN)}
    fit.train(request_of(tmp_path / "run", *last.values()))
    epochs = list(csv.DictReader((tmp_path / "run/metrics.csv").open()))
    assert len(epochs) == 3
    assert saving > 5 * 1000
    assert max(float(epoch["seconds_per_step"]) for epoch in epochs[1:]) < 100


def test_too_few_steps_have_no_rate(run: Run) -> None:
    run.batches[:] = [8] * (2 * STARTUP_STEPS - 1)
    run.trainer.num_training_batches = len(run.batches)
    run.start()
    run.epoch(60)
    summary = run.monitor.summary()
    assert summary.pop("startup_seconds") == pytest.approx(60 + 5 * (1 + WAIT))
    assert set(summary.values()) == {None}
    run.epoch()  # all of its steps are steady
    assert run.monitor.summary()["images_per_second"] == pytest.approx(RATE)


def test_epochs_of_one_step(run: Run) -> None:
    run.batches[:] = [8]
    run.start()
    for _ in range(STARTUP_STEPS):
        run.epoch(30)
    assert run.monitor.summary()["images_per_second"] is None
    run.epoch()
    assert run.monitor.summary()["images_per_second"] == pytest.approx(RATE)


def test_every_start_of_a_run_has_first_steps(run: Run) -> None:
    """Stopped in the second epoch: the rest of it is measured beside its beginning."""
    run.batches[:] = [8] * 20
    run.start()
    run.epoch(60)
    run.epoch(last=4)
    run.start()
    run.epoch(40, first=4)
    assert len(run.monitor.epoch_rates) == 2
    assert run.monitor.epoch.steps == 20 - STARTUP_STEPS
    assert run.monitor.epoch.startup_seconds == pytest.approx(40 + 5 * (1 + WAIT))
    assert run.monitor.summary()["startup_seconds"] == pytest.approx(100 + 10 * (1 + WAIT))
    assert run.monitor.summary()["images_per_second"] == pytest.approx(RATE)


def test_state_of_a_run_that_did_not_tell_its_steps_apart(run: Run) -> None:
    former = {"images": 500, "seconds": 2.0, "waited": 0.5, "epoch_images": 5, "epoch_seconds": 1.0}
    run.monitor.load_state_dict(former)
    summary = run.monitor.summary()
    assert (summary["images_per_second"], summary["startup_seconds"]) == (None, 0)
    run.batches[:] = [8] * 20
    run.start()
    run.epoch(60)
    assert run.monitor.summary()["images_per_second"] == pytest.approx(RATE)


class Gpu:
    """A GPU that needs a second for each step, on which this process queues them.

    `fetch` are the seconds that the process takes before each step, `look` those steps after which it waits
    for the GPU, as a logger does that reads the loss.
    """

    def __init__(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        self.run, self.busy_until = run, 0.0
        run.module.device = torch.device("cuda")
        monkeypatch.setattr(torch.cuda, "Event", lambda enable_timing: Event(self))

    def epoch(self, steps: int, fetch: float, look: int) -> dict[str, float | None]:
        monitor, (trainer, module) = self.run.monitor, (self.run.trainer, self.run.module)
        trainer.num_training_batches = steps
        monitor.on_train_epoch_start(trainer, module)
        for index in range(steps):
            batch = (None, torch.zeros(8))
            self.run.now += fetch
            monitor.on_train_batch_start(trainer, module, batch, index)
            self.busy_until = max(self.busy_until, self.run.now) + 1
            monitor.on_train_batch_end(trainer, module, {}, batch, index)
            if index % look == 0:
                self.run.now = max(self.run.now, self.busy_until)
        monitor.on_train_epoch_end(trainer, module)
        return monitor.epoch_summary()


class Event:
    """In the place of torch.cuda.Event: it happens when the GPU has done what was queued before."""

    def __init__(self, gpu: Gpu) -> None:
        self.gpu, self.time = gpu, 0.0

    def record(self) -> None:
        self.time = max(self.gpu.run.now, self.gpu.busy_until)

    def query(self) -> bool:
        return self.time <= self.gpu.run.now

    def synchronize(self) -> None:
        self.gpu.run.now = max(self.gpu.run.now, self.time)

    def elapsed_time(self, end: "Event") -> float:
        assert self.query()
        assert end.query()
        return 1000 * (end.time - self.time)


@pytest.mark.parametrize("look", [1, 10, 1000])
@pytest.mark.parametrize(("fetch", "waited"), [(0.01, 0), (0.9, 0), (1.5, 0.5)])
def test_a_gpu_s_backlog_is_not_waiting_for_data(
    fetch: float, waited: float, look: int, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fetch that takes less than a step costs nothing, but for steps after which the process had waited."""
    run.start()
    gpu, steps = Gpu(run, monkeypatch), 200
    gpu.epoch(STARTUP_STEPS, fetch, look)
    summary = gpu.epoch(steps, fetch, look)
    looks = len(range(0, steps, look))
    extra = (looks * fetch + (steps - looks) * waited) / steps  # seconds a step
    assert summary["data_wait_fraction"] == pytest.approx(extra / (1 + extra), abs=0.01)
    assert summary["images_per_second"] == pytest.approx(2 * 8 / (1 + extra), rel=0.01)
    assert not run.monitor._laps
