"""What surrounds the tests: of the machine's own environment no more than is named here.

A job of Slurm, a key of W&B, another language, a hook of git, settings in someone's home: none
of them may change what a test sees. It is settled where this is imported, which is to be done
before torch is; the processes that a test starts inherit it.
"""

import atexit
import locale
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

KEPT = {
    *("ALEXNET_TEST_DATA", "TMPDIR", "CI"),  # with CI pytest cuts nothing short
    *("LOGNAME", "USER"),  # torch names its cache of compiled code after them, in TMPDIR: it stays warm
    *("CUDA_VISIBLE_DEVICES", "CUDA_HOME", "LD_LIBRARY_PATH", "CC", "CXX"),  # which GPU, and what compiles
}
PYTEST = ("PYTEST_", "_PYTEST")  # its own, by which its workers know each other
SLURM = ("sbatch", "srun", "squeue", "sacct", "scontrol", "scancel")
SETTLED = "ALEXNET_TESTS_SETTLED"  # by which process, which removes the folder in the end


def settle() -> None:
    """Change the environment of this process; one that it started finds it as it is to be."""
    if SETTLED not in os.environ:
        clean = environment(os.environ, Path(tempfile.mkdtemp(prefix="alexnet-tests-")))
        os.environ.clear()
        os.environ.update(clean | {SETTLED: str(os.getpid())})
    if os.environ[SETTLED] == str(os.getpid()):
        atexit.register(shutil.rmtree, os.environ["HOME"], ignore_errors=True)
    time.tzset()
    with suppress(locale.Error):  # a system that knows no C.UTF-8 has UTF-8 anyway
        locale.setlocale(locale.LC_ALL, "")  # or this process would read and write in another encoding


def environment(found: Mapping[str, str], home: Path) -> dict[str, str]:
    """What is kept of an environment, and what takes the place of the rest; `home` is an empty folder."""
    kept = {name: value for name, value in found.items() if name in KEPT or name.startswith(PYTEST)}
    return kept | {
        "PATH": os.pathsep.join(_without_slurm(found.get("PATH", os.defpath), home / "programs")),
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "MPLCONFIGDIR": str(home / "matplotlib"),  # its list of fonts is made once, whatever HOME a test has
        "ALEXNET_CACHE": str(home / "cache"),
    }


def _without_slurm(path: str, links: Path) -> list[str]:
    """The folders of a PATH; for one that has programs of Slurm, a folder of links to all others in it."""
    folders = []
    for index, folder in enumerate(name for name in path.split(os.pathsep) if name):
        if not any(shutil.which(program, path=folder) for program in SLURM):
            folders.append(folder)
            continue
        beside = links / str(index)
        beside.mkdir(parents=True)
        for program in Path(folder).absolute().iterdir():
            if program.name not in SLURM:
                (beside / program.name).symlink_to(program)
        folders.append(str(beside))
    return folders


settle()
