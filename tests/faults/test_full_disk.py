"""The disk with the run folder fills: a clear line, complete files, and a run that can be resumed."""

import json
import logging
import re
import shlex
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from disk import fill, resize, small_disk
from lightning import LightningModule, Trainer

from alexnet.callbacks.metrics_recorder import MetricsRecorder
from alexnet.runs.checkpoint_io import read_checkpoint
from alexnet.runs.log import log_to_file
from alexnet.training.module import ClassificationModule
from conftest import SMALL
from entry_point import refused, run_train
from survival import differences, outcome

FULL = "No space left on device"
SLOW = partial(pytest.param, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def undisturbed(synthetic: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the same run leaves where there is room."""
    folder = tmp_path_factory.mktemp("roomy") / "run"
    assert run_train(*SMALL, *synthetic, "logger=csv", f"run_folder={folder}").status == 0
    return outcome(folder)


def left_by(folder: Path) -> dict[str, Any]:
    """Return the result of a run that failed, after checking that all its files are complete."""
    for checkpoint in folder.glob("checkpoints/*.ckpt"):
        read_checkpoint(checkpoint)
    names = {path.name for path in folder.rglob("*") if "wandb" not in path.parts}
    assert not [name for name in names if name.endswith(".partial") or name == ".reserve"]
    result = json.loads((folder / "result.json").read_text())
    assert result["status"] == "failed"
    assert FULL in result["error"]
    return result


def test_nothing_fits(synthetic: tuple[str, ...], tmp_path: Path) -> None:
    """Not even the first files: there is no run then."""
    with small_disk(tmp_path / "disk", "128k") as disk:
        command = (*SMALL, *synthetic, "logger=csv", f"run_folder={disk / 'run'}")
        assert refused(*command) == f"Error: Cannot write to the run folder {disk / 'run'}: {FULL}."
        assert not list(disk.iterdir())


# of the 1.6 MB that this run leaves: the configuration, no checkpoint, best.ckpt alone, last.ckpt once
@pytest.mark.parametrize(
    ("size", "file"),
    [
        ("270k", ""),
        SLOW("500k", "checkpoints/best.ckpt"),
        SLOW("1500k", "checkpoints/last.ckpt"),
        SLOW("2m", "checkpoints/best.ckpt"),  # that of the second epoch, which is better than the first
    ],
)
def test_full_after_a_while(
    synthetic: tuple[str, ...], undisturbed: dict[str, Any], tmp_path: Path, size: str, file: str
) -> None:
    """The printed command, typed once there is room, ends the run as if it had not been interrupted."""
    command = (*SMALL, *synthetic, "logger=csv")
    with small_disk(tmp_path / "disk", size) as disk:
        folder = disk / "a run"
        line = refused(*command, f"run_folder={folder}")
        assert str(folder / file) in line
        assert f": {FULL}. To resume: python src/train.py " in line
        left_by(folder)
        resize(disk, "10m")
        (typed,) = re.findall(r"python src/train.py (.*)", line)
        assert run_train(*shlex.split(typed)).status == 0
        assert differences(outcome(folder), undisturbed) == []


@pytest.mark.parametrize("logger", ["csv", SLOW("wandb")])
def test_filled_by_others(
    synthetic: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logger: str
) -> None:
    """In the second epoch: the checkpoint of the step before stays; what W&B cannot write does not matter."""
    step = ClassificationModule.training_step
    with small_disk(tmp_path / "disk", "10m") as disk:
        folder = disk / "run"

        def filling(module: ClassificationModule, batch: Any, batch_idx: int) -> Any:
            if module.global_step == 5:
                fill(disk)
            return step(module, batch, batch_idx)

        monkeypatch.setattr(ClassificationModule, "training_step", filling)
        command = (*SMALL, *synthetic, f"logger={logger}", f"run_folder={folder}", "data.workers=0")
        offline = ("logger.mode=offline",) if logger == "wandb" else ()
        line = refused(*command, *offline, "callbacks.checkpoint.every_n_steps=1")
        assert f"Cannot write {folder}/checkpoints/last.ckpt, 1 MB: {FULL}. To resume:" in line
        assert left_by(folder)["epochs"] == 1
        assert read_checkpoint(folder / "checkpoints/last.ckpt")["global_step"] == 5
        assert len((folder / "metrics.csv").read_text().splitlines()) == 2


def test_filled_before_the_metrics(
    synthetic: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The epoch that has just ended gets its row, and its part of the curves, from what was kept free."""
    end = MetricsRecorder.on_train_epoch_end
    with small_disk(tmp_path / "disk", "10m") as disk:
        folder = disk / "run"

        def filling(recorder: MetricsRecorder, trainer: Trainer, module: LightningModule) -> None:
            if trainer.current_epoch == 1:
                fill(disk)
            end(recorder, trainer, module)

        monkeypatch.setattr(MetricsRecorder, "on_train_epoch_end", filling)
        line = refused(*SMALL, *synthetic, "logger=csv", f"run_folder={folder}")
        assert line.startswith(f"Error: {folder}/metrics.csv: {FULL}. To resume:")
        assert left_by(folder)["epochs"] == 2
        assert len((folder / "metrics.csv").read_text().splitlines()) == 3


def test_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines that train.log does not take are lost, without a stack trace for each."""
    with small_disk(tmp_path / "disk", "64k") as disk, log_to_file(disk / "train.log"):
        for _ in range(100):
            logging.getLogger("somebody").warning("x" * 2000)
    assert capsys.readouterr().err == ""
