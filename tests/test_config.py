"""The configuration tree: every choice composes, every mistake is reported."""

import copy
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from alexnet.config import Compile, TrainConfig
from alexnet.config.messages import PLUGINS, format_error
from alexnet.config.model import MODELS
from alexnet.config.reading import read_config, to_plain_dict
from alexnet.config.registry import ConfigRegistry
from alexnet.errors import UserError
from conftest import PROJECT, Train, compose_config

SCHEMAS = {
    (registry.group, f"_{name}") for registry in ConfigRegistry.of_base.values() for name in registry.names()
}


def rows_of_choices() -> list[tuple[str, ...]]:
    """Every choice of every group, in as few command lines as the largest group has choices."""
    groups: dict[str, list[str]] = {}
    for file in sorted((PROJECT / "conf").glob("*/*.yaml")):
        if not file.stem.startswith("_"):
            groups.setdefault(file.parent.name, []).append(f"{file.parent.name}={file.stem}")
    experiments = [(choice,) for choice in groups.pop("experiment")]  # each is of one network
    return [tuple(filter(None, row)) for row in zip_longest(*groups.values())] + experiments


@pytest.mark.parametrize("choices", rows_of_choices(), ids=" ".join)
def test_every_choice_composes(choices: tuple[str, ...]) -> None:
    named = ["model.name=resnet50"] if "model=torchvision" in choices else []
    config = compose_config(*choices, "data.root=/somewhere", *named)
    assert isinstance(config, TrainConfig)
    assert isinstance(config.model, MODELS[config.model.family])


def test_presets_say_only_what_differs() -> None:
    """A preset that repeats a value of the preset it builds on would hide what it changes."""
    for file in (PROJECT / "conf").glob("*/*.yaml"):
        content = yaml.safe_load(file.read_text()) or {}
        bases = [base for base in content.pop("defaults", []) if isinstance(base, str) and base != "_self_"]
        for base in bases:
            if (file.parent.name, base) in SCHEMAS:
                continue  # keys without values
            name = base.partition("@")[0]  # study=imagenet_innovations says where its base goes
            below = yaml.safe_load((file.parent / f"{name}.yaml").read_text())
            repeated = [key for key, value in content.items() if key in below and below[key] == value]
            assert not repeated, f"{file.name} repeats {repeated} of {base}.yaml"


