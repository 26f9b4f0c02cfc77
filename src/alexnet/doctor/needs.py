"""What the configured network needs of memory and disk, as far as it can be told without training it."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from alexnet.choices import Strategy
from alexnet.config import TrainConfig
from alexnet.doctor.finding import Finding, failed, ok
from alexnet.training.devices import copies_of_network

BYTES = {"64-true": 8, "bf16-true": 2}  # of a weight; 4 with every other precision


@dataclass(frozen=True)
class Needs:
    """Bytes. `memory` is what a device holds at least: activations come on top."""

    weights: int
    memory: int

    @property
    def last_checkpoint(self) -> int:
        """Weights and velocities."""
        return 2 * self.weights

    @property
    def best_checkpoint(self) -> int:
        """Weights alone."""
        return self.weights


def needs_of(config: TrainConfig, network: nn.Module) -> Needs:
    """Weights, gradients and velocities, divided where the strategy divides them, and a batch of images."""
    each = BYTES.get(config.trainer.precision, 4)
    weights = each * sum(parameter.numel() for parameter in network.parameters())
    divided = config.strategy.name in (Strategy.fsdp, Strategy.model_parallel)
    parts = config.trainer.devices * config.trainer.num_nodes if divided else 1
    images = config.data.batch_size // copies_of_network(config.trainer, config.strategy)
    batch = images * 3 * config.model.image_size**2 * each
    return Needs(weights, 3 * weights // parts + batch)


def check_memory(needs: Needs, free: float | None, processes: int) -> Iterator[Finding]:
    """`free` bytes of the memory that so many processes share; one has a GPU to itself."""
    held = needs.memory * processes
    what = f"{held / 1e9:.2f} GB at least" + (f" for {processes} processes" if processes > 1 else "")
    seen = f"{what}: weights, gradients, velocities and a batch of images"
    if free is None:
        yield ok("memory", f"{seen}; how much is free is not known here")
    elif held > free:
        advice = (
            "Stop what else runs there, or take less: data.batch_size, model.width, or more devices with"
            " strategy=fsdp."
        )
        yield failed("memory", f"{seen}; only {free / 1e9:.2f} GB are free", advice)
    else:
        yield ok("memory", f"{seen}; {free / 1e9:.1f} GB are free")
