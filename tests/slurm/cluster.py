"""A cluster of Slurm on this machine: two nodes, without accounting, in a folder that is given.

All of it runs as the current user and ends with the process that started it.
"""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

NODES = ("n1", "n2")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel", "sinfo")
# where packages put them: daemons are not on every user's path, and the tests' own path hides Slurm
INSTALLED = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
START_SECONDS = 30

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=10
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs={cpus} RealMemory={memory}
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs={cpus} RealMemory={memory}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing_programs() -> list[str]:
    """Return the programs that are not installed."""
    return [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]


@contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Start a cluster whose files are in `folder`; the environment in which its programs are found."""
    environment = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": _path()}
    for name in ("state", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir(parents=True)
    values = {"host": socket.gethostname().partition(".")[0], "user": getpass.getuser(), "folder": folder}
    megabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 // 2
    machine = {"cpus": os.cpu_count(), "memory": megabytes, "ports": _free_ports(3)}
    (folder / "slurm.conf").write_text(CONFIGURATION.format(**values, **machine))
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(1024))
    files = {"socket": "munge.socket", "key-file": "munge.key", "pid-file": "munged.pid"}
    files |= {"log-file": "munged.log", "seed-file": "munged.seed"}
    munge = [
        "munged",
        "--foreground",
        "--force",
        *(f"--{key}={folder / name}" for key, name in files.items()),
    ]
    daemons = [munge, ["slurmctld", "-D"], *(["slurmd", "-D", "-N", node] for node in NODES)]
    with ExitStack() as stack:
        for command in daemons:
            stack.enter_context(_daemon(command, folder, environment))
        _wait_until_idle(folder, environment)
        yield environment


@contextmanager
def _daemon(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[None]:
    program = shutil.which(command[0], path=_path())
    assert program is not None
    with (folder / f"{command[0]}-{command[-1].rpartition('/')[2]}.out").open("wb") as output:
        process = subprocess.Popen(
            [program, *command[1:]],
            env=os.environ | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_idle(folder: Path, environment: dict[str, str]) -> None:
    deadline = time.monotonic() + START_SECONDS
    states: list[str] = []
    while states != ["idle"] * len(NODES):
        if time.monotonic() > deadline:
            raise RuntimeError(f"Slurm has not started within {START_SECONDS} s: {states}. Logs: {folder}")
        time.sleep(0.5)
        command = ["sinfo", "--noheader", "--Node", "--format=%T"]
        done = subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, check=False
        )
        states = done.stdout.split()


def _path() -> str:
    return f"{os.environ['PATH']}{os.pathsep}{INSTALLED}"


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("", 0))) for _ in range(count)]
        return [server.getsockname()[1] for server in servers]
