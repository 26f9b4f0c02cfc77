"""What a container, a batch system or a limit takes away is seen."""

import os

from alexnet.doctor.hardware import Machine, check_machine, inspect_machine
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
