"""Other work on the machine is noticed, and a sweep's other jobs are not taken for it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from alexnet.runs import load
from alexnet.runs.load import Load, LoadMeter, busy_seconds, own_root, own_seconds

TICK = 1 / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(
    ("cores", "own", "other", "busy"),
    [
        (2, 1.9, 0.1, False),
        (2, 1.3, 0.6, True),
        (2, 1.0, 0.3, False),  # a core was free
        (16, 15.0, 0.3, False),
        (16, 12.0, 1.0, True),  # a step waits for the slowest of its threads
        (64, 2.0, 30.0, False),
        (128, 125.0, 2.0, False),  # services
    ],
)
def test_when_a_machine_is_busy(cores: float, own: float, other: float, busy: bool) -> None:
    assert Load(cores, own, other, 1).busy is busy


def test_in_words() -> None:
    assert Load(2, 1.2, 0.75, 1).describe() == "busy: other programs used 0.8 of 2 cores"
    assert Load(2, 1.2, 0.75, 2).describe() == (
        "busy: other programs used 0.8 of 2 cores; shared by 2 jobs of this sweep at a time"
    )
    assert Load(2, 1.9, 0.0, 2).describe() == "shared by 2 jobs of this sweep at a time"
    assert Load(2, 1.9, 0.0, 1).describe() is None


def write_process(folder: Path, process: int, parent: int, *ticks: int, name: str = "python") -> None:
    (folder / str(process)).mkdir()
    before = " ".join(["S", str(parent), *"123456789"])  # state, parent, and nine that do not matter
    (folder / f"{process}/stat").write_text(f"{process} ({name}) {before} {' '.join(map(str, ticks))} 20 0\n")


def test_time_of_a_process_and_its_descendants(tmp_path: Path) -> None:
    """Their own in both modes, and that of their children that have ended."""
    write_process(tmp_path, 1, 0, 10**6, 0, 0, 0)
    write_process(tmp_path, 50, 1, 100, 20, 3, 4)
    write_process(tmp_path, 60, 50, 1000, 0, 0, 0, name="a) S (b 1")
    write_process(tmp_path, 70, 60, 5000, 0, 0, 0)
    write_process(tmp_path, 71, 1, 9999, 0, 0, 0)
    (tmp_path / "80").mkdir()  # has just ended
    assert own_seconds(50, tmp_path) == pytest.approx(6127 * TICK)
    assert own_seconds(70, tmp_path) == pytest.approx(5000 * TICK)
    assert own_seconds(12345, tmp_path) == 0


def test_time_of_some_cpus(tmp_path: Path) -> None:
    """All but idle and waiting for disks; what a hypervisor took away counts."""
    table = tmp_path / "stat"
    table.write_text(
        "cpu 9 9 9 9 9 9 9 9 0 0\ncpu0 100 20 3 7000 800 4 5 60 1 1\ncpu12 1 0 0 50 0 0 0 0 0 0\n\n"
    )
    assert busy_seconds(frozenset({0}), table) == pytest.approx(192 * TICK)
    assert busy_seconds(frozenset({0, 12}), table) == pytest.approx(193 * TICK)
    assert busy_seconds(frozenset({3}), table) is None
    assert busy_seconds(frozenset({0}), tmp_path / "none") is None


def test_what_is_a_run_s_own() -> None:
    assert own_root({}, 20, 10) == 20
    assert own_root({"ALEXNET_LAUNCHER_PID": "5", "WORLD_SIZE": "2"}, 20, 10) == 5
    assert own_root({"SLURM_NTASKS": "2"}, 20, 10) == own_root({"WORLD_SIZE": "4"}, 20, 10) == 10
    assert own_root({"SLURM_NTASKS": "1"}, 20, 10) == 20


@pytest.fixture
def spinning() -> Iterator[None]:
    """A process that does not stop computing; it is a child of this one."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    yield
    process.kill()
    process.wait()


def test_work_of_a_child_is_own_and_of_a_stranger_is_other(
    monkeypatch: pytest.MonkeyPatch, spinning: None
) -> None:
    """The same process, seen from this one and from one that is not its parent."""
    if not Path("/proc/stat").exists():
        pytest.skip("no /proc/stat")
    mine = LoadMeter()
    monkeypatch.setattr(load, "own_root", lambda *_: 2**30)  # there is no such process
    strange = LoadMeter()
    time.sleep(1.1)
    own, other = mine.measure(), strange.measure()
    assert own and other
    assert own.own_cores > 0.2  # as much as this machine gave it
    assert other.own_cores == 0
    assert other.other_cores - own.other_cores == pytest.approx(own.own_cores, abs=0.15)


def test_what_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LoadMeter().measure() is None  # too short
    monkeypatch.setattr(load, "SHORTEST", 0.0)
    monkeypatch.setattr(load, "_all_seconds", dict)
    assert LoadMeter().measure() is None
    assert Load.read(None) is None
    assert Load.read({"cores": 2.0, "own_cores": 1.5, "other_cores": 0.5, "jobs": 1}) == Load(2, 1.5, 0.5, 1)
