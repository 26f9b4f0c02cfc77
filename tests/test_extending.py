"""One of each kind of extension, as docs/extending.md shows them: each from modules outside the package.

The examples of the page are written to files as they stand, and its commands are run.
"""

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
import yaml

from alexnet.config.extensions import load_extension
from alexnet.errors import UserError
from conftest import PROJECT, SMALL, Train, save_image
from wandb_file import read_wandb_file

PAGE = (PROJECT / "docs/extending.md").read_text()
SHORT = (
    "logger=csv",
    "performance.compile=none",
    "trainer.accelerator=cpu",
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=2",
)
NARROW = SMALL[:2]
HEAD = "from dataclasses import dataclass\nfrom alexnet.extending import *\n"


class Example(NamedTuple):
    """A section of the page: files by name, and the command."""

    files: dict[str, str]
    command: list[str]

    @property
    def module(self) -> str:
        return next(name for name in self.files if name.endswith(".py")).removesuffix(".py")

    def write(self, folder: Path) -> None:
        for name, text in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)


def examples() -> dict[str, Example]:
    found = {}
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        blocks = re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", section, re.DOTALL)
        if blocks:
            command, *_ = re.findall(r"^    python src/train\.py (.*)$", section, re.MULTILINE)
            found[section.partition("\n")[0]] = Example(dict(blocks), shlex.split(command))
    return found


EXAMPLES = examples()

# all that fit one network, and what switches them on
TOGETHER = {
    "Activation function": ["model.activation=mish"],
    "Normalization": ["model.group_norm=true"],
    "Update rule": ["optimizer=rmsprop", "optimizer.lr=1e-4"],
    "Schedule": ["scheduler=polynomial", "scheduler.warmup_epochs=1"],
    "Loss": ["loss=focal"],
    "Augmentation": ["data.augment.grayscale.p=0.5"],
    "Metric": [],
    "Callback": [],
}


def run_folder(outputs: Path) -> Path:
    (folder,) = (outputs / "runs").iterdir()
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_there_is_one_of_each_kind() -> None:
    decorators = set(re.findall(r"^@(register_\w+)", PAGE, re.MULTILINE))
    import alexnet.extending

    assert decorators == {name for name in alexnet.extending.__all__ if name.startswith("register_")}


@pytest.mark.parametrize("kind", EXAMPLES)
def test_the_budget(kind: str) -> None:
    """One Python file of at most three dozen lines, and at most one YAML file."""
    python = [text for name, text in EXAMPLES[kind].files.items() if name.endswith(".py")]
    others = [name for name in EXAMPLES[kind].files if not name.endswith(".py")]
    assert len(python) == 1 and len(others) <= 1
    assert len([line for line in python[0].splitlines() if line]) <= 36
    if kind in ("Metric", "Callback", "Augmentation", "Activation function", "Normalization"):
        assert not others


