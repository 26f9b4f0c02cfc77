"""Does the compiler work that makes the network, or LRN, fast?"""

import logging
from collections.abc import Iterator

import torch

from alexnet.choices import Compile
from alexnet.config import SpeedConfig
from alexnet.doctor.finding import Finding, failed, ok, warning
from alexnet.training.compiler import advice, why_not_compiled

WHAT = {Compile.network: "the network", Compile.lrn: "LRN"}


def check_compiler(speed: SpeedConfig, compiled: Compile, device: torch.device) -> Iterator[Finding]:
    """A tiny kernel, compiled for the device where training would compile; `compiled` is what it would.

    Without, training runs eagerly unless `speed.compile=network` asks for it. LRN is compiled for CPUs and
    for CUDA alone.
    """
    if compiled is Compile.none or (compiled is Compile.lrn and device.type not in ("cpu", "cuda")):
        return
    # it tells of a CUDA toolkit beside no GPU
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    if (problem := why_not_compiled(device)) is None:
        yield ok("compiler", f"compiles for {device.type}, as is wanted for {WHAT[compiled]}")
        return
    seen = f"Nothing can be compiled for {device.type}, as is wanted for {WHAT[compiled]}: {problem}"
    if speed.compile is Compile.network:
        yield failed("compiler", seen, f"{advice(device)}, or choose speed.compile=none.")
    else:
        yield warning("compiler", seen, f"{advice(device)}. Training runs without it, but slower.")
