"""What containers and batch systems take away of the cores and of memory is seen."""

from pathlib import Path

import pytest

from alexnet import machine
from alexnet.machine import available_memory, cpu_limit, memory_left, own_cgroups, usable_cores


@pytest.mark.parametrize(
    ("content", "cores"), [("150000 100000\n", 1.5), ("max 100000\n", None), ("", None), (None, None)]
)
def test_cpu_limit(tmp_path: Path, content: str | None, cores: float | None) -> None:
    if content is not None:
        (tmp_path / "cpu.max").write_text(content)
    assert cpu_limit(tmp_path) == cores


def test_limits_of_outer_groups_count(tmp_path: Path) -> None:
    table = tmp_path / "cgroup"
    table.write_text("1:cpu:/old\n0::/slurm/job_1/step\n")
    root = tmp_path / "fs"
    assert own_cgroups(table, root) == [root / "slurm/job_1/step", root / "slurm/job_1", root / "slurm", root]
    assert own_cgroups(tmp_path / "none", root) == []


def test_files_that_a_group_caches_are_no_memory_that_it_takes(tmp_path: Path) -> None:
    assert memory_left(tmp_path) is None
    (tmp_path / "memory.current").write_text("6000000000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_left(tmp_path) is None
    (tmp_path / "memory.max").write_text("8000000000\n")
    assert memory_left(tmp_path) == 2e9
    (tmp_path / "memory.stat").write_text("anon 3000000000\ninactive_file 2500000000\n")
    assert memory_left(tmp_path) == 4.5e9
    (tmp_path / "memory.current").write_text("20000000000\n")
    assert memory_left(tmp_path) == 0


def test_the_tightest_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.current").write_text("1000")
    (tmp_path / "memory.max").write_text("5000")
    (tmp_path / "cpu.max").write_text("50000 100000")
    monkeypatch.setattr(machine, "own_cgroups", lambda: [tmp_path, tmp_path / "none"])
    assert (usable_cores(), available_memory()) == (0.5, 4000)