@pytest.mark.slow  # three programs that load torch
def test_inside_the_repository(tmp_path: Path) -> None:
    """The page's table: the same files in the project's folders are found without being listed, or named."""
    for name in ("src", "conf"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    rows = re.findall(r"^\| ([\w ]+) \| (\S+/) \| [^|]*\|", PAGE, re.MULTILINE)
    assert {kind.capitalize() for kind, _ in rows} == set(EXAMPLES)
    for kind, folder in rows:
        for name, text in EXAMPLES[kind.capitalize()].files.items():
            where = tmp_path / "src/alexnet" / folder / name if name.endswith(".py") else tmp_path / name
            assert where.parent.is_dir() and not where.exists()
            where.write_text(text)
    typed = [override for overrides in TOGETHER.values() for override in overrides]
    for arguments in ([*typed, "data=gradients"], ["model=small_cnn"]):
        done = subprocess.run(
            [sys.executable, str(tmp_path / "src/train.py"), "--cfg", "job", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    from_python = "from alexnet.metrics.split import SplitMetrics; print(*SplitMetrics('val', 7))"
    found = subprocess.run(
        [sys.executable, "-c", from_python], cwd=tmp_path / "src", capture_output=True, text=True, check=True
    )
    assert "val/macro_f1" in found.stdout.split()


@pytest.mark.parametrize(
    "kind",
    # the others, which `test_together...` runs in every `make test`, take a quarter of a minute
    [pytest.param(kind, marks=[pytest.mark.slow] if TOGETHER.get(kind) else []) for kind in EXAMPLES],
)
def test_an_example_as_it_stands(kind: str, tmp_path: Path, synthetic: tuple[str, ...], train: Train) -> None:
    example = EXAMPLES[kind]
    example.write(tmp_path)
    data = (f"data.root={tmp_path / 'gradients'}", "data.batch_size=8") if kind == "Data set" else synthetic
    if kind == "Data set":
        (tmp_path / "gradients").mkdir()
    small = () if kind == "Network" else NARROW
    done = train(*example.command, *SHORT, *small, *data)
    assert done.status == 0, done.err
    folder = run_folder(done.outputs)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["extensions"] == [example.module]
    described = json.loads((folder / "environment.json").read_text())["extensions"][example.module]
    assert described["file"] == str(tmp_path / f"{example.module}.py")
    result = json.loads((folder / "result.json").read_text())
    (row,) = rows(folder)
    if kind == "Metric":
        assert 0 <= result["val"]["macro_f1"] <= 1
        assert float(row["val/macro_f1"]) == pytest.approx(result["val"]["macro_f1"], rel=1e-5)
        assert float(row["train/macro_f1"]) == pytest.approx(result["train"]["macro_f1"], rel=1e-5)
    elif kind == "Callback":
        weights = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        norm = float(weights["network.fc6.weight"].norm())
        assert result["logged"] == {"weight_norm/fc6": pytest.approx(norm, rel=1e-6)}
        assert float(row["weight_norm/fc6"]) == pytest.approx(norm, rel=1e-5)
    elif kind == "Loss":  # the best that focal loss can be at chance is far below the cross-entropy's ln(10)
        assert float(row["train/loss"]) < 0.9 * np.log(10)
    elif kind == "Schedule":
        assert config["scheduler"] == {"schedule": "polynomial", "warmup_epochs": 1, "power": 2.0}
    elif kind == "Data set":
        assert result["classes"] == 2


@pytest.mark.slow  # six programs
def test_a_network_on_a_data_set_of_one_s_own(tmp_path: Path, train: Train) -> None:
    """Trained, resumed, evaluated, exported and used in Python."""
    for kind in ("Network", "Data set"):
        EXAMPLES[kind].write(tmp_path)
    (tmp_path / "images").mkdir()
    both, run = "extensions=[small_cnn,gradients]", tmp_path / "run"
    where = (f"data.root={tmp_path / 'images'}", "data.batch_size=8", f"run_folder={run}")
    for arguments, program in (
        (["model=small_cnn", "data=gradients", *SHORT, *where], "train.py"),
        ([f"resume={run}", "trainer.max_epochs=2"], "train.py"),
        ([f"run={run}"], "evaluate.py"),
        ([f"run={run}", "format=torch_export"], "export.py"),
    ):
        done = train(both, *arguments, program=program)
        assert done.status == 0, done.err
    assert len(rows(run)) == 2
    assert (tmp_path / "images/gradients/train/vertical/0.png").is_file()
    in_python = f"import small_cnn, alexnet; print(type(alexnet.load_run({str(run)!r}).network).__name__)"
    shown = subprocess.run(
        [sys.executable, "-c", in_python],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "was trained with extensions=[gradients]" in shown.stderr  # the run needs both
    shown = subprocess.run(
        [sys.executable, "-c", f"import gradients; {in_python}"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "SmallCNN\n"


@pytest.fixture
def together(tmp_path: Path, synthetic: tuple[str, ...]) -> tuple[str, ...]:
    """The overrides that use all of them at once."""
    for kind in TOGETHER:
        EXAMPLES[kind].write(tmp_path)
    modules = ",".join(EXAMPLES[kind].module for kind in TOGETHER)
    used = [override for overrides in TOGETHER.values() for override in overrides]
    return (f"extensions=[{modules}]", *used, *SMALL, *synthetic, "logger=csv", "performance.compile=none")


@pytest.mark.slow
def test_together_trained_resumed_evaluated_and_exported(
    tmp_path: Path, together: tuple[str, ...], train: Train
) -> None:
    extensions, *_ = together
    stopped = train(*together, "trainer.max_time=00:00:00:00", f"run_folder={tmp_path / 'run'}")
    assert stopped.status == 1 and "resume=" in stopped.err, stopped.err
    for arguments, program in (
        ([f"resume={tmp_path / 'run'}"], "train.py"),
        ([f"run={tmp_path / 'run'}", "crops=[center]"], "evaluate.py"),
        ([f"run={tmp_path / 'run'}", "format=safetensors"], "export.py"),
    ):
        told = train(*arguments, program=program)
        assert told.status == 1 and told.err.count("\n") == 1
        assert f"was trained with {extensions}, which is not imported by default" in told.err, told.err
        done = train(
            *arguments,
            extensions,
            *(["trainer.max_time=null"] if program == "train.py" else []),
            program=program,
        )
        assert done.status == 0, done.err
    whole = train(*together, f"run_folder={tmp_path / 'whole'}")
    assert whole.status == 0, whole.err
    ours, theirs = (
        torch.load(tmp_path / name / "checkpoints/last.ckpt", weights_only=True) for name in ("run", "whole")
    )
    for name, weight in theirs["state_dict"].items():
        assert torch.equal(ours["state_dict"][name], weight), name
    assert [row["val/macro_f1"] for row in rows(tmp_path / "run")] == [
        row["val/macro_f1"] for row in rows(tmp_path / "whole")
    ]


@pytest.mark.slow
def test_a_loss_with_a_state_of_its_own(tmp_path: Path, synthetic: tuple[str, ...], train: Train) -> None:
    """A module with weights of the classes: they are in the checkpoint, and the run resumes."""
    (tmp_path / "weighted.py").write_text(
        HEAD + "import torch\n@register_loss('weighted')\n@dataclass\nclass Weighted(LossConfig):\n"
        "    def build(self, classes):\n"
        "        weight = torch.linspace(1, 2, classes)\n"
        "        return torch.nn.CrossEntropyLoss(weight, reduction='none')\n"
    )
    (tmp_path / "conf/loss").mkdir(parents=True)
    (tmp_path / "conf/loss/weighted.yaml").write_text("defaults: [_weighted]\n")
    first = train("extensions=[weighted]", "loss=weighted", *SHORT, *NARROW, *synthetic)
    assert first.status == 0, first.err
    folder = run_folder(first.outputs)
    second = train("extensions=[weighted]", f"resume={folder}", "trainer.max_epochs=2")
    assert second.status == 0, second.err
    assert len(rows(folder)) == 2
    state = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert torch.equal(state["loss.weight"], torch.linspace(1, 2, 10))


@pytest.mark.slow  # runs of two processes
def test_together_on_two_devices(tmp_path: Path, together: tuple[str, ...], train: Train) -> None:
    """The same numbers as on one: losses, the metric, and what the augmentation draws."""
    one, two = (
        train(*together, "trainer.precision=64-true", *devices, f"run_folder={tmp_path / name}")
        for name, devices in (("one", ()), ("two", ("trainer.devices=2",)))
    )
    assert (one.status, two.status) == (0, 0), one.err + two.err
    for ours, theirs in zip(rows(tmp_path / "two"), rows(tmp_path / "one"), strict=True):
        for key, value in theirs.items():
            if key.startswith(("train/", "val/", "weight_norm/")):
                assert float(ours[key]) == pytest.approx(float(value), rel=1e-5), key


@pytest.mark.slow  # jobs are processes of their own
def test_a_sweep_and_its_comparison(tmp_path: Path, synthetic: tuple[str, ...], train: Train) -> None:
    for kind in ("Activation function", "Metric"):
        EXAMPLES[kind].write(tmp_path)
    done = train(
        *("-m", "extensions=[mish,macro_f1]", "model.activation=relu,mish", "seed=0,1"),
        *(*SHORT, *NARROW, *synthetic, "hydra.sweep.dir=sweep"),
        "hydra.sweep.subdir=${model.activation}/seed=${seed}",
        own_process=True,
    )
    assert done.status == 0, done.err
    compared = train(f"study={tmp_path / 'sweep'}", "baseline=relu", program="compare.py")
    assert compared.status == 0, compared.err
    report = (tmp_path / "sweep/report.md").read_text()
    assert "val/macro\\_f1" in report
    with (tmp_path / "sweep/arms.csv").open() as file:
        arms = {row["arm"]: row for row in csv.DictReader(file)}
    values = [
        json.loads((tmp_path / f"sweep/mish/seed={seed}/result.json").read_text())["val"]["macro_f1"]
        for seed in (0, 1)
    ]
    assert float(arms["mish"]["val/macro_f1"]) == pytest.approx(np.mean(values))


@pytest.mark.slow  # a process that starts another one, both with torch
def test_a_configuration_goes_to_other_processes(tmp_path: Path) -> None:
    """As benchmark.py sends it: a new process imports the extensions that this one has."""
    EXAMPLES["Normalization"].write(tmp_path)
    EXAMPLES["Augmentation"].write(tmp_path)
    sending = """
import multiprocessing, sys
from hydra import compose, initialize_config_dir
from alexnet.config import TrainConfig
from alexnet.config.composition import register_choices
from alexnet.config.extensions import load_extension
from alexnet.config.reading import read_config

def described(config):
    from alexnet.models.families.alexnet import NORMALIZATIONS
    return NORMALIZATIONS.switched_on(config.model), config.data.augment.grayscale.p

if __name__ == "__main__":
    for name in ("group_norm", "grayscale"):
        load_extension(name)
    register_choices()
    with initialize_config_dir(sys.argv[1], version_base="1.3"):
        raw = compose("train", ["model.group_norm=true", "data.augment.grayscale.p=0.5"])
    config = read_config(raw, TrainConfig)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(described, (config,)) == described(config) == (["group_norm"], 0.5)
"""
    (tmp_path / "sending.py").write_text(sending)
    done = subprocess.run(
        [sys.executable, "sending.py", str(PROJECT / "conf")],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow  # wandb
def test_a_metric_and_what_a_callback_logs_reach_wandb(
    tmp_path: Path, synthetic: tuple[str, ...], train: Train
) -> None:
    for kind in ("Metric", "Callback"):
        EXAMPLES[kind].write(tmp_path)
    done = train(
        *("extensions=[macro_f1,weight_norm]", "logger=wandb", "logger.mode=offline"),
        *(*SHORT[1:], *NARROW, *synthetic),
    )
    assert done.status == 0, done.err
    folder = run_folder(done.outputs)
    (file,) = (folder / "wandb").glob("offline-run-*/run-*.wandb")
    logged = {key: value for row in read_wandb_file(file).history for key, value in row.items()}
    (row,) = rows(folder)
    for name in ("train/macro_f1", "val/macro_f1", "weight_norm/conv1"):
        assert logged[name] == pytest.approx(float(row[name]), rel=1e-5)


def test_what_does_not_divide_into_columns(tmp_path: Path, synthetic: tuple[str, ...], train: Train) -> None:
    EXAMPLES["Normalization"].write(tmp_path)
    done = train(
        *("extensions=[group_norm]", "model.group_norm=true", "model.columns=2"),
        *("strategy=model_parallel", "trainer.devices=2", *SMALL, *synthetic),
    )
    assert done.status == 1
    assert "strategy=model_parallel: cannot divide stage1.norm (GroupNorm) into columns" in done.err
    assert done.err.count("\n") == 1
    assert not done.outputs.exists()


def test_a_run_folder_imports_nothing(tmp_path: Path, synthetic: tuple[str, ...], train: Train) -> None:
    """The module, which is at hand, is not even looked at: it would leave a file."""
    save_image(tmp_path / "picture.png", np.random.default_rng(0))
    (tmp_path / "marking.py").write_text("open('imported', 'w')\n")
    done = train("extensions=[marking]", *SHORT, *NARROW, *synthetic)
    assert done.status == 0, done.err
    assert (tmp_path / "imported").exists()
    (tmp_path / "imported").unlink()
    folder = run_folder(done.outputs)
    for arguments, program in (
        ([f"run={folder}"], "evaluate.py"),
        ([f"run={folder}"], "inspect_run.py"),
        ([f"run={folder}"], "export.py"),
        ([f"run={folder}", f"images={tmp_path / 'picture.png'}"], "predict.py"),
        ([f"resume={folder}", "trainer.max_epochs=2"], "train.py"),
        (["--config-dir", str(folder), "--config-name", "config"], "train.py"),
    ):
        told = train(*arguments, program=program)
        assert told.status == 1 and "extensions=[marking]" in told.err, (program, told)
        assert told.err.count("\n") == 1
    assert not (tmp_path / "imported").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@register_activation\ndef f(): ...\n", "line 3: TypeError: a name is missing"),
        ("@register_activation('Swish!')\ndef f(): ...\n", "line 3: ValueError: 'Swish!': a name consists"),
        ("@register_activation('gelu')\ndef f(): ...\n", "line 3: ValueError: the name 'gelu' is taken"),
        ("register_activation('seven')(7)\n", "line 3: TypeError: the activation 'seven' is of type int"),
        ("@register_optimizer('lion')\nclass A: ...\n", "'lion' is not a class derived from OptimizerConfig"),
        ("@register_loss('mine')\nclass A(LossConfig): ...\n", "is not a dataclass: write @dataclass"),
        ("@register_loss('mine')\n@dataclass\nclass A(LossConfig): ...\n", "the loss 'mine' lacks build()"),
        ("@register_normalization('lrn')\ndef f(c): ...\n", "line 3: ValueError: model.lrn is already a key"),
        ("@register_metric('loss')\ndef f(c): ...\n", "'loss' is already a column of metrics.csv"),
        ("@register_metric('f1', splits=('test',))\ndef f(c): ...\n", "splits=('test',): expected some of"),
        ("@register_augmentation('flip')\n@dataclass\nclass A(AugmentationConfig): ...\n", "lacks active()"),
        ("@register_data('mine')\n@dataclass\nclass A(FetchedDataConfig): ...\n", "'mine' lacks make()"),
        (
            "@register_callback('mine')\n@dataclass\nclass A(CallbackConfig):\n"
            "    key: object = None\n    def build(self): ...\n",
            "TypeError: the callback 'mine': Unexpected type annotation: object",
        ),
        ("from alexnet.extending import register_swish\n", "line 3: ImportError: cannot import name"),
        ("import not_installed\n", "line 3: ModuleNotFoundError: No module named 'not_installed'"),
        ("def f(:\n", "line 3: "),
        ("1 / 0\n", "line 3: ZeroDivisionError: division by zero"),
        ("raise SystemExit(0)\n", "line 3: SystemExit: 0"),
    ],
)
def test_a_broken_extension_in_one_line(
    text: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "broken_ideas.py").write_text(HEAD + text)
    with pytest.raises(UserError) as told:
        load_extension("broken_ideas")
    assert "broken_ideas" not in sys.modules
    assert str(told.value).startswith(f"extensions=[broken_ideas]: {tmp_path / 'broken_ideas.py'}, line ")
    assert expected in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["extensions=[no_such_module]"], "extensions=[no_such_module]: there is no module no_such_module"),
        (["extensions=ideas"], "extensions=ideas: expected the names of modules in brackets"),
        (["extensions=[3]"], "extensions=[3]: expected the names of modules in brackets"),
        (["extensions=[focal]", "loss=focla"], "loss=focla: there is no such choice. Did you mean focal?"),
        (
            ["extensions=[focal]", "loss=focal", "loss.gama=1"],
            "loss.gama: there is no such key. Did you mean gamma?",
        ),
        (["extensions=[focal]", "loss=focal", "loss.gamma=x"], "loss.gamma=x: expected a number."),
        (["extensions=[grayscale]", "data.augment.grayscal.p=1"], "Did you mean grayscale?"),
        (
            ["extensions=[grayscale]", "data.augment.grayscale.p=2"],
            "data.augment.grayscale.p=2.0: expected a probability",
        ),
        (["loss=focal"], "loss=focal: there is no such choice"),
    ],
)
def test_mistakes_in_one_line(typed: list[str], expected: str, tmp_path: Path, train: Train) -> None:
    for kind in ("Loss", "Augmentation"):
        EXAMPLES[kind].write(tmp_path)
    done = train(*typed)
    assert done.status == 1
    assert expected in done.err
    assert done.err.count("\n") == 1
    assert not done.outputs.exists()


@pytest.mark.parametrize(
    ("text", "overrides", "expected"),
    [
        (
            "import torch\n@register_loss('mean')\n@dataclass\nclass Mean(LossConfig):\n"
            "    def build(self, classes): return torch.nn.CrossEntropyLoss()\n",
            ["loss=mean"],
            "The loss of 15 images has shape (): expected one loss per image.",
        ),
        (
            "@register_activation('none')\ndef f(): return None\n",
            ["model.activation=none"],
            "The activation none of wrong_ideas built a NoneType, not a module of torch.nn.",
        ),
        (
            "@register_metric('three')\ndef f(classes): return 3\n",
            [],
            "The metric three of wrong_ideas is a int: expected a Metric of torchmetrics.",
        ),
    ],
)
def test_what_builds_the_wrong_thing(
    text: str, overrides: list[str], expected: str, tmp_path: Path, synthetic: tuple[str, ...], train: Train
) -> None:
    (tmp_path / "wrong_ideas.py").write_text(HEAD + text)
    (tmp_path / "conf/loss").mkdir(parents=True)
    (tmp_path / "conf/loss/mean.yaml").write_text("defaults: [_mean]\n")
    done = train("extensions=[wrong_ideas]", *overrides, *SHORT, *NARROW, *synthetic)
    assert done.status == 1
    assert done.err.startswith(f"Error: {expected}")
    assert done.err.count("\n") == 1


@pytest.mark.slow  # tests/data/test_augmentation.py checks the draws themselves
def test_an_added_augmentation_changes_no_other_draw(
    tmp_path: Path, synthetic: tuple[str, ...], train: Train
) -> None:
    """With p tiny it is on, but changes no image: the run is bit-identical to one without it."""
    EXAMPLES["Augmentation"].write(tmp_path)
    folders = [tmp_path / name for name in ("without", "with")]
    for folder, p in zip(folders, (0, 1e-9), strict=True):
        done = train(
            *("extensions=[grayscale]", f"data.augment.grayscale.p={p}"),
            *(*SHORT, *NARROW, *synthetic, f"run_folder={folder}"),
        )
        assert done.status == 0, done.err
    before, after = (torch.load(folder / "checkpoints/last.ckpt", weights_only=True) for folder in folders)
    for name, weight in before["state_dict"].items():
        assert torch.equal(after["state_dict"][name], weight)
