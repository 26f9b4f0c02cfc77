"""Which processes work on different images."""

from dataclasses import dataclass
from typing import Any

from lightning import Trainer


@dataclass(frozen=True)
class Replicas:
    """Copies of the network that share a batch. All devices of a copy see the same images.

    `rank` is the number of this process's copy; `group` has one process of each copy, None for all
    processes.
    """

    count: int
    rank: int
    group: Any


def replicas(trainer: Trainer) -> Replicas:
    """As many as there are processes, but where several of them hold one network together."""
    mesh = trainer.lightning_module.device_mesh
    if mesh is None:
        return Replicas(trainer.world_size, trainer.global_rank, None)
    copies = mesh["data_parallel"]
    return Replicas(copies.size(), copies.get_local_rank(), copies.get_group())
