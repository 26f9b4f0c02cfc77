"""What a container, a batch system or a limit takes away is seen."""

import os
from pathlib import Path

import pytest

from alexnet.doctor.hardware import Machine, check_machine, cpu_limit, inspect_machine, own_cgroups
from alexnet.doctor.report import Status


def test_this_machine() -> None:
    machine = inspect_machine()
    assert 0 < machine.usable_cores <= machine.cores == os.cpu_count()
    assert machine.memory is None or machine.memory > 1e8
    assert next(iter(check_machine(machine))).status is Status.ok


def test_all_is_well() -> None:
    (finding,) = check_machine(Machine(8, 8, 16e9, 1024))
    assert finding.status is Status.ok
    assert finding.message == "8 of 8 CPU cores, 16.0 GB of memory free, 1024 open files"


def test_tight_limits() -> None:
    machine, cores, files = check_machine(Machine(64, 2.5, None, 256))
    assert (machine.status, cores.status, files.status) == (Status.ok, Status.warning, Status.warning)
    assert "may use 2.5 of 64" in cores.message
    assert "OMP_NUM_THREADS=2, data.workers=2" in cores.advice
    assert "ulimit -n 1024" in files.advice


def test_open_files_without_limit() -> None:
    (finding,) = check_machine(Machine(1, 1, None, -1))
    assert finding.status is Status.ok
    assert "any number of open files" in finding.message


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