def mistake(*overrides: str) -> str:
    """The line that train.py would end with."""
    try:
        compose_config(*overrides)
    except (UserError, HydraException, OmegaConfBaseException) as error:
        return format_error(error, TrainConfig)
    raise AssertionError(f"{overrides} was accepted")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model.activation=tahn", ["model.activation=tahn", "Did you mean tanh?", "relu"]),
        ("model.lnr=true", ["model.lnr", "Did you mean lrn?"]),
        ("model=resnet18 model.lrn=false", ["model.lrn: there is no such key", "input_std"]),
        ("model=lenet5 model.image_size=200", ["model.image_size=200", "multiple of 32"]),
        ("model=torchvision", ["model.name is not set"]),
        ("model=resnet18 model.input_std=[1,2]", ["model.input_std=[1.0, 2.0]", "three numbers"]),
        ("model.lrn=flase", ["model.lrn=flase", "expected true or false"]),
        ("model.lrn.k=2", ["model.lrn"]),
        ("model.dropout=1.5", ["model.dropout=1.5", "from 0 to below 1"]),
        ("model.columns=3", ["model.columns=3", "1 or 2"]),
        ("model.filters=[1,2]", ["model.filters=[1, 2]", "five numbers"]),
        ("model.filters=[96,0,384,384,256]", ["model.filters=[96, 0, 384, 384, 256]", "numbers above 0"]),
        ("model.lrn_size=4", ["model.lrn_size=4", "odd"]),
        ("model.canvas_size=100", ["model.canvas_size=100", "227"]),
        ("model=alexnt", ["model=alexnt", "Did you mean alexnet?", "alexnet_2012"]),
        ("experiment=no_lrm", ["experiment=no_lrm", "Did you mean no_lrn?"]),
        ("study=inovations", ["study=inovations", "Did you mean innovations?"]),
        ("debug=fats", ["debug=fats", "Did you mean fast?"]),
        ("modle=alexnet", ["modle", "Did you mean model?"]),
        ("optimzer.lr=1", ["optimzer", "Did you mean optimizer?"]),
        ("optimizer.lr=-1", ["optimizer.lr=-1", "above 0"]),
        ("data.augment.flp=true", ["data.augment.flp", "Did you mean flip?"]),
        ("data=folder", ["data.root is not set"]),
        ("data.batch_size=0", ["data.batch_size=0"]),
        ("scheduler.milestones=[0.9,0.5]", ["scheduler.milestones"]),
        ("trainer.precision=bf17", ["trainer.precision=bf17", "bf16-mixed"]),
        ("performance=fst", ["performance=fst", "Did you mean fast?", "plain"]),
        ("performance.compile=nework", ["performance.compile=nework", "Did you mean network?"]),
        ("trainer.max_epochs=1.5", ["trainer.max_epochs=1.5: expected an integer."]),
        ("strategy=ddp strategy.data_parallel_size=2", ["strategy.data_parallel_size: there is no such key"]),
        ("scheduler=constant scheduler.patience=1", ["scheduler.patience: there is no such key"]),
        ("logger=csv logger.project=mine", ["logger.project: there is no such key"]),
        ("optimizer=adamw optimizer.beta=1", ["optimizer.beta: there is no such key. Did you mean betas?"]),
        ("optimizer.rule=papr", ["optimizer.rule=papr: there is no such update rule. Did you mean paper?"]),
        (
            "optimizer.layer_weight_decay.conv1=0",
            ["no such key yet", "+optimizer.layer_weight"],
        ),
        ("study=depth study.pilot.grid={a:[1,2]}", ["its keys are new", "'+study.pilot.grid={...}'"]),
        ("study=depth study.pilot.sed=1", ["study.pilot.sed: there is no such key. Did you mean seeds?"]),
        ("+surprise=1", ["surprise: there is no such key"]),
        ("+model.surprise=1", ["model.surprise: there is no such key"]),
        ("seed=-1", ["seed=-1"]),
        ("model.remove_layers=conv3", ["conv3: expected a list: model.remove_layers=[conv3]"]),
        ('model.filters="[3,4]"', ["expected a list: model.filters=[3,4]"]),
        ("model.filters={a:1}", ["expected a list: model.filters=[...]"]),
        (
            "study=depth study.pilot.overrides='trainer.max_epochs=3'",
            ["expected a list: \"study.pilot.overrides=['trainer.max_epochs=3']\""],
        ),
        (
            "study=depth study.pilot.overrides='[trainer.max_epochs=3]'",
            ["expected a list: \"study.pilot.overrides=['trainer.max_epochs=3']\""],
        ),
        ("optimizer.layer_lr_factor=3", ["with values: 'optimizer.layer_lr_factor={<key>:<value>}'"]),
        ("data.augment=true", ["it is a group of keys. Keys: color,"]),
        ("callbacks.train_eval=true", ["it is a group of keys. Keys: enabled, stop_below."]),
        ("model.width=[1]", ["model.width=[1]: expected a number."]),
        ("model.lrn=maybe", ["model.lrn=maybe: expected true or false."]),
        ("model.lrn=[", ["Cannot read 'model.lrn=['"]),
    ],
)
def test_mistakes_are_reported_in_one_line(override: str, expected: list[str]) -> None:
    line = mistake(*override.split())
    assert "\n" not in line
    for part in expected:
        assert part in line


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["data=null"], "data=null: a group needs a choice. Choices: cifar10, "),
        (["logger=null", "model.width=0.5"], "logger=null: a group needs a choice. Choices: csv, wandb."),
        (["~logger"], "~logger: a group needs a choice. Choices: csv, wandb."),
        (["~data=synthetic"], "~data=synthetic: a group needs a choice. Choices: cifar10, "),
        (["~model.lrn"], "~model.lrn: a key cannot be deleted. Give it another value: model.lrn=..."),
        (["study=null"], "study=null: a group needs a choice. Choices: activations, "),
        (["study.pilot.seeds=1"], "study.pilot.seeds: no study is chosen. Add study=<choice>."),
        (["model.lrn=true", "-m", "--cfg", "job"], "-m --cfg: give one of them, not several."),
        (["-performance.compile=lrn"], "-performance.compile=lrn: expected key=value, or an option: "),
        (["lr=0.1"], "lr: there is no such key. Did you mean optimizer.lr?"),
        (["epochs=3"], "epochs: there is no such key. Did you mean scheduler.warmup_epochs or trainer."),
        (["data=_base"], "data=_base: there is no such choice. Choices: cifar10, "),
        (["model=_alexnet"], "model=_alexnet: there is no such choice. Did you mean alexnet?"),
        (["data.cache=${oc.env:NOT_SET}"], "data.cache: the environment variable NOT_SET is not set."),
        (
            ["--config-name=no_lrn"],
            "--config-name=no_lrn: there is no such configuration. Did you mean exper",
        ),
        (["hydra.run.dir=x"], "hydra.run.dir=x: has no effect here."),
        (["optimizer.lr=1,000"], "optimizer.lr=1,000: several values are a sweep. Add -m: "),
        (
            ["experiment=alexnet_2012"],
            "data.root is not set. Set it: data.root=..., the folder with your copy",
        ),
        (["trainer=3"], "trainer=3: there is no such choice. Choices: default."),
        (["claim.text.more=1"], "claim.text.more: claim is null and has no keys."),
    ],
)
def test_what_hydra_tells_badly(train: Train, arguments: list[str], line: str) -> None:
    """Where a group is null, Hydra and OmegaConf end with a failed assertion or a ValueError."""
    done = train(*arguments)
    assert done.status == 1
    assert done.err.startswith(f"Error: {line}")
    assert done.err.count("\n") == 1


