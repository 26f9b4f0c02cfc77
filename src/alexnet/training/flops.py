"""How much arithmetic a training step is, and how fast the device does arithmetic."""

import time
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from alexnet.model.classifier import Classifier

LONG_ENOUGH = 0.01  # seconds
LARGEST = 8192
ROUNDS = 3


def training_flops(network: Classifier) -> int:
    """Floating-point operations of one image's training: products and convolutions alone."""
    return count_training_flops(network, network.config.image_size)


def count_training_flops(network: nn.Module, side: int) -> int:
    """`training_flops` of any network that begins with a convolution of an image of `side` pixels.

    A multiplication and its addition are two. Backward each layer takes its forward pass twice, for its
    weights and for its input; but the images' own gradient is not computed. (torch's own count
    of the backward pass takes grouped convolutions as if they were not.)
    """
    twin = deepcopy(network).to("meta").eval()  # else normalisation wants more than one image
    name, conv1 = next(item for item in twin.named_modules() if isinstance(item[1], nn.Conv2d))
    images = torch.empty(1, 3, side, side, device="meta", dtype=conv1.weight.dtype)
    with FlopCounterMode(display=False) as counter:
        twin(images)
    first = sum(counter.get_flop_counts()[f"{type(twin).__name__}.{name}"].values())
    return 3 * counter.get_total_flops() - first


def matrix_rate(device: torch.device, precision: str) -> float:
    """Floating-point operations a second of a large matrix product: about what the device can do.

    Training can be above it: on some processors the library of convolutions is better than that of products.

    `precision` is Lightning's name. The fastest of a few, of a size that takes long enough to be timed: less
    than a second in all.
    """
    dtype = _dtype(precision)
    side, seconds = 512, 0.0
    while seconds < LONG_ENOUGH and side < LARGEST:
        side *= 2
        own = torch.Generator(device).manual_seed(0)  # the run's are none of its business
        a, b = (torch.randn(side, side, device=device, generator=own).to(dtype) for _ in range(2))
        torch.mm(a, b)  # warms up
        seconds = min(_seconds(a, b) for _ in range(ROUNDS))
    del a, b
    if device.type == "cuda":  # what these took is not the run's
        torch.cuda.reset_peak_memory_stats(device)
    return 2 * side**3 / seconds


def _seconds(a: Tensor, b: Tensor) -> float:
    wait_for(a.device)
    began = time.perf_counter()
    torch.mm(a, b)
    wait_for(a.device)
    return time.perf_counter() - began


def wait_for(device: torch.device) -> None:
    """Until what was begun on a device is done."""
    if device.type != "cpu":
        torch.accelerator.synchronize()


def _dtype(precision: str) -> torch.dtype:
    types = {"64": torch.float64, "32": torch.float32, "16": torch.float16, "bf16": torch.bfloat16}
    return types[precision.partition("-")[0]]
