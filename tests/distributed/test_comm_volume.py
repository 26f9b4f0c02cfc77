"""Bytes exchanged by two devices with one column each, counted and computed by hand."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_devices import fake_devices
from torch import distributed, multiprocessing
from torch.distributed.device_mesh import init_device_mesh
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from alexnet.distributed.comm_volume import CommVolumeMode
from alexnet.distributed.parallelize import parallelize
from alexnet.models.alexnet import AlexNet
from alexnet.terminal import format_bytes
from conftest import model_config

SMALL = ("model.columns=2", "model.width=0.0625", "model.fc_units=[64,64]")
IMAGES, CLASSES, FLOAT = 4, 7, 4
PARAMETERS = 13_603
PADDING = 5  # fc8 has 7 rows of 4 weights and a bias: two devices hold 4 each
MAPS, POOLED, UNITS = 8 * 13 * 13, 8 * 6 * 6, 2  # of one column: before conv3, before fc6, of fc6


def step(network: torch.nn.Module) -> list[tuple[str, bool, int]]:
    images, labels = torch.rand(IMAGES, 3, 227, 227), torch.arange(IMAGES)
    with CommVolumeMode() as comm:
        cross_entropy(network(images), labels).backward()
    return [(item.kind, item.backward, item.sent) for item in comm.collectives]


def device(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"file://{folder}/rendezvous", rank=rank, world_size=2)
    counted: dict[str, Any] = {}
    columns = init_device_mesh("cpu", (1, 2), mesh_dim_names=("data_parallel", "tensor_parallel"))
    for communication in ("true", "false"):
        config = model_config(*SMALL, f"model.cross_column={communication}")
        network = AlexNet(config, CLASSES)
        parallelize(network, columns)
        counted[f"communication={communication}"] = step(network)
    network = DistributedDataParallel(AlexNet(model_config(*SMALL), CLASSES))
    for _ in range(2):
        network(torch.rand(1, 3, 227, 227)).sum().backward()  # DDP arranges its gradients once more
    counted["ddp"] = step(network)
    copies = init_device_mesh("cpu", (2, 1), mesh_dim_names=("data_parallel", "tensor_parallel"))
    network = AlexNet(model_config(*SMALL), CLASSES)
    parallelize(network, copies)
    counted["fsdp"] = step(network)
    (folder / f"{rank}.json").write_text(json.dumps(counted))
    distributed.barrier()
    distributed.destroy_process_group()
    os._exit(0)  # else torch aborts some of the processes at their end, after what is to be counted


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes counted."""
    folder = tmp_path_factory.mktemp("comm")
    multiprocessing.spawn(device, (folder,), nprocs=2)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def test_columns_exchange_what_figure_2_says(counted: list[dict[str, Any]]) -> None:
    gathered = [IMAGES * numbers * FLOAT for numbers in (MAPS, POOLED, UNITS)]
    logits = IMAGES * CLASSES * FLOAT
    for rank in counted:
        assert rank["communication=true"] == [
            *(["all_gather", False, sent] for sent in gathered),
            ["all_reduce", False, logits],
            *(["reduce_scatter", True, sent] for sent in reversed(gathered)),
        ]


def test_columns_without_communication_exchange_the_logits(counted: list[dict[str, Any]]) -> None:
    for rank in counted:
        assert rank["communication=false"] == [["all_reduce", False, IMAGES * CLASSES * FLOAT]]


def test_ddp_adds_up_every_gradient(counted: list[dict[str, Any]]) -> None:
    for rank in counted:
        assert rank["ddp"] == [["all_reduce", True, PARAMETERS * FLOAT]]


def test_fsdp_fetches_every_weight_twice_and_adds_up_every_gradient(counted: list[dict[str, Any]]) -> None:
    for rank in counted:
        sent = {("all_gather", False): 0, ("all_gather", True): 0, ("reduce_scatter", True): 0}
        for kind, backward, size in rank["fsdp"]:
            sent[kind, backward] += size
        assert list(sent.values()) == [(PARAMETERS + PADDING) * FLOAT // 2] * 3


def test_an_image_through_the_published_network() -> None:
    """On two devices 117 kB there and 113 kB back."""
    with fake_devices() as mesh, torch.device("meta"):
        network = AlexNet(model_config("model=alexnet_paper"), 1000)
        parallelize(network, mesh)
        with CommVolumeMode() as comm:
            network(torch.empty(1, 3, 224, 224)).sum().backward()
    maps, pooled, units = 128 * 13 * 13, 128 * 6 * 6, 2048
    forward = sum(each.sent for each in comm.collectives if not each.backward)
    backward = sum(each.sent for each in comm.collectives if each.backward)
    assert forward == FLOAT * (maps + pooled + units + 1000) == 117_152
    assert backward == FLOAT * (maps + pooled + units) == 113_152


def test_a_collective_of_another_kind_is_not_passed_over() -> None:
    with fake_devices(), pytest.raises(NotImplementedError, match="broadcast"), CommVolumeMode():
        distributed.broadcast(torch.zeros(3), 0)


def test_bytes_as_people_read_them() -> None:
    counts = (0, 999, 1000, 86_528, 117_152_000, 3e9)
    shown = ["0 bytes", "999 bytes", "1.0 kB", "86.5 kB", "117.2 MB", "3.0 GB"]
    assert [format_bytes(count) for count in counts] == shown
