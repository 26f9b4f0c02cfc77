"""Configuration of the programs other than `train.py` and `benchmark.py`, one class per program."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, ClassVar

from omegaconf import MISSING

from alexnet.config.base import (
    InputPath,
    InputPaths,
    OutputPath,
    ProgramConfig,
    ValidatedConfig,
    check,
    check_positive,
)
from alexnet.config.data import DataConfig, PackFormat, ValCrops
from alexnet.config.model import ModelConfig
from alexnet.config.training import Accelerator
from alexnet.errors import UserError, suggest
from alexnet.paths import absolute


class ExportFormat(Enum):
    """File format of an exported network."""

    onnx = "onnx"
    torch_export = "torch_export"
    safetensors = "safetensors"
    hub = "hub"


class ComparabilityKey(Enum):
    """A property that runs must share to be compared, unless they are allowed to differ in it."""

    code = "code"
    data = "data"
    epochs = "epochs"
    precision = "precision"


@dataclass
class PrepareConfig(ProgramConfig):
    """Configuration of `prepare.py`."""

    data: DataConfig = field(default_factory=DataConfig)
    format: PackFormat = MISSING
    quality: int = MISSING

    def check(self) -> None:
        check(1 <= self.quality <= 100, "quality", self.quality, "a JPEG quality from 1 to 100")


@dataclass
class EvaluateConfig(ProgramConfig):
    """Configuration of `evaluate.py`. `run` and `checkpoint` are a path, or a list of paths."""

    run: InputPaths = MISSING
    checkpoint: InputPaths = MISSING
    weights: InputPath | None = MISSING
    model: ModelConfig | None = None
    data: DataConfig | None = None
    data_root: InputPath | None = MISSING
    crops: list[ValCrops] = MISSING
    batch_size: int = MISSING
    accelerator: Accelerator = MISSING
    precision: str = MISSING
    out: OutputPath | None = MISSING
    outputs: OutputPath = MISSING
    cache: OutputPath = MISSING
    wandb: bool = MISSING

    def check(self) -> None:
        if sum(source is not None for source in (self.run, self.checkpoint, self.weights)) != 1:
            raise UserError(
                "Specify what to evaluate: run=<run folder> or checkpoint=<file>, or a list of either, or"
                " weights=torchvision model=<network>."
            )
        if self.weights is not None and (self.model is None or self.data is None):
            raise UserError(f"weights={self.weights}: also needs a network and images: model=... data=...")
        if self.weights is None and self.model is not None:
            raise UserError("model=...: only valid with weights=. Runs and checkpoints define their network.")
        for key in ("run", "checkpoint"):
            given = getattr(self, key)
            is_list = isinstance(given, list) and all(isinstance(path, str | int) for path in given)
            check(given is None or isinstance(given, str | int) or is_list, key, given, "a path, or a list")
            check(given != [], key, given, "at least one path")
        check(bool(self.crops), "crops", [], "center, ten, or both: crops=[center,ten]")
        check(self.batch_size >= 1, "batch_size", self.batch_size, "a whole number from 1 up")
        precisions = ("auto", "32-true", "bf16-mixed")
        check(self.precision in precisions, "precision", self.precision, f"one of {', '.join(precisions)}")
        if self.data is not None and self.data_root is not None:
            raise UserError(f"data_root={self.data_root}: with data=... give it as data.root.")

    @property
    def runs(self) -> list[str]:
        """The folders given as `run`, empty if none."""
        return _as_list(self.run)

    @property
    def checkpoints(self) -> list[str]:
        """The files given as `checkpoint`, empty if none."""
        return _as_list(self.checkpoint)


def _as_list(given: Any) -> list[str]:
    paths = given if isinstance(given, list) else [] if given is None else [given]
    return [str(path) for path in paths]


@dataclass
class PredictConfig(ProgramConfig):
    """Configuration of `predict.py`."""

    run: InputPath | None = MISSING
    checkpoint: InputPath | None = MISSING
    images: InputPaths = MISSING
    crops: ValCrops = MISSING
    top: int = MISSING
    output: OutputPath | None = MISSING
    sheet: OutputPath | None = MISSING
    batch_size: int = MISSING
    accelerator: Accelerator = MISSING

    def check(self) -> None:
        if (self.run is None) == (self.checkpoint is None):
            raise UserError("Specify what to predict with: either run=<run folder> or checkpoint=<file>.")
        for key in ("top", "batch_size"):
            check(getattr(self, key) >= 1, key, getattr(self, key), "a whole number from 1 up")


@dataclass
class InspectConfig(ProgramConfig):
    """Configuration of `inspect_run.py`."""

    run: InputPath | None = MISSING
    checkpoint: InputPath | None = MISSING
    data_root: InputPath | None = MISSING
    images: int | None = MISSING
    queries: int = MISSING
    neighbours: int = MISSING
    out: OutputPath | None = MISSING
    wandb: bool = MISSING
    batch_size: int = MISSING
    accelerator: Accelerator = MISSING

    def check(self) -> None:
        if (self.run is None) == (self.checkpoint is None):
            raise UserError("Specify what to inspect: either run=<run folder> or checkpoint=<file>.")
        for key in ("images", "queries", "neighbours", "batch_size"):
            value = getattr(self, key)
            check(value is None or value >= 1, key, value, "a whole number from 1 up")


OLDEST_OPSET = 18  # the oldest that torch writes; asked for an older one, it silently writes this one


@dataclass
class ExportConfig(ProgramConfig):
    """Configuration of `export.py`. `format` is the name of a format, or a list of names."""

    run: InputPath | None = MISSING
    checkpoint: InputPath | None = MISSING
    format: Any = MISSING
    out: OutputPath | None = MISSING
    tolerance: float = MISSING
    opset: int | None = MISSING
    license: str = MISSING

    @property
    def formats(self) -> list[ExportFormat]:
        """The formats, without duplicates. Raises `UserError` for an unknown one."""
        given = self.format if isinstance(self.format, list) else [self.format]
        return list(dict.fromkeys(_parse_format(str(name)) for name in given))

    def check(self) -> None:
        if (self.run is None) == (self.checkpoint is None):
            raise UserError("Specify what to export: either run=<run folder> or checkpoint=<file>.")
        check(bool(self.formats), "format", self.format, "at least one format")
        check_positive("tolerance", self.tolerance)
        expected = f"a version of ONNX's operators from {OLDEST_OPSET} up"
        check(self.opset is None or self.opset >= OLDEST_OPSET, "opset", self.opset, expected)
        check(bool(self.license.strip()), "license", self.license, "the name of a licence, such as mit")


def _parse_format(name: str) -> ExportFormat:
    choices = [choice.value for choice in ExportFormat]
    if name in choices:
        return ExportFormat(name)
    raise UserError(
        f"format={name}: no such value.{suggest(name, choices)} Choices: {', '.join(sorted(choices))}."
    )


@dataclass
class CompareConfig(ValidatedConfig):
    """Configuration of `compare.py`."""

    study: InputPath | None = MISSING
    runs: InputPath | None = MISSING
    baseline: InputPath | None = MISSING  # an arm's name is that of a folder
    out: OutputPath | None = MISSING
    training_error: float = MISSING
    confidence: float = MISSING
    allow: list[ComparabilityKey] = MISSING
    wandb: bool = MISSING
    resolve: float | None = None
    results: InputPath | None = None
    wandb_run: bool = False
    add: InputPath | None = None

    def check(self) -> None:
        if [self.study, self.runs, self.results].count(None) != 2:
            raise UserError(
                "Specify what to compare: study=<folder>, runs='<pattern>' or results=<folder with results>."
            )
        if self.results is not None:
            for key in ("baseline", "out", "resolve"):
                value = getattr(self, key)
                check(value is None, key, value, "no value, since every result has its own")
        expected = "no value without study=, the study to whose runs it adds a result's"
        check(self.add is None or self.study is not None, "add", self.add, expected)
        expected = "a percentage from 0 to 100"
        check(0 <= self.training_error <= 100, "training_error", self.training_error, expected)
        check(0 < self.confidence < 1, "confidence", self.confidence, "a number between 0 and 1")
        points = "percentage points above 0, below 100"
        check(self.resolve is None or 0 < self.resolve < 100, "resolve", self.resolve, points)


class Features(StrEnum):
    """Hand-made features of `classical.py`. A StrEnum, because model.name is set to its value."""

    hog = "hog"
    color = "color"
    hog_and_color = "hog_and_color"


@dataclass
class HandMadeConfig(ValidatedConfig):
    """Hand-made features, and the linear classifier that is trained on them."""

    features: Features = MISSING
    image_size: int = MISSING
    orientations: int = MISSING
    pixels_per_cell: int = MISSING
    cells_per_block: int = MISSING
    color_bins: int = MISSING
    alpha: float = MISSING
    max_iterations: int = MISSING

    def check(self) -> None:
        for key in ("orientations", "pixels_per_cell", "cells_per_block", "max_iterations"):
            check(getattr(self, key) >= 1, f"classical.{key}", getattr(self, key), "a whole number from 1 up")
        check(2 <= self.color_bins <= 256, "classical.color_bins", self.color_bins, "from 2 to 256")
        check_positive("classical.alpha", self.alpha)
        block = self.pixels_per_cell * self.cells_per_block
        expected = f"at least a block of {self.cells_per_block} cells, {block} pixels"
        check(self.image_size >= block, "classical.image_size", self.image_size, expected)


@dataclass
class NameConfig:
    """Name of the run's model in comparisons with networks."""

    name: str = MISSING


