"""The processes that torchrun, srun or Lightning started, against those that are configured."""

import os
import subprocess
import sys

import pytest

from alexnet.errors import UserError
from alexnet.parent import STARTER
from alexnet.ranks import local_rank, process_rank
from alexnet.runs.launcher import (
    check_processes,
    check_single_process,
    is_started_by_run,
)
from conftest import PROJECT

TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}
TORCHRUN |= {"LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0"}
SRUN = {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "python", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "4"}
SRUN |= {"SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2", "SLURM_PROCID": "3", "SLURM_LOCALID": "1"}
BATCH = {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "x.sh", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}
LIGHTNING = {"LOCAL_RANK": "1", "NODE_RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "a", "MASTER_PORT": "1"}
MPIRUN = {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3"}
RANKED = MPIRUN | {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4"}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment in which the process was started."""
    for name in (
        "SLURM_JOB_NAME",
        "SLURM_NTASKS_PER_NODE",
    ):  # to be restored
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in request.param.items():
        monkeypatch.setenv(name, value)
    return dict(request.param)


@pytest.mark.parametrize(
    ("started", "devices", "nodes"),
    [
        ({}, 1, 1),
        ({}, 8, 2),
        (TORCHRUN, 2, 1),
        (SRUN, 2, 2),
        (BATCH, 4, 1),
        (SRUN | {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}, 2, 1),
        (LIGHTNING, 2, 2),
        (RANKED, 2, 2),
        ({"OMPI_COMM_WORLD_SIZE": "1"}, 2, 1),
    ],
    indirect=["started"],
)
def test_as_configured(started: dict[str, str], devices: int, nodes: int) -> None:
    check_processes(devices, nodes)


@pytest.mark.parametrize(
    ("started", "devices", "nodes", "message"),
    [
        (
            TORCHRUN,
            1,
            1,
            r"^torchrun has started 2 .* Set trainer.devices=2 trainer.num_nodes=1, or",
        ),
        (TORCHRUN, 3, 1, r"torchrun has started 2 .* has trainer.devices=3 .* let torchrun start 3\.$"),
        (
            SRUN,
            4,
            1,
            r"^srun has started 4 .*\(nodes: 2\).* Set trainer.devices=2 trainer.num_nodes=2,",
        ),
        (SRUN | {"SLURM_JOB_NAME": "interactive"}, 1, 1, r"srun has started 4 processes"),
        (MPIRUN, 4, 1, r"^mpirun has started 4 .* no ranks.* torchrun --nproc-per-node=4 src/train.py"),
        ({"PMI_SIZE": "2"}, 1, 1, r"^mpirun has started 2 "),
        ({"LOCAL_RANK": "1"}, 1, 1, r"^LOCAL_RANK=1 in the environment: .* Remove it: unset LOCAL_RANK$"),
        ({"LOCAL_RANK": "2", "RANK": "2"}, 2, 1, r"unset RANK LOCAL_RANK$"),
        ({"RANK": "1"}, 2, 1, r"unset RANK$"),
        ({"NODE_RANK": "1"}, 2, 1, r"unset NODE_RANK$"),
        ({"SLURM_PROCID": "1"}, 2, 1, r"unset SLURM_PROCID$"),
        ({"LOCAL_RANK": "first"}, 2, 1, r"^LOCAL_RANK=first in the environment"),
    ],
    indirect=["started"],
)
def test_otherwise(started: dict[str, str], devices: int, nodes: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_processes(devices, nodes)


@pytest.mark.parametrize("started", [{"LOCAL_RANK": "1"}], indirect=True)
def test_what_hides_messages_is_removed(started: dict[str, str]) -> None:
    with pytest.raises(UserError):
        check_processes(1, 1)
    assert "LOCAL_RANK" not in os.environ


@pytest.mark.parametrize(
    ("started", "name", "tasks_per_node"),
    [
        (BATCH, "interactive", None),  # one process, which starts the others
        (SRUN, "python", "2"),
        (SRUN | {"SLURM_JOB_NAME": "interactive"}, "train", "2"),
    ],
    indirect=["started"],
)
def test_what_lightning_is_told(started: dict[str, str], name: str, tasks_per_node: str | None) -> None:
    from lightning.fabric.plugins.environments import SLURMEnvironment

    check_processes(*((4, 1) if tasks_per_node is None else (2, 2)))
    assert os.environ["SLURM_JOB_NAME"] == name
    assert os.environ.get("SLURM_NTASKS_PER_NODE") == tasks_per_node
    assert SLURMEnvironment.detect() == (tasks_per_node is not None)


@pytest.mark.parametrize(
    ("started", "message"),
    [
        (
            TORCHRUN,
            r"^torchrun has started 2 processes of evaluate.py, .*\. Start it without",
        ),
        (MPIRUN, r"^mpirun has started 4 processes of evaluate.py, .*\. Start it without"),
        ({"LOCAL_RANK": "1"}, r"evaluate.py runs as one process\. Remove it: unset LOCAL_RANK$"),
    ],
    indirect=["started"],
)
def test_a_program_of_one_process(started: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_single_process("evaluate.py")


@pytest.mark.parametrize("started", [{}, BATCH, {"LOCAL_RANK": "0"}], indirect=True)
def test_a_program_that_is_one_process(started: dict[str, str]) -> None:
    check_single_process("evaluate.py")


@pytest.mark.parametrize(
    ("started", "rank"), [({}, 0), (TORCHRUN, 1), (SRUN, 3), (LIGHTNING, 1)], indirect=["started"]
)
def test_rank(started: dict[str, str], rank: int) -> None:
    assert process_rank() == rank


@pytest.mark.parametrize(
    ("started", "on_its_machine", "by_the_run"),
    [
        ({}, 0, False),
        (LIGHTNING, 1, True),
        (TORCHRUN, 1, False),
        (SRUN, 1, False),
        (SRUN | {"SLURM_PROCID": "2", "SLURM_LOCALID": "0"}, 0, False),
        ({"LOCAL_RANK": "x"}, 0, False),
    ],
    indirect=["started"],
)
@pytest.mark.usefixtures("started")
def test_which_process_this_is(on_its_machine: int, by_the_run: bool) -> None:
    assert (local_rank(), is_started_by_run()) == (on_its_machine, by_the_run)


@pytest.mark.parametrize(
    ("variables", "kept"),
    [
        ({}, False),
        (TORCHRUN, False),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0", "WORLD_SIZE": "2"}, True),  # by Lightning
    ],
)
def test_a_starter_that_is_left_over(variables: dict[str, str], kept: bool) -> None:
    """A run on several devices would take it for its first process, and end without a word."""
    code = (
        "import os, sys\n"
        "import train\n"
        "sys.argv = ['train.py', '--no-such-option']\n"
        "try:\n"
        "    train.main()\n"
        "except SystemExit:\n"
        f"    print({STARTER!r} in os.environ)\n"
    )
    started = {"PYTHONPATH": str(PROJECT / "src"), STARTER: "1"} | variables
    shown = subprocess.check_output([sys.executable, "-c", code], env=os.environ | started, text=True)
    assert shown.strip() == str(kept)
