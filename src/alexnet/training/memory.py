"""How much memory a run takes."""

import resource
import sys

import torch


def peak_memory_mb(accelerator: str) -> float:
    """The most so far, in 10^6 bytes.

    On a GPU, what this process's tensors took there; elsewhere, what the whole process took.
    """
    if accelerator == "gpu":
        return torch.cuda.max_memory_allocated() / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in KiB on Linux, in bytes on macOS
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6
