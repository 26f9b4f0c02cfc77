"""A checkpoint of the configured network, written, read and compared."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from alexnet.doctor.finding import Finding, failed, ok
from alexnet.run.checkpoint_file import read_checkpoint, write_checkpoint


def check_checkpoint(network: nn.Module, scratch: Path) -> Iterator[Finding]:
    """Whether the weights come back from the disk as they were, bit for bit."""
    path = scratch / "trial.ckpt"
    weights = network.state_dict()
    began = time.perf_counter()
    back = write_and_read(path, {"state_dict": weights})["state_dict"]
    seconds = time.perf_counter() - began
    size = path.stat().st_size
    path.unlink()
    if different := differing(weights, back):
        seen = (
            f"{', '.join(different[:3])}: not what was written ({len(different)} of {len(weights)} tensors)"
        )
        yield failed(
            "checkpoint", seen, "Do not train here: check disk and memory, or give another outputs=<folder>."
        )
    else:
        yield ok(
            "checkpoint", f"{size / 1e6:,.0f} MB written and read, the same bit for bit, in {seconds:.1f} s"
        )


def write_and_read(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Through a file, as a run does it."""
    write_checkpoint(path, content)
    return read_checkpoint(path)


def differing(written: dict[str, Tensor], read: dict[str, Tensor]) -> list[str]:
    """Names of the tensors that are not the same to the last bit."""
    return [name for name in written if name not in read or not _same_bits(written[name], read[name])]


def _same_bits(one: Tensor, other: Tensor) -> bool:
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    return torch.equal(*(tensor.flatten().view(torch.uint8) for tensor in (one, other)))
