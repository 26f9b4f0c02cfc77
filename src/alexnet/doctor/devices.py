"""The devices: are they those that are asked for, and do they multiply matrices rightly?"""

import time
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from alexnet.doctor.finding import Finding, failed, ok, warning
from alexnet.run.environment import cpu_model

# share of the largest entry by which a product may be wrong: TF32 rounds to 1/2048, bfloat16 to 1/256
TOLERANCES = {torch.float32: 2e-3, torch.bfloat16: 2e-2}
SIZES = {"cpu": 1024, "mps": 1024, "cuda": 2048}
TIMED_SECONDS = 0.2


def devices_of(accelerator: str) -> list[torch.device]:
    """All that there are of cpu, gpu or mps."""
    if accelerator == "gpu":
        return [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    return [torch.device(accelerator)]


def check_unseen_gpus(accelerator: str, gpus: Sequence[str]) -> Iterator[Finding]:
    """A note where the driver lists GPUs, but training would run on the CPU."""
    if accelerator == "cpu" and gpus:
        built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
        yield warning(
            "devices",
            f"nvidia-smi lists {len(gpus)} GPUs, but torch {torch.__version__}, built {built}, sees none",
            "Install a torch for this driver, or a newer driver; trainer.accelerator=cpu if that is meant.",
        )


def check_product(device: torch.device) -> Iterator[Finding]:
    """A product of two random matrices against one in float64 on the CPU, and how fast it is."""
    size = SIZES[device.type]
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(size, size, generator=generator) for _ in range(2))
    expected = left.double() @ right.double()
    rates = []
    for dtype in (torch.float32, torch.bfloat16) if device.type == "cuda" else (torch.float32,):
        a, b = left.to(device, dtype), right.to(device, dtype)
        error = relative_error(a @ b, expected)
        kind = str(dtype).removeprefix("torch.")
        if not error <= TOLERANCES[dtype]:  # not-a-number is none of the numbers below it
            yield failed(
                str(device),
                f"{name_of(device)}: a product of {size}x{size} matrices in {kind} is wrong by"
                f" {error:.2g} of its largest entry",
                "Use another device. Faulty hardware, overclocking, or a driver that does not suit torch.",
            )
            return
        rates.append(f"{_gigaflops(a, b):,.0f} GFLOP/s in {kind}")
    yield ok(str(device), f"{name_of(device)}: {size}x{size} matrix product right, {', '.join(rates)}")


def relative_error(product: Tensor, expected: Tensor) -> float:
    """The largest difference, as a share of the largest entry."""
    return float((product.cpu().double() - expected).abs().max() / expected.abs().max())


def name_of(device: torch.device) -> str:
    """What the device calls itself, and of a GPU its free memory."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return f"{torch.cuda.get_device_name(device)}, {free / 1e9:.1f} of {total / 1e9:.1f} GB free"
    return f"{cpu_model()}, {torch.get_num_threads()} threads" if device.type == "cpu" else "Apple GPU"


def _gigaflops(a: Tensor, b: Tensor) -> float:
    """10^9 operations a second; the product before was the warm-up."""
    done, seconds, batch = 0, 0.0, 1
    while seconds < TIMED_SECONDS:
        _wait_for(a.device)
        began = time.perf_counter()
        for _ in range(batch):
            torch.mm(a, b)
        _wait_for(a.device)
        seconds, done = time.perf_counter() - began, batch
        batch *= 2  # on a GPU one product is too short to be timed
    return done * 2 * a.shape[0] ** 3 / seconds / 1e9


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
