"""The lifecycle of a run: whatever happens, result.json has the outcome, and the user one line."""

import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch.distributed import DistError

from alexnet.errors import UserError
from alexnet.runs.folder import RunFolder
from alexnet.runs.signals import InterruptionError
from alexnet.training import fit
from alexnet.training.session import RunSession
from alexnet.training.trainer import RunTrainer
from conftest import SMALL, request_of

HINT = "Type it again."


class Session(RunSession):
    """Raises the failure given for a step."""

    def __init__(self, path: Path, **failures: BaseException) -> None:
        data: Any = SimpleNamespace(excluded={}, damaged={}, fingerprints=dict, newly_unreadable=dict)
        folder = RunFolder.reopen(path) if path.exists() else RunFolder.create("", {}, str(path))
        super().__init__(folder, data, {"seed": 0}, ["seed=0"])
        self.failures, self.closed = failures, False

    def fail(self, step: str) -> None:
        if step in self.failures:
            raise self.failures[step]

    def print_plan(self) -> None:
        self.fail("print_plan")

    def work(self) -> None:
        self.fail("work")

    def result(self) -> dict[str, Any]:
        return {"seed": 0}

    def write_metrics(self) -> None:
        self.fail("write_metrics")

    def print_success(self, result: dict[str, Any]) -> None:
        self.fail("print_success")

    def resume_hint(self) -> str:
        return HINT

    def close(self, result: dict[str, Any]) -> None:
        self.closed = True

    def run(self) -> None:
        with self.folder.locked():
            super().run()


def outcome(path: Path) -> tuple[str, str | None]:
    result = json.loads((path / "result.json").read_text())
    return result["status"], result["error"]


def test_completes(tmp_path: Path) -> None:
    session = Session(tmp_path / "run")
    session.run()
    assert session.closed
    assert outcome(tmp_path / "run") == ("completed", None)
    assert not (tmp_path / "run/.reserve").exists()


@pytest.mark.parametrize("step", ["print_plan", "work"])
@pytest.mark.parametrize(
    ("problem", "raised", "line", "status", "error"),
    [
        (ValueError("a bug"), ValueError, "a bug", "failed", "ValueError: a bug"),
        (UserError("wrong"), UserError, "wrong", "failed", "wrong"),
        (OSError(28, "Full", "f"), UserError, f"f: Full. {HINT}", "failed", "f: Full."),
        (InterruptionError("s"), KeyboardInterrupt, f"Interrupted: s. {HINT}", "interrupted", "s"),
        *(
            (stop, KeyboardInterrupt, f"Interrupted: {by}. {HINT}", "interrupted", by)
            for by in ("stopped by the user",)
            for stop in (KeyboardInterrupt(), SystemExit(1))
        ),
    ],
)
def test_any_problem_is_recorded(
    tmp_path: Path,
    step: str,
    problem: BaseException,
    raised: type[BaseException],
    line: str,
    status: str,
    error: str,
) -> None:
    session = Session(tmp_path / "run", **{step: problem})
    with pytest.raises(raised) as end:
        session.run()
    assert str(end.value) == line
    assert outcome(tmp_path / "run") == (status, error)
    assert session.closed


@pytest.mark.parametrize(("causes", "hint"), [((), ""), ((OSError, RuntimeError), f" {HINT}")])
def test_a_full_disk_is_not_the_run_s_mistake(
    tmp_path: Path, causes: tuple[type[BaseException], ...], hint: str
) -> None:
    problem = UserError("Cannot write.")
    problem.__cause__ = RuntimeError("full")
    session = Session(tmp_path / "run", work=problem)
    session.external_causes = causes
    with pytest.raises(UserError) as end:
        session.run()
    assert str(end.value) == f"Cannot write.{hint}"
    assert outcome(tmp_path / "run") == ("failed", "Cannot write.")


