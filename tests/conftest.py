"""Shared by all tests: the real configuration tree, small image folders, runs in a subprocess."""

import copy
import functools
import gc
import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from unittest.mock import patch

import surroundings  # noqa: F401 (before torch and matplotlib are: they read the environment once)

# isort: split
import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from PIL import Image

from alexnet.config import (
    BenchmarkConfig,
    ClassicalConfig,
    ModelConfig,
    PrepareConfig,
    TrainConfig,
)
from alexnet.config.composition import register
from alexnet.config.reading import read_config, to_plain_dict
from alexnet.data.sources.synthetic import SyntheticConfig
from alexnet.data.synthetic import make_synthetic
from alexnet.training.request import TrainRequest
from browser import chromium
from program_server import ProgramServer

register("prepare", PrepareConfig)
register("benchmark", BenchmarkConfig)
register("classical", ClassicalConfig)

PROJECT = Path(__file__).resolve().parents[1]


def pytest_configure(config: pytest.Config) -> None:
    """Start again where Python began in a language without UTF-8: it keeps that for the names of files."""
    if sys.getfilesystemencoding() != "utf-8":
        config.pluginmanager.getplugin("capturemanager").suspend_global_capture(in_=True)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that need a GPU where there is none."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def pytest_collection_finish() -> None:
    """Leave torch and what else has been loaded out of the search for garbage."""
    gc.freeze()


def pytest_unconfigure() -> None:
    gc.unfreeze()  # what is still frozen when Python ends would be reported as leaked


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    """What a test, or the program in its process, puts into the environment ends with it."""
    with patch.dict(os.environ):
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser without a window, 1200 pixels wide until a test sets another width."""
    with chromium() as started:
        yield started


@functools.cache
def _composed(overrides: tuple[str, ...]) -> tuple[TrainConfig, dict[str, Any]]:
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        raw = compose("train", list(overrides))
    return read_config(raw, TrainConfig), to_plain_dict(raw)


def compose_config(*overrides: str) -> TrainConfig:
    """conf/train.yaml with overrides, as train.py reads it."""
    config, _ = _composed(overrides)
    return copy.deepcopy(config)


def benchmark_config(*overrides: str) -> BenchmarkConfig:
    """conf/benchmark.yaml with overrides, as benchmark.py reads it."""
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        return read_config(compose("benchmark", list(overrides)), BenchmarkConfig)


def request_of(folder: Path, *overrides: str, previous: Path | None = None) -> TrainRequest:
    """What train.py makes of a command line with these overrides, for a run in `folder`."""
    config, resolved = copy.deepcopy(_composed(overrides))
    config.run_folder = resolved["run_folder"] = str(folder)
    return TrainRequest(config, resolved, list(overrides), previous)


def model_config(*overrides: str) -> ModelConfig:
    """A model preset with overrides: model_config("model=alexnet_2012", "model.width=0.5")."""
    return compose_config(*overrides).model


def save_image(path: Path, rng: np.random.Generator, size: tuple[int, int] = (60, 48)) -> None:
    """A smooth random RGB picture, `size` wide and high."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path)


@pytest.fixture
def image_tree(tmp_path: Path) -> Path:
    """train/ and val/ with classes cat and dog, 6 and 3 JPEG files in each."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 3)):
        for name in ("cat", "dog"):
            for index in range(count):
                save_image(tmp_path / "images" / split / name / f"{name}{index}.jpg", rng)
    return tmp_path / "images"


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.time() + seconds
    while not condition():
        assert time.time() < deadline
        time.sleep(0.05)


class Finished(NamedTuple):
    """A finished run of an entry point."""

    status: int
    out: str
    err: str
    outputs: Path

    @property
    def folder(self) -> Path:
        """The one run folder that it left."""
        (folder,) = (self.outputs / "runs").iterdir()
        return folder

    @property
    def result(self) -> dict[str, Any]:
        return json.loads((self.folder / "result.json").read_text())


Train = Callable[..., Finished]

# a network for tests that run the real program; its layers are looked at in tests of that alone
SMALL = (
    *("model.width=0.0625", "model.fc_units=[256,256]", "trainer.accelerator=cpu", "trainer.max_epochs=2"),
    "callbacks.activation_monitor.images=null",
)


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Overrides for a small synthetic data set, made once."""
    root = tmp_path_factory.mktemp("synthetic")
    make_synthetic(root, SyntheticConfig(61, 31, 0), 2)
    return (
        f"data.root={root}",
        "data.synthetic.train_images=61",
        "data.synthetic.val_images=31",
        "data.batch_size=20",
    )


@pytest.fixture(scope="session")
def program_server() -> Iterator[ProgramServer]:
    server = ProgramServer()
    yield server
    server.close()


@pytest.fixture
def train(tmp_path: Path, program_server: ProgramServer) -> Train:
    """Runs `python src/train.py ...` as a user would, with outputs and caches in a temporary folder.

    In a fork of a process that has loaded torch, or with `own_process` in one that loads all itself.
    """

    def run(
        *arguments: str,
        program: str = "train.py",
        environment: Mapping[str, str] = MappingProxyType({}),
        timeout: int = 240,
        own_process: bool = False,
    ) -> Finished:
        outputs = tmp_path / "outputs"
        where = [f"outputs={outputs}"] if program in ("train.py", "doctor.py", "benchmark.py") else []
        command = [str(PROJECT / "src" / program), *arguments, *where]
        caches = {"HOME": str(tmp_path), "ALEXNET_CACHE": str(tmp_path / "cache")}
        variables = os.environ | caches | environment
        if not own_process:
            return Finished(*program_server.run(command, tmp_path, variables, timeout), outputs)
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr, outputs)

    return run


def shown_on_a_terminal(command: list[str], environment: dict[str, str]) -> str:
    """What a Python program shows on a terminal, from its beginning to its end, without control codes."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, *command],
        cwd=PROJECT,
        env=os.environ | {"TERM": "xterm"} | environment,
        stdout=theirs,
        stderr=theirs,
        stdin=subprocess.DEVNULL,
    ):
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the terminal is gone when the program is
            while part := os.read(ours, 4096):
                shown += part
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())


def real_images() -> Path:
    """The folder of real images that are not part of the repository; skips the test without it."""
    folder = Path(os.environ.get("ALEXNET_TEST_DATA", PROJECT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real images in {folder} (or give ALEXNET_TEST_DATA)")
    return folder
