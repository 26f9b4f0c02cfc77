"""From a sweep's overrides to the commands of its jobs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import OmegaConf

from alexnet.config.hashing import config_hash
from alexnet.config.reading import to_plain_dict
from alexnet.errors import UserError
from alexnet.sweeps.composition import JobComposer
from alexnet.sweeps.planning import PlannedJob, plan_job, unique_jobs
from conftest import PROJECT


@contextmanager
def planned(sweep: tuple[str, ...], *jobs: tuple[str, ...]) -> Iterator[list[PlannedJob]]:
    """Jobs of `train.py -m <sweep>`."""
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        loader = hydra.config_loader
        config = loader.load_configuration("train", list(sweep), RunMode.MULTIRUN)
        yield [plan_job(JobComposer(loader, config), job, number) for number, job in enumerate(jobs)]


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["src/train.py", "-m"])


def test_a_job_is_a_plain_single_run(tmp_path: Path) -> None:
    command = ("model.lrn=true,false", "model.width=0.5", "hydra.verbose=true", "hydra.launcher.jobs=2")
    where = f"outputs='{tmp_path}/it''s, here'".replace("''", "\\'")
    with planned((*command, where), ("model.lrn=False", "model.width=0.5", where)) as (item,):
        job = item.job
    assert job.name == "model.lrn=false"
    assert job.folder.is_relative_to(tmp_path / "it's, here" / "sweeps")
    assert job.command[:2] == (sys.executable, str(Path("src/train.py").absolute()))
    given = job.command[2:]
    assert given[:4] == ("hydra.verbose=true", "model.lrn=False", "model.width=0.5", where)
    read = {o.key_or_group: o.value() for o in OverridesParser.create().parse_overrides(list(given))}
    assert str(read["run_folder"]) == str(job.folder)
    assert read["resume"] == "auto"
    assert str(read["logger.name"]) == "model.lrn=false"
    assert str(read["logger.group"]) == f"sweeps/{job.folder.parent.name}"
    assert "logger.job_type" not in read


def test_the_hash_is_the_run_s_own(tmp_path: Path) -> None:
    with planned(("seed=0,1", f"outputs={tmp_path}"), ("seed=1", f"outputs={tmp_path}")) as (item,):
        overrides = list(item.job.command[2:])
        recorded = GlobalHydra.instance().config_loader().load_configuration("train", overrides, RunMode.RUN)
    run = OmegaConf.masked_copy(recorded, [str(key) for key in recorded if key != "hydra"])
    assert config_hash(to_plain_dict(run)) == item.job.config_hash
    assert config_hash(to_plain_dict(run) | {"seed": 0}) != item.job.config_hash


def test_what_the_user_gives_stays() -> None:
    given = ("logger.group=mine", "logger.name=my_run")
    with planned((*given, "seed=0,1"), (*given, "seed=0")) as (item,):
        assert not any(part.startswith("logger.") for part in item.job.command if part not in given)


def test_sweep_dir_and_subdir_are_honoured(tmp_path: Path) -> None:
    where = (f"hydra.sweep.dir={tmp_path}/my_study", "hydra.sweep.subdir='${model.name}/seed=${seed}'")
    with planned((*where, "seed=0,1", "trainer.devices=2"), ("seed=1", "trainer.devices=2")) as (item,):
        job = item.job
    assert job.folder == tmp_path / "my_study/alexnet/seed=1"
    assert (job.name, job.devices) == ("alexnet/seed=1", 2)
    assert {"logger.group='my_study'", "logger.job_type='alexnet'"} <= set(job.command)


def test_the_same_job_twice_is_one_job(tmp_path: Path) -> None:
    where = f"hydra.sweep.dir={tmp_path}"
    with planned((where, "seed=0,0"), ("seed=0",), ("seed=0",)) as items:
        assert len(unique_jobs(items)) == 1
    same = (where, "hydra.sweep.subdir=same", "seed=0,1")
    with (
        planned(same, ("seed=0",), ("seed=1",)) as items,
        pytest.raises(UserError, match="different jobs the same"),
    ):
        unique_jobs(items)


def test_hydra_flags_reach_the_jobs(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("defaults:\n  - train\n  - _self_\nseed: 7\n")
    search_path = create_config_search_path(str(PROJECT / "conf"))
    search_path.prepend("command-line", f"file://{tmp_path}")
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        loader = ConfigLoaderImpl(search_path)
        config = loader.load_configuration("mine", ["seed=0,1"], RunMode.MULTIRUN)
        command = plan_job(JobComposer(loader, config), ["seed=0"], 0).job.command
    assert command[2:6] == ("--config-dir", str(tmp_path), "--config-name", "mine")
