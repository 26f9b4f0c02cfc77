"""Tags and mode of a W&B run. Whole offline runs are in test_train.py."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from alexnet.config import WandbMode
from alexnet.runs import tracking
from alexnet.runs.folder import RunFolder


def test_tags_are_what_differs_without_paths() -> None:
    overrides = [
        "model.lrn=false",
        "data=imagenette",
        "data.root=/home/somebody/secret",
        "outputs=/x",
        "seed=3",
        "data.augment.flip=false",
        "experiment=" + "x" * 100,
    ]
    tags = tracking._tags(overrides)
    assert tags[:3] == ["model.lrn=false", "data=imagenette", "data.augment.flip=false"]
    assert len(tags) == 4
    assert len(tags[3]) == 64


def test_tags_name_the_factor_of_an_experiment() -> None:
    assert tracking._tags(["experiment=no_lrn"]) == ["experiment=no_lrn", "model.lrn=false"]
    assert tracking._tags(["experiment=tanh"]) == ["experiment=tanh", "model.activation=tanh"]
    assert tracking._tags(["experiment=baseline"]) == ["experiment=baseline"]


def test_mode(monkeypatch: pytest.MonkeyPatch, tmp_path: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tracking.wants_online(WandbMode.online)
    assert not tracking.wants_online(WandbMode.offline)
    assert not tracking.wants_online(WandbMode.auto)
    monkeypatch.setenv("WANDB_MODE", "online")
    assert tracking.wants_online(WandbMode.auto)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert not tracking.wants_online(WandbMode.auto)


@pytest.mark.parametrize("asked", [True, False])
def test_the_best_weights_are_an_artifact_if_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    import wandb

    folder = RunFolder.create(str(tmp_path), {"seed": 0}, None)
    (folder.checkpoints / "best.ckpt").write_bytes(b"weights")
    logged: list[tuple[Path, str]] = []
    run: Any = SimpleNamespace(
        id="r", summary={}, log_artifact=lambda path, name, type: logged.append((path, type))
    )
    monkeypatch.setattr(wandb, "finish", lambda exit_code: None)
    tracking.finish(run, folder, {"status": "completed"}, log_checkpoint=asked)
    assert logged == ([(folder.checkpoints / "best.ckpt", "model")] if asked else [])
