"""Which run resume= means, and what may change when it is resumed."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from alexnet.config.hashing import config_hash, flatten, nest
from alexnet.errors import UserError
from alexnet.runs.resume import FROM_FIRST_RANK, LOCK, merge_resume_config, previous_run


@pytest.fixture(autouse=True)
def not_decided_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FROM_FIRST_RANK, raising=False)


def config(outputs: Path, **changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "seed": 0,
        "outputs": str(outputs),
        "run_folder": None,
        "resume": None,
        "model": {"lrn": True, "columns": 1},
        "data": {"batch_size": 8, "workers": None},
        "trainer": {"max_epochs": 4, "max_time": None, "rendezvous_timeout": 600.0, "devices": 1},
        "loss": {"name": "cross_entropy"},
        "logger": {"kind": "wandb", "project": "p"},
    }
    for key, value in changes.items():
        *parents, name = key.split("__")
        node = plain
        for parent in parents:
            node = node[parent]
        node[name] = value
    return plain


def run(outputs: Path, name: str, status: str | None, **changes: Any) -> Path:
    """A run's folder; `name` is in the place of the time when it was made."""
    saved = config(outputs, **changes)
    folder = outputs / "runs" / f"{name}_{config_hash(saved)}"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(saved))
    if status:
        (folder / "result.json").write_text(json.dumps({"status": status}))
    return folder


def test_auto_takes_the_newest_unfinished_run_of_the_same_configuration(tmp_path: Path) -> None:
    wanted = config(tmp_path, resume="auto")
    assert previous_run(wanted) is None
    run(tmp_path, "a", "completed")
    run(tmp_path, "b", "failed")
    run(tmp_path, "c", "interrupted", seed=1)
    assert previous_run(wanted) is None
    old = run(tmp_path, "d", "interrupted")
    assert previous_run(wanted) == old
    killed = run(tmp_path, "e", None)
    assert previous_run(wanted) == killed
    with FileLock(killed / LOCK):
        assert previous_run(wanted) == old
    assert previous_run(config(tmp_path)) is None
    assert previous_run(config(tmp_path, resume="auto", logger__project="other")) == killed


def test_the_other_ranks_take_what_the_first_one_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = run(tmp_path, "a", "interrupted")
    wanted = config(tmp_path, resume="auto")
    assert previous_run(wanted) == taken
    run(tmp_path, "b", None)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert previous_run(wanted) == taken


