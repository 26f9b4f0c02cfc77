"""Sweeps as train.py -m leaves them: their arms, and which of them is the baseline."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from alexnet.compare.arms import Arms
from alexnet.compare.study_folder import read_folder
from alexnet.config.reading import to_plain_dict
from alexnet.errors import UserError
from conftest import PROJECT
from fabricated_runs import Job, write_run, write_sweep

WIDE = {"model.width": 0.5}


def sweep_of(folder: Path, *swept: str, settings: list[dict[str, Any]], seeds: int = 2) -> Path:
    """A sweep with one value of each key at a time, as the first, second, ... of the given settings."""
    values = [item.partition("=") for item in swept]
    jobs: list[Job] = []
    for number, changed in enumerate(settings):
        sets = [f"{key}={listed.split(',')[number]}" for key, _, listed in values]
        jobs += [([*sets, f"seed={seed}"], changed, 20.0 + number + seed / 4) for seed in range(seeds)]
    command = [
        *swept,
        f"seed={','.join(map(str, range(seeds)))}",
        "trainer.max_epochs=10",
        "data.root='/a,b'",
    ]
    return write_sweep(folder, command, jobs)


def errors(arms: Arms) -> dict[str, dict[int, float]]:
    return {arm: {seed: run.top1_error for seed, run in runs.items()} for arm, runs in arms.arms.items()}


@pytest.mark.parametrize("values", ["true,false", "false,true"])
def test_the_baseline_has_the_default_values(tmp_path: Path, values: str) -> None:
    settings = [{"model.lrn": value == "true"} for value in values.split(",")]
    arms = read_folder(sweep_of(tmp_path / "sweep", f"model.lrn={values}", settings=settings), None)
    assert (arms.baseline, arms.baseline_rule) == ("model.lrn=true", "the default values")
    assert list(errors(arms).items()) == [  # in the order of the command
        (f"model.lrn={value}", {0: 20.0 + number, 1: 20.25 + number})
        for number, value in enumerate(values.split(","))
    ]
    assert arms.subject == "sweep"
    assert arms.excluded == []


def test_or_the_first_values(tmp_path: Path) -> None:
    """Of the command, not of the alphabet."""
    settings = [{"model.activation": name} for name in ("tanh", "sigmoid", "elu")]
    study = sweep_of(tmp_path / "sweep", "model.activation=tanh,sigmoid,elu", settings=settings)
    arms = read_folder(study, None)
    assert (arms.baseline, arms.baseline_rule) == ("model.activation=tanh", "the first values")
    given = read_folder(study, "model.activation=elu")
    assert (given.baseline, given.baseline_rule) == ("model.activation=elu", "as given")


def test_groups_and_several_keys(tmp_path: Path) -> None:
    """What a group sets is compared with the defaults, whatever its choice is called."""
    settings = [{"model.activation": "tanh"}, {}, {"model.dropout": 0.0}]
    swept = ("experiment=tanh,plain,no_dropout", "optimizer.lr=0.01,0.01,0.01")
    arms = read_folder(sweep_of(tmp_path / "sweep", *swept, settings=settings), None)
    assert list(arms.arms) == ["experiment=tanh", "experiment=plain", "experiment=no_dropout"]
    assert arms.baseline == "experiment=plain"
    settings = [{"model.name": "vgg16", "optimizer.lr": 0.1}, {"model.name": "lenet5"}]
    two = sweep_of(tmp_path / "two", "model=vgg16,lenet5", "optimizer.lr=0.1,0.01", settings=settings)
    arms = read_folder(two, "model=lenet5")
    assert list(arms.arms) == ["model=vgg16,optimizer.lr=0.1", "model=lenet5,optimizer.lr=0.01"]
    assert arms.baseline == "model=lenet5,optimizer.lr=0.01"


@pytest.mark.parametrize(
    ("swept", "baseline"),
    [
        ("experiment=tanh,baseline", "experiment=baseline"),
        ("optimizer=adamw,sgd", "optimizer=sgd"),
        ("model.init=he,cuda_convnet_2012", "model.init=cuda_convnet_2012"),
        ("model=lenet5,alexnet_caffe", "model=lenet5"),
    ],
)
def test_the_defaults_are_those_of_conf(tmp_path: Path, swept: str, baseline: str) -> None:
    """With the configurations that Hydra composes for the command and its jobs."""
    key, _, values = swept.partition("=")
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        for value in values.split(","):
            job = [f"{key}={value}", "model.image_size=224"]
            run = write_run(tmp_path / job[0], 20.0, overrides=job)
            (run / "config.yaml").write_text(yaml.safe_dump(to_plain_dict(compose("train", job))))
        command = [swept, "model.image_size=224"]
        config = hydra.config_loader.load_configuration("train", command, RunMode.MULTIRUN)
    OmegaConf.save(config, tmp_path / "multirun.yaml")
    assert read_folder(tmp_path, None).baseline == baseline


def test_without_seeds(tmp_path: Path) -> None:
    jobs: list[Job] = [
        ([f"model.lrn={value}"], {"model.lrn": value == "true"}, 20.0) for value in ("true", "false")
    ]
    arms = read_folder(write_sweep(tmp_path / "sweep", ["model.lrn=true,false", "seed=0"], jobs), None)
    assert errors(arms) == {"model.lrn=true": {0: 20.0}, "model.lrn=false": {0: 20.0}}


def test_places_may_be_swept(tmp_path: Path) -> None:
    """They are no factor of a run, but of this sweep; comparing them has to be allowed."""
    jobs: list[Job] = [([f"data.root={root}"], {"data.root": root}, 20.0) for root in ("/a", "/b")]
    arms = read_folder(write_sweep(tmp_path / "sweep", ["data.root='/b',/a"], jobs), None)
    assert (list(arms.arms), arms.baseline) == (["data.root=/b", "data.root=/a"], "data.root=/b")


def test_runs_that_do_not_count(tmp_path: Path) -> None:
    study = sweep_of(tmp_path / "sweep", "model.lrn=true,false", settings=[{}, {"model.lrn": False}])
    failed = study / "model.lrn=false,seed=1"
    (failed / "result.json").unlink()
    (study / "model.lrn=true,seed=0" / "overrides.yaml").unlink()
    write_run(study / "model.lrn=true,seed=9.failed-1", 20.0, seed=9)
    arms = read_folder(study, None)
    assert errors(arms) == {"model.lrn=true": {1: 20.25}, "model.lrn=false": {0: 21.0}}
    assert {run.name: run.reason for run in arms.excluded} == {
        "model.lrn=false,seed=1": "no result.json: it is still running, or was killed",
        "model.lrn=true,seed=0": "overrides.yaml is missing or damaged",
    }


def test_one_arm(tmp_path: Path) -> None:
    jobs: list[Job] = [([f"seed={seed}"], {}, error) for seed, error in enumerate((20.0, 21.0, 25.0))]
    study = write_sweep(tmp_path / "sweep", ["seed=0,1,2"], jobs)
    expected = (
        "only seeds differ (0, 1, 2), so there is nothing to compare. Top-1 error: mean 22.00%, from 20"
    )
    with pytest.raises(UserError, match=re.escape(expected)):
        read_folder(study, None)


@pytest.mark.parametrize(
    ("baseline", "expected"),
    [
        (
            "model.lrn=flase",
            "baseline=model.lrn=flase: there is no such arm. Did you mean model.lrn=false?"
            " Arms: model.lrn=true model.lrn=false",
        ),
        ("model.dropout=0", "baseline=model.dropout=0: there is no such arm."),
        ("", "baseline=: matches 2 arms. Arms: "),
    ],
)
def test_no_such_baseline(tmp_path: Path, baseline: str, expected: str) -> None:
    study = sweep_of(tmp_path / "sweep", "model.lrn=true,false", settings=[{}, {"model.lrn": False}])
    with pytest.raises(UserError, match=re.escape(expected)):
        read_folder(study, baseline)


def test_without_the_record_of_the_command(tmp_path: Path) -> None:
    study = sweep_of(tmp_path / "sweep", "model.lrn=true,false", settings=[{}, {"model.lrn": False}])
    for content in ("[", "- 1", "hydra: 1", None):
        (study / "multirun.yaml").unlink()
        if content is not None:
            (study / "multirun.yaml").write_text(content)
        with pytest.raises(UserError, match=r"Which arm is the baseline\? Choose one: baseline=<arm>"):
            read_folder(study, None)
    assert read_folder(study, "model.lrn=true").baseline == "model.lrn=true"
