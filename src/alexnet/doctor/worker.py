"""Worker process of the distributed check. It imports little, as it is started afresh."""

import json
import os
import time
from pathlib import Path

import torch
from torch import distributed

from alexnet.parent import exit_with_parent

BYTES = 16_000_000  # of the tensor


def all_reduce_worker(rank: int, processes: int, backend: str, address: str, folder: Path) -> None:
    """Add up a tensor with the other processes.

    Writes the extremes of the sum and the seconds that it took to <folder>/<rank>.json, and all output of
    this process to <folder>/<rank>.log.
    """
    exit_with_parent()  # torch sends SIGINT instead, which is not handled while processes wait for each other
    with (folder / f"{rank}.log").open("w", encoding="utf-8") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    device = torch.device("cuda", rank) if backend == "nccl" else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group(backend, address, rank=rank, world_size=processes)
    distributed.all_reduce(torch.zeros(1, device=device))  # connects them
    tensor = torch.full((BYTES // 4,), rank + 1.0, device=device)
    began = time.perf_counter()
    distributed.all_reduce(tensor)
    extremes = [tensor.min().item(), tensor.max().item()]  # waits for the device
    (folder / f"{rank}.json").write_text(
        json.dumps([*extremes, time.perf_counter() - began]), encoding="utf-8"
    )
    distributed.destroy_process_group()
