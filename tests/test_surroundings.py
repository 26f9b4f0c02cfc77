"""What surrounds the machine's own environment reaches no test, nor a process that a test starts."""

import locale
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import PROJECT
from surroundings import SLURM, environment

HOSTILE = {
    **{"SLURM_JOB_ID": "1", "SLURM_PROCID": "1", "SLURM_NTASKS": "4", "RANK": "1", "WORLD_SIZE": "2"},
    **{"WANDB_MODE": "online", "WANDB_API_KEY": "0" * 40, "NETRC": "/none", "XDG_CACHE_HOME": "/none"},
    **{"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    **{"OMP_NUM_THREADS": "3", "HOME": "/none", "TZ": "Asia/Kolkata", "FORCE_COLOR": "1", "COLUMNS": "40"},
    **{"GIT_DIR": "/none", "HYDRA_FULL_ERROR": "1", "ALEXNET_CACHE": "/none", "PYTHONOPTIMIZE": "1"},
}


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of programs, Slurm's among them."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in (*SLURM, "other"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


def test_no_more_is_kept_than_is_named(tmp_path: Path) -> None:
    wanted = {"CUDA_VISIBLE_DEVICES": "1", "ALEXNET_TEST_DATA": "/images", "PYTEST_XDIST_WORKER": "gw0"}
    settled = environment(HOSTILE | wanted, tmp_path)
    assert wanted.items() <= settled.items()
    assert not HOSTILE.items() & settled.items()
    assert settled["OMP_NUM_THREADS"] == "1"


def test_slurm_is_found_nowhere(programs: Path, tmp_path: Path) -> None:
    """What else is in the same folder is, and what comes before is found first."""
    first, last = tmp_path / "first", tmp_path / "last"
    first.mkdir()
    last.mkdir()
    path = environment({"PATH": f"{first}:{programs}::{last}"}, tmp_path / "home")["PATH"]
    assert [shutil.which(name, path=path) for name in SLURM] == [None] * len(SLURM)
    other = shutil.which("other", path=path)
    assert other and Path(other).samefile(programs / "other")
    assert path.split(":")[0] == str(first)
    assert path.split(":")[-1] == str(last)


def test_of_a_process_that_loads_the_tests(programs: Path) -> None:
    """And of those that it starts."""
    code = "import surroundings, subprocess; subprocess.run(['env'], check=True)"
    found = {"PATH": f"{programs}:{os.environ['PATH']}", **HOSTILE}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=found | {"PYTHONPATH": str(PROJECT / "tests")},
        capture_output=True,
        text=True,
        check=True,
    )
    inherited = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert not HOSTILE.items() & inherited.items()
    assert not Path(inherited["HOME"]).exists()  # it is gone with the process


def test_of_this_process() -> None:
    assert sys.getfilesystemencoding() == locale.getencoding().lower() == "utf-8"
    assert not {"SLURM_JOB_ID", "WANDB_API_KEY", "RANK", "TZ", "PYTHONPATH"} & set(os.environ)
    assert shutil.which("sbatch") is None
    assert Path.home().is_dir()
    assert Path.home().name.startswith("alexnet-tests-")


@pytest.mark.parametrize("turn", [1, 2])
def test_a_test_leaves_nothing_in_the_environment(turn: int) -> None:
    assert "LEFT_BY_A_TEST" not in os.environ
    os.environ["LEFT_BY_A_TEST"] = str(turn)