@dataclass
class ClassicalConfig(ProgramConfig):
    """Configuration of `classical.py`. In a study, `study_folder`, the run is one of its arm <features>."""

    typed_keys: ClassVar[Mapping[str, str]] = {"study": "study_folder"}

    seed: int = MISSING
    outputs: OutputPath = MISSING
    run_folder: OutputPath | None = MISSING
    study_folder: InputPath | None = MISSING
    model: NameConfig = field(default_factory=NameConfig)
    data: DataConfig = field(default_factory=DataConfig)
    classical: HandMadeConfig = field(default_factory=HandMadeConfig)

    def check(self) -> None:
        check(0 <= self.seed < 2**32, "seed", self.seed, "a whole number from 0 to 4294967295")
        size, stored = self.classical.image_size, self.data.resize_size
        check(size <= stored, "classical.image_size", size, f"at most data.resize_size={stored} pixels")
        if self.run_folder is not None and self.folder != self.run_folder:
            raise UserError(
                f"run_folder={self.run_folder}: with study=... the run has its folder there. Leave it out."
            )

    @property
    def folder(self) -> str | None:
        """The run's folder; None for a new one among all runs."""
        if self.study_folder is None:
            return self.run_folder
        return str(absolute(self.study_folder) / self.model.name / f"seed={self.seed}")
