"""The split network computes what the undivided one does, on two and on four processes (gloo, CPU)."""

import copy
from collections.abc import Callable, Sequence
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as processes
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor
from torch.nn.functional import cross_entropy

from alexnet.distributed.parallelize import parallelize
from alexnet.models.alexnet import AlexNet
from alexnet.models.batch_norm import synchronize_batch_norm
from conftest import model_config

BATCH, CLASSES = 8, 7
SMALL = ("model.columns=2", "model.width=0.0625", "model.fc_units=[256,256]")
Overrides = tuple[str, ...]
Job = tuple[Callable[[DeviceMesh, Overrides], None], Overrides]


def networks(overrides: Overrides) -> tuple[AlexNet, Tensor, Tensor, Tensor]:
    """A network in float64, and a batch: images, labels, dropout_seeds ."""
    torch.manual_seed(0)
    network = AlexNet(model_config(*overrides), CLASSES).double()
    images = 30 * torch.randn(BATCH, 3, network.config.image_size, network.config.image_size).double()
    return network, images, torch.randint(CLASSES, (BATCH,)), torch.randint(2**32, (BATCH,))


def on_a_mesh(rank: int, folder: str, copies: int, columns: int, jobs: Sequence[Job]) -> None:
    """A process of `run`."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/rendezvous", rank=rank, world_size=copies * columns)
    mesh = init_device_mesh("cpu", (copies, columns), mesh_dim_names=("data_parallel", "tensor_parallel"))
    for job, overrides in jobs:
        job(mesh, overrides)
    dist.destroy_process_group()


def run(copies: int, columns: int, *jobs: Job) -> None:
    """Each job in a process for each device of a mesh; their failed assertions are this one's.

    Several jobs at once: to start a process takes longer than most of them.
    """
    with TemporaryDirectory() as folder:
        processes.spawn(on_a_mesh, (folder, copies, columns, jobs), nprocs=copies * columns)


def whole(value: Tensor) -> Tensor:
    return value.full_tensor() if isinstance(value, DTensor) else value


def check_steps(mesh: DeviceMesh, overrides: Overrides) -> None:
    """Outputs, gradients and updates over some steps, in training, with dropout."""
    network, images, labels, dropout_seeds = networks(overrides)
    undivided = copy.deepcopy(network)
    parallelize(network, mesh)
    names = [name for name, _ in undivided.named_parameters()]
    assert [name for name, _ in network.named_parameters()] == names
    copies = mesh["data_parallel"]
    if copies.size() > 1:
        synchronize_batch_norm(network, copies.get_group())
    mine = slice(*(BATCH * (copies.get_local_rank() + end) // copies.size() for end in (0, 1)))
    ours = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    theirs = torch.optim.SGD(undivided.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    for _ in range(3):
        output, expected = network(images[mine], dropout_seeds[mine]), undivided(images, dropout_seeds)
        torch.testing.assert_close(output, expected[mine], rtol=1e-10, atol=1e-12)
        ours.zero_grad()
        theirs.zero_grad()
        cross_entropy(output, labels[mine]).backward()
        cross_entropy(expected, labels).backward()
        for name, one, other in zip(names, network.parameters(), undivided.parameters(), strict=True):
            assert one.grad is not None
            torch.testing.assert_close(
                whole(one.grad),
                other.grad,
                rtol=1e-8,
                atol=1e-14,
                msg=lambda text, name=name: f"{name}: {text}",
            )
        ours.step()
        theirs.step()
    network.eval()
    undivided.eval()
    for (name, one), other in zip(network.named_buffers(), undivided.buffers(), strict=True):
        torch.testing.assert_close(whole(one), other, rtol=1e-9, atol=1e-12, msg=name)
    torch.testing.assert_close(network(images), undivided(images), rtol=1e-9, atol=1e-12)


def check_halves(mesh: DeviceMesh, overrides: Overrides) -> None:
    """Weights, gradients and velocities here: half of the network's, but for the last bias."""
    network, images, labels, dropout_seeds = networks(overrides)
    total = sum(parameter.numel() for parameter in network.parameters())
    parallelize(network, mesh)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    cross_entropy(network(images, dropout_seeds), labels).backward()
    optimizer.step()
    held: list[list[Any]] = [
        list(network.parameters()),
        [parameter.grad for parameter in network.parameters()],
        [optimizer.state[parameter]["momentum_buffer"] for parameter in network.parameters()],
    ]
    for kind in held:
        assert sum(each.to_local().numel() for each in kind) == (total - CLASSES) / 2 + CLASSES
    assert not list(network.buffers())


def check_own_column(mesh: DeviceMesh, overrides: Overrides) -> None:
    """Each process holds the rows of its own column."""
    network, *_ = networks(overrides)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    parallelize(network, mesh)
    column = mesh["tensor_parallel"].get_local_rank()
    for name, parameter in network.named_parameters():
        assert isinstance(parameter, DTensor)
        if name == "fc8.bias":
            expected = before[name]
        else:
            expected = before[name].chunk(2, 1 if name == "fc8.weight" else 0)[column]
        assert torch.equal(parameter.to_local(), expected), name
        assert torch.equal(parameter.full_tensor(), before[name]), name


def test_two_columns_on_two_devices() -> None:
    variants = (
        SMALL,
        ("model=alexnet_2012", *SMALL),  # norms within maps, a padded canvas
        (*SMALL, "model.batch_norm=true", "model.activation=gelu"),
    )
    steps = [(check_steps, overrides) for overrides in variants]
    run(1, 2, (check_own_column, SMALL), (check_halves, SMALL), *steps)


@pytest.mark.slow
def test_other_networks_of_two_columns_on_two_devices() -> None:
    variants = (
        (*SMALL, "model.cross_column=false"),
        ("model=alexnet_torchvision", *SMALL),  # dropout before fc6
        (*SMALL, "model.remove_layers=[conv3]", "model.dropout=0"),
    )
    run(1, 2, *((check_steps, overrides) for overrides in variants))


@pytest.mark.slow  # four processes; each half of it has its own test
def test_two_columns_times_two_copies() -> None:
    run(2, 2, (check_steps, SMALL), (check_steps, (*SMALL, "model.batch_norm=true")))


@pytest.mark.slow
def test_copies_that_hold_parts_of_every_layer() -> None:
    run(2, 1, (check_steps, SMALL), (check_steps, (*SMALL, "model.batch_norm=true")))


def test_layers_without_weights_are_not_divided() -> None:
    """What has no parameters has no state either: LRN, pooling, dropout."""
    network, *_ = networks(SMALL)
    for name, module in network.named_modules():
        if not isinstance(module, nn.Conv2d | nn.Linear) and not list(module.children()):
            assert not list(module.parameters()) + list(module.buffers()), name
