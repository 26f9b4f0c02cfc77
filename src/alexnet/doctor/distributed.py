"""Check of distributed training: whether processes find each other and add up their tensors."""

import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from torch.multiprocessing.spawn import ProcessContext, start_processes

from alexnet.doctor.report import Finding, failed, ok
from alexnet.doctor.worker import BYTES, all_reduce_worker

TIMEOUT_SECONDS = 60.0
GRACE_SECONDS = 5.0  # for the others to end when one has failed
NETWORK_VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")


def check_distributed(
    processes: int, accelerator: str, timeout: float = TIMEOUT_SECONDS
) -> Iterator[Finding]:
    """Let a process for each device add up a tensor; they are killed after `timeout` seconds."""
    if processes == 1:
        yield ok("distributed", "one device: no other processes")
        return
    backend = "nccl" if accelerator == "gpu" else "gloo"
    environment = LightningEnvironment()  # has the address that a run would use
    address = f"tcp://{environment.main_address}:{environment.main_port}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        context = start_processes(
            all_reduce_worker,
            (processes, backend, address, folder),
            processes,
            join=False,
            start_method="spawn",
        )
        problem = _wait(context, timeout)
        sums = {
            rank: json.loads(file.read_text(encoding="utf-8"))
            for rank in range(processes)
            if (file := folder / f"{rank}.json").is_file()
        }
        output = "" if problem is None else _last_output(folder, processes)
    setup = f"{processes} processes over {backend} at {address}"
    if problem is not None:
        yield failed("distributed", f"{setup}: {problem}{output}", _advice(backend))
    else:
        yield assess_sums(sums, processes, setup, backend)


def assess_sums(sums: dict[int, list[float]], processes: int, setup: str, backend: str) -> Finding:
    """Check each rank's sum, given as its least and largest element and the seconds that it took."""
    expected = processes * (processes + 1) / 2
    wrong = [rank for rank, (least, largest, _) in sums.items() if not least == largest == expected]
    missing = [rank for rank in range(processes) if rank not in sums]
    if wrong or missing:
        ranks = ", ".join(map(str, wrong or missing))
        problem = "a wrong sum" if wrong else "no sum"
        return failed("distributed", f"{setup}: {problem} on rank {ranks}", _advice(backend))
    seconds = max(seconds for _, _, seconds in sums.values())
    return ok("distributed", f"{setup}: sums right, {BYTES / 1e6:.0f} MB in {1000 * seconds:,.0f} ms")


def _wait(context: ProcessContext, timeout: float) -> str | None:
    """Wait for the processes, and kill those that are left; return what went wrong, or None."""
    spawn_log = logging.getLogger("torch.multiprocessing.spawn")
    spawn_log.setLevel(logging.ERROR)  # without its notes that it ends the other processes
    deadline = time.monotonic() + timeout
    try:
        while not context.join(max(0.0, deadline - time.monotonic()), GRACE_SECONDS):
            if time.monotonic() >= deadline:
                return f"not done within {timeout:g} s"
    except Exception as error:  # of one of the processes, with its traceback; the others have been ended
        return _last_line(str(error)) or type(error).__name__
    finally:
        for process in context.processes:
            if process is not None and process.is_alive():
                process.kill()
                process.join()
    return None


def _last_output(folder: Path, processes: int) -> str:
    """Return the last line that the processes printed, in brackets, or "" if they printed nothing."""
    logs = [folder / f"{rank}.log" for rank in range(processes)]
    text = "\n".join(log.read_text(encoding="utf-8", errors="replace") for log in logs if log.is_file())
    line = _last_line(text)
    return f" ({line})" if line else ""


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _advice(backend: str) -> str:
    variables = [f"{name}={os.environ[name]}" for name in NETWORK_VARIABLES if name in os.environ]
    parts = ["Check the firewall for this machine's own addresses, whether its name resolves"]
    if variables:
        parts.append(f"the variables that are set ({', '.join(variables)})")
    if backend == "nccl":
        shared = Path("/dev/shm")
        room = f" ({shutil.disk_usage(shared).free / 1e6:,.0f} MB free)" if shared.is_dir() else ""
        parts.append(f"/dev/shm{room}, and what NCCL prints with NCCL_DEBUG=INFO")
    return f"{', '.join(parts)}. Until then: trainer.devices=1."