def test_slurm_that_starts_a_job_again_means_auto(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted = run(tmp_path, "a", "interrupted")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert previous_run(config(tmp_path)) == interrupted


def test_a_folder_of_one_s_own(tmp_path: Path) -> None:
    folder = run(tmp_path, "a", "interrupted")
    assert previous_run(config(tmp_path, resume=str(folder))) == folder
    assert previous_run(config(tmp_path, resume="auto", run_folder=str(folder))) == folder
    assert previous_run(config(tmp_path, resume="auto", run_folder=str(tmp_path / "new"))) is None
    with pytest.raises(UserError, match="contains no unfinished run of this configuration"):
        previous_run(config(tmp_path, resume="auto", run_folder=str(folder), seed=1))
    with pytest.raises(UserError, match="a run is resumed in its own folder"):
        previous_run(config(tmp_path, resume=str(folder), run_folder="x"))


def test_what_was_typed_changes_what_may_change(tmp_path: Path) -> None:
    """The rest is the run's own: nothing is taken from the defaults of today."""
    folder = run(tmp_path, "a", "interrupted", logger__project="mine", model__lrn=False)
    composed = config(tmp_path, resume=str(folder), trainer__max_epochs=9, trainer__devices=2)
    typed = [f"resume={folder}", "trainer.max_epochs=9", "trainer.devices=2"]
    changed = merge_resume_config(folder, composed, typed)
    expected = config(tmp_path, logger__project="mine", model__lrn=False, trainer__max_epochs=9)
    expected["trainer"]["devices"] = 2
    assert changed == expected


@pytest.mark.parametrize(
    ("typed", "changes", "named"),
    [
        ("model.lrn=false", {"model__lrn": False}, "model.lrn is True"),
        ("model=alexnet_2012", {"model__columns": 2}, "model.columns is 1"),
        ("seed=3", {"seed": 3}, "seed is 0"),
        ("data.batch_size=9", {"data__batch_size": 9}, "data.batch_size is 8"),
        ("experiment=no_lrn", {"model__lrn": False}, "experiment is fixed"),
    ],
)
def test_refused_by_name(tmp_path: Path, typed: str, changes: dict[str, Any], named: str) -> None:
    folder = run(tmp_path, "a", "interrupted")
    with pytest.raises(UserError, match=named):
        merge_resume_config(
            folder, config(tmp_path, resume=str(folder), **changes), [f"resume={folder}", typed]
        )


def test_what_the_run_has_anyway_may_be_typed(tmp_path: Path) -> None:
    folder = run(tmp_path, "a", "interrupted", model__lrn=False)
    composed = config(tmp_path, resume=str(folder), model__lrn=False)
    typed = ["experiment=no_lrn", "model.lrn=false"]
    assert merge_resume_config(folder, composed, typed) == config(tmp_path, model__lrn=False)


def test_a_run_that_has_ended(tmp_path: Path) -> None:
    folder = run(tmp_path, "a", "completed")
    composed = config(tmp_path, resume=str(folder))
    with pytest.raises(
        UserError, match=r"has already been trained for all 4 epochs. For more: trainer.max_epochs=8"
    ):
        merge_resume_config(folder, composed, [])
    composed["trainer"]["max_epochs"] = 5
    assert merge_resume_config(folder, composed, ["trainer.max_epochs=5"])["trainer"]["max_epochs"] == 5


def test_keys_with_dots(tmp_path: Path) -> None:
    """Of layers inside others, whose names have dots themselves."""
    saved = {"optimizer": {"layer_lr_factor": {"net.fc": 10, "conv1": 2}, "none": {}}, "seed": 0}
    assert nest(flatten(saved)) == saved
    folder = run(tmp_path, "a", "interrupted", loss__weights={"net.fc": 10})
    composed = config(tmp_path, resume=str(folder))
    assert merge_resume_config(folder, composed, [f"resume={folder}"])["loss"]["weights"] == {"net.fc": 10}


def test_fewer_epochs_than_were_trained(tmp_path: Path) -> None:
    folder = run(tmp_path, "a", "interrupted", trainer__max_epochs=10)
    (folder / "metrics.csv").write_text("epoch,val/top1_error\n1,80\n2,70\n3,60\n")
    for wanted in (2, 3):
        composed = config(tmp_path, resume=str(folder), trainer__max_epochs=wanted)
        typed = [f"resume={folder}", f"trainer.max_epochs={wanted}"]
        if wanted == 3:
            assert merge_resume_config(folder, composed, typed)["trainer"]["max_epochs"] == 3
        else:
            with pytest.raises(UserError, match="max_epochs=2, but this run has been trained for 3 epochs"):
                merge_resume_config(folder, composed, typed)


def test_a_run_that_ended_early(tmp_path: Path) -> None:
    """It is not said to have all its epochs, and goes on once nothing ends it."""
    folder = run(tmp_path, "a", "completed", callbacks={"early_stopping": {"patience": 1}})
    (folder / "metrics.csv").write_text("epoch,val/top1_error\n1,80\n2,81\n")
    composed = config(tmp_path, resume=str(folder), callbacks={"early_stopping": {"patience": 1}})
    told = r"ended after 2 of its 4 epochs, by callbacks\.early_stopping\.patience=1\. To continue, change"
    with pytest.raises(UserError, match=told):
        merge_resume_config(folder, composed, [f"resume={folder}"])
    composed["callbacks"]["early_stopping"]["patience"] = None
    typed = [f"resume={folder}", "callbacks.early_stopping.patience=null"]
    assert merge_resume_config(folder, composed, typed)["trainer"]["max_epochs"] == 4
