"""Several devices in one process: collectives have their shapes, and nothing is sent."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import distributed
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh


@contextmanager
def fake_devices(copies: int = 1, columns: int = 2) -> Iterator[DeviceMesh]:
    """The mesh of a run, as its first device sees it."""
    distributed.init_process_group("fake", rank=0, world_size=copies * columns)
    try:
        yield init_device_mesh("cpu", (copies, columns), mesh_dim_names=("data_parallel", "tensor_parallel"))
    finally:
        distributed.destroy_process_group()