def test_a_mode_that_wandb_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offlin")
    with pytest.raises(UserError, match="WANDB_MODE=offlin: expected one of online, offline"):
        compose_config("logger.project=another")  # not kept from before
    compose_config("logger=csv", "seed=77")


def test_a_divided_network_is_not_compiled() -> None:
    with pytest.raises(UserError, match=r"performance.compile=network: expected auto, lrn or none"):
        compose_config("performance.compile=network", "strategy=fsdp")


@pytest.mark.parametrize(
    ("typed", "precision"), [([], "32-true"), (["trainer.precision=64-true"], "64-true")]
)
def test_the_plain_step_is_in_float32(typed: list[str], precision: str) -> None:
    config = compose_config("performance=plain", *typed)
    assert config.trainer.precision == precision
    assert not any(value not in (False, Compile.none) for value in vars(config.performance).values())


@pytest.mark.parametrize(("group", "choice"), [("launcher", "submitit_slurm"), ("sweeper", "optuna")])
def test_a_plugin_that_is_not_installed(group: str, choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    typed, plugin = PLUGINS[f"hydra/{group}/{choice}"]
    compose_config(typed)
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        monkeypatch.delitem(ConfigStore.instance().repo["hydra"][group], f"{choice}.yaml")
        with pytest.raises(HydraException) as raised:
            compose("train", [typed])
    assert format_error(raised.value, TrainConfig) == f"{typed} needs a plugin of Hydra: install {plugin}."


def test_choices_leave_out_what_is_no_choice() -> None:
    assert "_base" not in mistake("data=imagnet")


def test_the_store_of_schemas_is_not_copied() -> None:
    """Hydra would copy it for each group that --help lists."""
    import alexnet.cli  # noqa: F401 - a program, not the library, changes the store

    assert copy.deepcopy([ConfigStore.instance()])[0] is ConfigStore.instance()


def test_help_and_mistakes_do_not_wait_for_torch() -> None:
    modules = "alexnet.cli, alexnet.extending, alexnet.runs.resume, alexnet.training.request"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules or 'lightning' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT / "src", check=True)


def test_plain_is_what_a_run_can_be_repeated_from(tmp_path: Path) -> None:
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        raw = compose("train", ["model=alexnet_2012", "data.augment.flip=false"])
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(to_plain_dict(raw)))
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        again = compose("config")
    assert read_config(again, TrainConfig) == read_config(raw, TrainConfig)


def test_help_is_cut_short_by_its_reader() -> None:
    """As with `| head`: no stack trace of a broken pipe."""
    shown = subprocess.run(
        f"{sys.executable} {PROJECT / 'src/train.py'} --help | true",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stderr == ""


@pytest.mark.parametrize("key", ["data.root", "data.cache", "data.pack", "outputs"])
@pytest.mark.parametrize("value", ["", "' '"])
def test_an_empty_path_is_not_the_current_folder(key: str, value: str) -> None:
    """It may be a variable of the shell that is not set; data would be fetched into the current folder."""
    with pytest.raises(UserError, match=f"{key}= is empty. Give a path, or leave it out"):
        compose_config(f"{key}={value}")


@pytest.mark.parametrize("limit", ["1.5", "0", "-1"])
def test_limits_are_numbers_of_batches_or_fractions(limit: str) -> None:
    for key in ("trainer.limit_train_batches", "trainer.limit_val_batches"):
        with pytest.raises(UserError, match=rf"{key}={limit}"):
            compose_config(f"{key}={limit}")
