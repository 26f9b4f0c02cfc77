"""What a person sees of a sweep: a live table on a terminal, plain lines elsewhere."""

import re
import time
from pathlib import Path

import pytest
from fake_sweep import fake_job

from alexnet.sweeps.display import prioritized, seconds_left, summary
from alexnet.sweeps.queue import JobStatus, State
from conftest import PROJECT, shown_on_a_terminal


def statuses(folder: Path, *states: State) -> list[JobStatus]:
    return [JobStatus(fake_job(folder / f"job={i}", "ok"), state) for i, state in enumerate(states)]


def test_the_table_on_a_terminal(tmp_path: Path) -> None:
    program = str(Path(__file__).with_name("fake_sweep.py"))
    environment = {"COLUMNS": "100", "PYTHONPATH": str(PROJECT / "src")}
    text = shown_on_a_terminal([program, str(tmp_path), "1", "2", "ok", "fail"], environment)
    assert re.search(r"job=0 +running +1/1 +40\.5%", text)
    assert re.search(r"job=1 +waiting", text)
    assert "1 waiting, 1 running" in text
    last = text[text.rindex("val top-1") :]
    assert re.search(r"job=0 +done +1/1 +40\.5% +0:\d\d", last)
    assert re.search(r"job=1 +failed", last)
    assert "the weights are gone." in last
    assert "1 done, 1 failed" in last


def test_the_rows_that_fit_tell_most(tmp_path: Path) -> None:
    many = statuses(tmp_path, *[State.done] * 50, State.failed, State.running, *[State.waiting] * 50)
    names = [status.job.name for status in prioritized(many, 4)]
    assert names == ["job=50", "job=51", "job=52", "job=53"]
    done = statuses(tmp_path, *[State.done] * 9)
    assert [status.job.name for status in prioritized(done, 2)] == ["job=7", "job=8"]


def test_time_left(tmp_path: Path) -> None:
    """Of a running job from its own epochs; of those that wait from those that ran."""
    known = statuses(tmp_path, State.done, State.running, State.waiting, State.waiting)
    assert seconds_left(statuses(tmp_path, State.waiting), 1) is None
    known[0].seconds = 100.0
    known[1].began = time.monotonic()
    assert seconds_left(known, 1) == pytest.approx(300)
    assert seconds_left(known, 2) == pytest.approx(150)
    assert seconds_left(known, 8) == pytest.approx(100)
    assert summary(known, 2) == "2 waiting, 1 running, 1 done; about 2:30 left"
