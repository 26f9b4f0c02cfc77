"""Whether torch.compile works on this machine: a GPU's kernels need a C compiler, a CPU's a C++ compiler."""

import functools

import torch
from torch import Tensor

from alexnet.errors import lacks_memory

ADVICE = {
    "cuda": "Install a C compiler (gcc or clang), or give its path in CC",
    "cpu": "Install a C++ compiler (g++ or clang++), or give its path in CXX",
}
OTHER_ADVICE = "torch.compile may not be made for this device"


@functools.cache
def why_not_compiled(device: torch.device) -> str | None:
    """The first line of what the compiler says of a tiny function on the device; None where that works.

    Nothing that an earlier process has compiled is taken for it, as it would be without a compiler, too.
    """
    try:
        compiled = torch.compile(_tiny, fullgraph=True, options={"force_disable_caches": True})
        if compiled(torch.zeros(64, device=device)).sum().item() == 64:
            return None
        return "what is compiled gives wrong results"
    except Exception as error:  # of any of the tools that take part
        if lacks_memory(error):
            raise
        return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def advice(device: torch.device) -> str:
    """What to do where nothing can be compiled; no full stop."""
    return ADVICE.get(device.type, OTHER_ADVICE)


def _tiny(x: Tensor) -> Tensor:
    return x.square() + 1
