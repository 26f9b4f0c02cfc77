"""Reading a run folder; which runs do not count, and why."""

import json
from pathlib import Path

import pytest

from alexnet.compare.runs import NO_CLAIM, Code, ExcludedRun, Run, Tracked, read_run
from alexnet.config import ClaimConfig
from alexnet.errors import UserError
from fabricated_runs import DIFF, write_run


def completed(path: Path) -> Run:
    run = read_run(path, "run")
    assert isinstance(run, Run), run
    return run


def reason(path: Path) -> str:
    run = read_run(path, "no_lrn seed=1")
    assert isinstance(run, ExcludedRun)
    assert run.name == "no_lrn seed=1"
    return run.reason


def test_a_completed_run(tmp_path: Path) -> None:
    run = completed(write_run(tmp_path / "a", 20.5, seed=3, settings={"model.lrn": False}, top5=2.5))
    assert (run.seed, run.top1_error, run.top5_error) == (3, 20.5, 2.5)
    assert run.settings["model.lrn"] is False
    assert run.settings["model.filters"] == [96, 256, 384, 384, 256]
    assert run.peak_memory_mb is None
    assert not {"seed", "logger.kind", "outputs", "run_folder", "data.root", "data.workers"} & set(
        run.settings
    )


def test_epochs_to_a_training_error(tmp_path: Path) -> None:
    # 85 - 65 (1 - 0.6**epoch) + 5, to five digits of 0.6**10: 64.6, 48.8, 39.2, ... and 25 after the tenth
    run = completed(write_run(tmp_path / "a", 20.0))
    assert run.metrics["train/top1_error"][:2] == pytest.approx([63.607, 48.007], abs=1e-3)
    assert [run.epochs_to(error) for error in (70, 48.5, 48.0, 25, 24.9)] == [1, 2, 3, 10, None]


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_what_did_not_complete(tmp_path: Path, status: str) -> None:
    write_run(tmp_path / "a", 20.0, status=status, error="RuntimeError: no memory\nand more")
    assert reason(tmp_path / "a") == f"{status}: RuntimeError: no memory"


def test_what_is_not_whole(tmp_path: Path) -> None:
    for name, expected in (
        ("config.yaml", "no config.yaml: it never started"),
        ("result.json", "no result.json: it is still running, or was killed"),
    ):
        folder = write_run(tmp_path / name, 20.0)
        (folder / name).unlink()
        assert expected in reason(folder)
        (folder / name).write_text("{")
        assert "cannot be read" in reason(folder)
    folder = write_run(tmp_path / "nan", 20.0)
    result = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps(result | {"val": {"top1_error": None}}))
    assert reason(folder) == "no validation error"
    (folder / "result.json").write_text(json.dumps({**result, "val": {}}))
    assert reason(folder) == "no validation error"


def test_without_metrics_and_environment(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "a", 20.0)
    (folder / "metrics.csv").unlink()
    (folder / "environment.json").unlink()
    run = completed(folder)
    assert run.epochs_to(90) is None
    assert run.code.commit is None
    assert run.hardware == "unknown"


def test_claims(tmp_path: Path) -> None:
    claim = {"text": "LRN helps", "section": 3.3, "top1": 1.4, "top5": None, "split": "ILSVRC-2012 val"}
    run = completed(write_run(tmp_path / "a", 20.0, claim=claim))
    assert run.claim == ClaimConfig("LRN helps", "3.3", top1=1.4, split="ILSVRC-2012 val")
    assert not any(key.startswith("claim") for key in run.settings)
    assert completed(write_run(tmp_path / "b", 20.0)).claim == NO_CLAIM
    for wrong in ({"top1": "big"}, {"higher": "perhaps"}, "LRN helps"):
        with pytest.raises(UserError, match=r"claim.*: expected"):
            read_run(write_run(tmp_path / str(wrong), 20.0, claim=wrong), "c")  # type: ignore[arg-type]


def test_code_is_commit_and_changes_in_src() -> None:
    other = "diff --git a/README.md b/README.md\n+text\n"
    clean = {"commit": "a" * 40, "diff": "", "untracked": ["notes.txt"]}
    assert Code.read(clean | {"diff": other}) == Code.read(clean)
    assert Code.read(clean | {"diff": other + DIFF}) == Code.read(clean | {"diff": DIFF})
    assert Code.read(clean | {"untracked": ["src/new.py"]}) != Code.read(clean)
    assert Code.read({"commit": None, "diff": None, "untracked": []}) == Code(None, "")


@pytest.mark.parametrize(
    ("folder", "uploaded", "identity"),
    [
        ("offline-run-20260101_120000-run-ab12cd34", False, "run-ab12cd34"),
        ("run-20260101_120000-first-run-1-ab12cd34", True, "first-run-1-ab12cd34"),
        ("run-20260101_120000-ab12cd34", True, "ab12cd34"),
    ],
)
def test_id_in_wandb(tmp_path: Path, folder: str, uploaded: bool, identity: str) -> None:
    (tmp_path / "wandb" / folder).mkdir(parents=True)
    tracked = Tracked.read({"logger": {"project": "p"}}, tmp_path)
    assert tracked == Tracked("p", None, identity, uploaded)
