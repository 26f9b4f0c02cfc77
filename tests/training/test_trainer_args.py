"""Devices that cannot be had are refused by name."""

import os
import re
from pathlib import Path

import pytest
import torch
from lightning.fabric.plugins.environments import (
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)

from alexnet.errors import UserError
from alexnet.hardware import resolve_precision
from alexnet.training.components import build_components
from alexnet.training.trainer_args import check_devices, trainer_arguments, workers_per_device
from conftest import SMALL, Train, compose_config, request_of


def check(*overrides: str) -> None:
    config = compose_config("trainer.accelerator=cpu", *overrides)
    check_devices(config.trainer, config.strategy, config.model.columns, config.data.batch_size)


def test_accepts_what_there_is() -> None:
    check("trainer.devices=1")
    check("trainer.devices=2", "strategy=ddp")


def test_refuses_more_than_there_is() -> None:
    most = 4 * (os.cpu_count() or 1)
    with pytest.raises(UserError, match=rf"trainer.devices=10000.*from 1 to {most}"):
        check("trainer.devices=10000")


def test_refuses_a_batch_that_does_not_divide() -> None:
    with pytest.raises(UserError, match=r"data.batch_size=33.*2 devices"):
        check("trainer.devices=2", "data.batch_size=33")


def test_apples_gpus_have_no_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    check("trainer.accelerator=mps", "trainer.precision=32-true")
    with pytest.raises(UserError, match=r"^trainer\.precision=64-true: .*no float64\. Choose 32-true"):
        check("trainer.accelerator=mps", "trainer.precision=64-true")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("trainer.devices=2",), "the network has only one. Add model.columns=2"),
        (("trainer.devices=3", "model.columns=2", "data.batch_size=21"), "trainer.devices=2, not 3"),
        (("trainer.devices=1", "model.columns=2"), "trainer.devices=2, not 1"),
        (
            ("trainer.devices=4", "model.columns=2", "strategy.data_parallel_size=2", "data.batch_size=21"),
            "does not divide evenly over 2 copies of the network",
        ),
        (("trainer.devices=2", "model.columns=2", "trainer.precision=16-mixed"), "Choose bf16-mixed"),
    ],
)
def test_columns_need_devices_that_suit_them(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        check("strategy=model_parallel", *overrides)


def test_columns_share_a_batch() -> None:
    check("strategy=model_parallel", "trainer.devices=2", "model.columns=2", "data.batch_size=21")


@pytest.mark.parametrize(
    ("able", "precision"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, "bf16-mixed"),
        ({"amx_bf16": True}, "bf16-mixed"),
        ({"avx2": True, "avx512_bf16": False}, "32-true"),
        ({"bf16": True, "neon": True}, "32-true"),
    ],
)
def test_half_precision_where_the_processor_computes_in_it(
    able: dict[str, bool], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert resolve_precision(compose_config("trainer.accelerator=cpu").trainer) == precision
    asked = compose_config("trainer.accelerator=cpu", "trainer.precision=16-mixed").trainer
    assert resolve_precision(asked) == "16-mixed"


def test_single_is_one() -> None:
    with pytest.raises(UserError, match="strategy=single"):
        check("trainer.devices=2", "strategy=single")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_refuses_an_accelerator_that_is_not_there() -> None:
    with pytest.raises(UserError, match=r"trainer.accelerator=gpu.*Choices: cpu"):
        check("trainer.accelerator=gpu")


@pytest.mark.parametrize(
    ("overrides", "strategy"),
    [([], "auto"), (["trainer.devices=2"], "ddp"), (["strategy=single"], "auto"), (["strategy=ddp"], "ddp")],
)
def test_strategy(overrides: list[str], strategy: str) -> None:
    config = compose_config("trainer.accelerator=cpu", *overrides)
    assert trainer_arguments(config.trainer, config.strategy)["strategy"] == strategy


SRUN = {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_JOB_NAME": "job.sh"}
TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, LightningEnvironment),
        (SRUN, SLURMEnvironment),
        (TORCHRUN, TorchElasticEnvironment),
        (SRUN | TORCHRUN, TorchElasticEnvironment),  # in the script of a Slurm job
    ],
)
def test_what_has_started_the_processes(
    variables: dict[str, str], expected: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    config = compose_config("trainer.accelerator=cpu")
    environment = trainer_arguments(config.trainer, config.strategy)["plugins"][0]
    assert type(environment) is expected
    assert not getattr(environment, "auto_requeue", False)


def test_mpi_is_not_started(train: Train, synthetic: tuple[str, ...], tmp_path: Path) -> None:
    """Though mpi4py is installed: here one that ends the process, as Open MPI does without ssh."""
    (tmp_path / "site/mpi4py").mkdir(parents=True)
    (tmp_path / "site/mpi4py/__init__.py").write_text("import os\nos._exit(3)\n")
    (tmp_path / "site/mpi4py-4.0.dist-info").mkdir()
    (tmp_path / "site/mpi4py-4.0.dist-info/METADATA").write_text("Name: mpi4py\nVersion: 4.0\n")
    small = ("model.width=0.0625", "model.fc_units=[64,64]", "trainer.max_epochs=1", "logger=csv")
    found = {"PYTHONPATH": str(tmp_path / "site")}
    done = train(*synthetic, *small, "trainer.accelerator=cpu", environment=found, own_process=True)
    assert done.status == 0, done.err


def test_workers_as_given() -> None:
    trainer = compose_config("trainer.accelerator=cpu").trainer
    assert workers_per_device(0, trainer) == 0
    assert workers_per_device(None, trainer) == 1


def test_each_copy_of_the_network_needs_an_image(tmp_path: Path, image_tree: Path) -> None:
    for image in image_tree.glob("val/*/*[12].jpg"):
        image.unlink()  # one of each class is left
    given = ("data=folder", f"data.root={image_tree}", f"data.cache={tmp_path}/cache", "data.batch_size=4")
    build_components(request_of(tmp_path / "run", *SMALL, *given, "trainer.devices=2"))
    with pytest.raises(UserError, match=r"2 validation images for 4 copies of the network\. Each needs one"):
        build_components(request_of(tmp_path / "run", *SMALL, *given, "trainer.devices=4"))
