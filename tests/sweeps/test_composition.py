"""Configurations of a sweep's jobs: the same as Hydra's own, of which most jobs need none."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from alexnet.sweeps.composition import JobComposer
from conftest import PROJECT

JOBS = [
    ("seed=1",),
    ("seed=2", "optimizer.lr=0.02", "model.lrn=false"),
    ("model=alexnet_caffe", "seed=1", "hydra.job.name=x", "optimizer.lr=1e-3"),
    ("seed=1", "model=alexnet_caffe", "hydra.job.name=x", "model.dropout=0"),
    ("experiment=[no_lrn,no_dropout]", "model.filters=[1,2,3,4,5]", "seed=3"),
    ("data=imagenette_112", "data.augment={crop:false}", "run_folder='/x/a, b=c/seed=1'", "resume=auto"),
    ("optimizer.lr='${model.width}'", "model.width=0.5"),
    ("+extra.key=1", "extra.key=2", "seed=1"),
    ("++model.mine=4", "seed=1"),
    ("hydra/launcher=basic", "seed=5"),
]


class Counting:
    """The loader, and how often it was asked."""

    def __init__(self, loader: ConfigLoader) -> None:
        self.loader, self.loaded = loader, 0

    def load_sweep_config(self, sweep: DictConfig, overrides: list[str]) -> DictConfig:
        self.loaded += 1
        return self.loader.load_sweep_config(sweep, overrides)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)


@pytest.fixture
def loader() -> Iterator[Counting]:
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        yield Counting(hydra.config_loader)


def sweep(loader: Counting, tmp_path: Path) -> DictConfig:
    typed = ["seed=0,1", f"outputs={tmp_path}", "hydra.verbose=false"]
    return loader.loader.load_configuration("train", typed, RunMode.MULTIRUN)


def composed(source: Any, overrides: Sequence[str]) -> dict[str, Any] | str:
    """All of a configuration, unresolved, with its flags; or the error."""
    try:
        config = source(list(overrides))
    except HydraException as error:
        return f"{type(error).__name__}: {error}"
    content = OmegaConf.to_container(config)
    assert isinstance(content, dict)
    flags = (OmegaConf.is_struct(config), OmegaConf.is_struct(config.model), OmegaConf.is_readonly(config))
    return {str(key): value for key, value in content.items()} | {"flags": flags}


@pytest.mark.parametrize("overrides", JOBS, ids=" ".join)
def test_it_is_hydra_s(loader: Counting, tmp_path: Path, overrides: tuple[str, ...]) -> None:
    master = sweep(loader, tmp_path)
    composer = JobComposer(loader, master)  # type: ignore[arg-type]
    composer.compose([*overrides[:-1], "seed=9"] if "=" in overrides[-1] else overrides)  # one before it
    expected = composed(lambda given: loader.load_sweep_config(master, given), overrides)
    assert composed(composer.compose, overrides) == expected


@pytest.mark.parametrize(
    "typed", ["no_such=1", "model.no_such=1", "model=no_such", "seed=a", "data.augment=1"]
)
def test_so_are_errors(loader: Counting, tmp_path: Path, typed: str) -> None:
    master = sweep(loader, tmp_path)
    composer = JobComposer(loader, master)  # type: ignore[arg-type]
    expected = composed(lambda given: loader.load_sweep_config(master, given), ["seed=1", typed])
    assert composed(composer.compose, ["seed=1", typed]) == expected


def test_files_are_read_once_for_each_choice(loader: Counting, tmp_path: Path) -> None:
    composer = JobComposer(loader, sweep(loader, tmp_path))  # type: ignore[arg-type]
    for name in ("alexnet", "alexnet_caffe"):
        for seed in range(5):
            composer.compose([f"model={name}", f"seed={seed}", f"optimizer.lr=0.0{1 + seed}"])
    assert loader.loaded == 2
    first, second = (composer.compose(["model=alexnet", f"seed={seed}"]) for seed in (1, 2))
    first.model.width = 0.25  # they share nothing
    assert (second.model.width, second.seed) == (1.0, 2)
