"""Whether processes find each other and add up their tensors."""

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
from alexnet.doctor.worker import BYTES, add_up

LIMIT_SECONDS = 60.0
GRACE_SECONDS = 5.0  # for the others to end when one has failed
SETTINGS = ("MASTER_ADDR", "MASTER_PORT", "GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")


def check_distributed(processes: int, accelerator: str, limit: float = LIMIT_SECONDS) -> Iterator[Finding]:
    """Start a process for each device; they add up a tensor. Killed after `limit` seconds."""
    if processes == 1:
        yield ok("distributed", "one device: no processes have to meet")
        return
    backend = "nccl" if accelerator == "gpu" else "gloo"
    meeting = LightningEnvironment()  # the address that a run would use
    address = f"tcp://{meeting.main_address}:{meeting.main_port}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        context = start_processes(
            add_up, (processes, backend, address, folder), processes, join=False, start_method="spawn"
        )
        trouble = _wait(context, limit)
        sums = {
            rank: json.loads(file.read_text(encoding="utf-8"))
            for rank in range(processes)
            if (file := folder / f"{rank}.json").is_file()
        }
        said = "" if trouble is None else _last_line(folder, processes)
    what = f"{processes} processes over {backend} at {address}"
    if trouble is not None:
        yield failed("distributed", f"{what}: {trouble}{said}", _advice(backend))
    else:
        yield judge(sums, processes, what, backend)


def judge(sums: dict[int, list[float]], processes: int, what: str, backend: str) -> Finding:
    """From the least and largest element of each rank's sum, and the seconds that it took."""
    expected = processes * (processes + 1) / 2
    wrong = [rank for rank, (least, largest, _) in sums.items() if not least == largest == expected]
    missing = [rank for rank in range(processes) if rank not in sums]
    if wrong or missing:
        ranks = ", ".join(map(str, wrong or missing))
        trouble = "a wrong sum" if wrong else "no sum"
        return failed("distributed", f"{what}: {trouble} on rank {ranks}", _advice(backend))
    seconds = max(seconds for _, _, seconds in sums.values())
    return ok("distributed", f"{what}: sums right, {BYTES / 1e6:.0f} MB in {1000 * seconds:,.0f} ms")


def _wait(context: ProcessContext, limit: float) -> str | None:
    """What went wrong, or None; nothing is left running."""
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)  # that it ends the others
    deadline = time.monotonic() + limit
    try:
        while not context.join(max(0.0, deadline - time.monotonic()), GRACE_SECONDS):
            if time.monotonic() >= deadline:
                return f"not done within {limit:g} s"
    except Exception as error:  # of one of the processes; the others have been ended
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return lines[-1] if lines else type(error).__name__
    finally:
        for process in context.processes:
            if process is not None and process.is_alive():
                process.kill()
                process.join()
    return None


def _last_line(folder: Path, processes: int) -> str:
    """The last that any process said."""
    logs = [folder / f"{rank}.log" for rank in range(processes)]
    lines = [
        line
        for log in logs
        if log.is_file()
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.strip()
    ]
    return f" ({lines[-1].strip()})" if lines else ""


def _advice(backend: str) -> str:
    given = [f"{name}={os.environ[name]}" for name in SETTINGS if name in os.environ]
    parts = ["Look at the firewall on this machine's own addresses, whether its name resolves"]
    if given:
        parts.append(f"what is set ({', '.join(given)})")
    if backend == "nccl":
        shared = Path("/dev/shm")
        room = f" ({shutil.disk_usage(shared).free / 1e6:,.0f} MB free)" if shared.is_dir() else ""
        parts.append(f"/dev/shm{room}, and what NCCL says with NCCL_DEBUG=INFO")
    return f"{', '.join(parts)}. Meanwhile: trainer.devices=1."