@pytest.mark.parametrize(
    ("problem", "raised", "line"),
    [
        (OSError(28, "Full", "f"), UserError, rf"^Not written: f: Full\. {HINT}$"),
        (MemoryError(), UserError, "^Not written: Out of memory"),
        (ImportError("failed to map segment"), ImportError, "^failed to map segment$"),
    ],
)
def test_an_unwritten_result(
    tmp_path: Path, problem: Exception, raised: type[Exception], line: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Only of a completed run is it an error of its own."""
    with pytest.raises(raised, match=line):
        Session(tmp_path / "run", write_metrics=problem).run()
    other = Session(tmp_path / "other", write_metrics=problem, work=ValueError("the cause"))
    with pytest.raises(ValueError, match=r"^the cause$"):
        other.run()
    assert "Not written: " in caplog.text
    assert other.closed


def test_interrupted_while_it_is_recorded(tmp_path: Path) -> None:
    session = Session(tmp_path / "run", print_success=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        session.run()
    assert outcome(tmp_path / "run") == ("completed", None)


@pytest.mark.parametrize(("resumed", "files"), [(False, 1), (True, 2)])
def test_environments_of_a_folder_used_again(tmp_path: Path, resumed: bool, files: int) -> None:
    """A resumed run keeps that of each start; one that begins again has its own alone."""
    Session(tmp_path / "run").run()
    session = Session(tmp_path / "run")
    session.resumed = resumed
    session.run()
    assert len(list((tmp_path / "run").glob("environment*.json"))) == files


@pytest.fixture
def session(synthetic: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A training session that has not begun; `requeued` counts its calls of Slurm."""
    request = request_of(tmp_path / "run", *SMALL, *synthetic, "logger=csv")
    folder = RunFolder.create("", request.resolved, str(tmp_path / "run"))
    session: Any = fit._TrainSession(request, fit.build_components(request), folder, None)
    session.requeued = []
    monkeypatch.setattr(fit, "requeue", lambda: session.requeued.append(1))
    return session


def test_a_lost_rank(session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, without a resume hint."""

    def lose(*_: Any) -> None:
        session.trainer.rank_monitor._ranks = 2
        raise DistError("gone")

    monkeypatch.setattr(RunTrainer, "fit", lose)
    monkeypatch.setattr("alexnet.distributed.rank_monitor.PATIENCE_SECONDS", 0)
    with session.folder.locked(), pytest.raises(UserError) as end:
        session.run()
    assert str(end.value) == "Another rank is gone."
    assert outcome(tmp_path / "run") == ("failed", "Another rank is gone.")


def test_the_monitor_abandons_the_run(session: Any, tmp_path: Path) -> None:
    """The monitor's thread records the run, and requeues nothing."""
    session.trainer.shutdown.requeue = True
    with session.folder.locked():
        on_rank_lost = session.trainer.rank_monitor.on_rank_lost
        thread = threading.Thread(target=on_rank_lost, args=("Rank 1 is gone",))
        thread.start()
        thread.join()
    assert outcome(tmp_path / "run") == ("failed", "Rank 1 is gone")
    assert session.requeued == []


def test_requeues_after_it_has_recorded(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        session.trainer.shutdown.requeue = True
        raise InterruptionError("stopped by SIGUSR1")

    monkeypatch.setattr(RunTrainer, "fit", interrupt)
    monkeypatch.setattr(fit, "requeue", lambda: session.requeued.append(outcome(tmp_path / "run")))
    with session.folder.locked(), pytest.raises(KeyboardInterrupt, match=r"SIGUSR1\. To resume: python"):
        session.run()
    assert session.requeued == [("interrupted", "stopped by SIGUSR1")]


def test_a_run_that_failed_is_not_requeued(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        session.trainer.shutdown.requeue = True
        raise UserError("Diverged.")

    monkeypatch.setattr(RunTrainer, "fit", fail)
    with session.folder.locked(), pytest.raises(UserError, match="Diverged"):
        session.run()
    assert session.requeued == []
