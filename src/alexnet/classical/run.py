"""A run of hand-made features and a linear classifier, recorded as `train.py` records its runs."""

import logging
import os
import time
from shlex import quote
from typing import Any

import numpy as np

from alexnet.classical.classifier import LinearClassifier, Standardizer
from alexnet.classical.extraction import FeatureExtractor, FeatureMatrix
from alexnet.classical.features import feature_length
from alexnet.config import ClassicalConfig
from alexnet.config.hashing import config_hash
from alexnet.data.loading import ImageData, load_image_data
from alexnet.data.scan import check_unreadable
from alexnet.errors import UserError, lacks_memory
from alexnet.hardware import peak_memory_mb
from alexnet.paths import absolute, command_for
from alexnet.runs.folder import RunFolder
from alexnet.runs.log import log_to_file, log_to_terminal
from alexnet.runs.results import result_fields
from alexnet.runs.resume import is_empty_run, is_unfinished
from alexnet.runs.signals import interrupt_on_signals
from alexnet.terminal import duration
from alexnet.training.session import RunSession, print_load, print_validation_error

log = logging.getLogger(__name__)

PRECISION = "32-true"  # features and weights
# measured by train.py over the training steps, of which there are none here
NO_STEPS = (
    *("seconds_per_step", "startup_seconds", "data_wait_fraction"),
    *("model_flops_per_second", "matrix_rate_fraction", "input_bound"),
)


def run(config: ClassicalConfig, resolved: dict[str, Any], overrides: list[str]) -> float:
    """Extract features, fit, evaluate; return the validation top-1 error in percent.

    Raises `UserError` for a configuration that cannot run, before anything is written. Once the run folder
    exists, every outcome is recorded in its result.json. A given run folder with an unfinished run of the
    same configuration is reused.
    """
    log_to_terminal(quiet=False)
    data = load_image_data(config.data)
    folder = _run_folder(config, resolved)
    with folder.locked(), log_to_file(folder.path / "train.log"):
        session = _ClassicalSession(config, resolved, overrides, data, folder)
        session.run()
    return session.rows[-1]["val/top1_error"]


def _run_folder(config: ClassicalConfig, resolved: dict[str, Any]) -> RunFolder:
    if config.folder is not None:
        path = absolute(config.folder)
        if path.is_dir() and (is_unfinished(path, config_hash(resolved)) or is_empty_run(path)):
            return RunFolder.reopen(path)
        if config.study_folder is not None and path.exists():
            raise UserError(
                f"{path}: this run is in the study already. Give another seed, or other classical.features."
            )
    return RunFolder.create(config.outputs, resolved, config.folder)


class _ClassicalSession(RunSession):
    """A run of hand-made features and a linear classifier."""

    def __init__(
        self,
        config: ClassicalConfig,
        resolved: dict[str, Any],
        overrides: list[str],
        data: ImageData,
        folder: RunFolder,
    ) -> None:
        super().__init__(folder, data, resolved, overrides)
        self.config = config
        self.classifier = LinearClassifier(len(data.classes), config.classical)
        self.rows: list[dict[str, Any]] = []  # of metrics.csv
        self.warning: str | None = None
        self.images_per_second: float | None = None
        self._began = time.perf_counter()

    def print_plan(self) -> None:
        config, classical = self.config, self.config.classical
        log.info(
            f"Features  {config.model.name}: {feature_length(classical):,} numbers for each image of"
            f" {classical.image_size}x{classical.image_size} pixels"
        )
        log.info(f"Learning  logistic regression, weight decay {classical.alpha:g}, seed {config.seed}")
        self.print_data(config.data.name)
        self.print_folder()

    def work(self) -> None:
        with interrupt_on_signals():
            self._fit_and_evaluate()

    def _fit_and_evaluate(self) -> None:
        data, config = self.data, self.config
        workers = config.data.workers if config.data.workers is not None else os.cpu_count() or 1
        extractor = FeatureExtractor(
            config.classical, config.data.resize_size, workers, self.folder.path, self._check_unreadable
        )
        train = extractor.extract(data.train, "training")
        self._check_labels(train)
        began = time.perf_counter()
        log.info(f"Fitting the classifier to {len(train.labels):,} images")
        standardizer = Standardizer(train)
        standardizer.apply(train)
        self.warning = self.classifier.fit(train)
        seconds = train.seconds + time.perf_counter() - began
        self.images_per_second = len(train.labels) / seconds
        val = extractor.extract(data.val, "validation")
        if not len(val.labels):
            raise UserError(f"Data from {data.origin}: no validation image can be read any more.")
        standardizer.apply(val)
        row: dict[str, Any] = {"epoch": 1}  # one row, as train.py writes after its first epoch
        for name, features in (("train", train), ("val", val)):
            row |= {f"{name}/{key}": value for key, value in self.classifier.evaluate(features).items()}
        row.pop("train/top5_error", None)  # as in train.py
        row |= {"images_per_second": self.images_per_second, "peak_memory_mb": peak_memory_mb("cpu")}
        self.rows.append(row | {"seconds": self._seconds()})

    def _check_unreadable(self) -> None:
        """Raise `UserError` if too many images have stopped decoding."""
        data = self.data
        images = len(data.train) + len(data.val) + data.unreadable
        origin, most = f"Data from {data.origin}", self.config.data.max_unreadable
        check_unreadable(data.newly_unreadable(), images, most, origin, earlier=data.unreadable)

    def _check_labels(self, train: FeatureMatrix) -> None:
        """Raise `UserError` if a class has no readable image."""
        counts = np.bincount(train.labels, minlength=len(self.data.classes))
        if not counts.all():
            name = self.data.classes[int(counts.argmin())]
            raise UserError(f"Data from {self.data.origin}: no image of class '{name}' can be read any more.")

    def _seconds(self) -> float:
        return time.perf_counter() - self._began

    def result(self) -> dict[str, Any]:
        rates = {"images_per_second": self.images_per_second, **dict.fromkeys(NO_STEPS)}
        parameters = self.classifier.parameters
        return result_fields(self.resolved, self.data, parameters, self.rows, rates) | {
            "epochs": None,  # L-BFGS has none
            "best": None,
            "warning": self.warning,
            "skipped_steps": 0,
            "wall_seconds": self._seconds(),
            "precision": PRECISION,
            "peak_memory_mb": peak_memory_mb("cpu"),
        }

    def write_metrics(self) -> None:
        self.folder.write_metrics(self.rows)

    def print_success(self, result: dict[str, Any]) -> None:
        took = duration(result["wall_seconds"])
        log.info(f"Done in {took}: features and fit of {self.images_per_second:.3g} images/s")
        print_load(result)
        print_validation_error(result)
        if self.warning:
            log.warning(self.warning)
        log.info(f"Results   {self.folder.path / 'result.json'}, metrics.csv beside it")
        if (study := self.config.study_folder) is not None:
            log.info(f"Next      {command_for('compare')} study={quote(str(absolute(study)))}")
            return
        name = self.config.data.name
        log.info(f"Next      a network, on the same images: {command_for('train')} data={name}")

    def resume_hint(self) -> str:
        return "The same command starts again."

    def explain(self, problem: Exception) -> str | None:
        if lacks_memory(problem):
            return "Out of memory. Try fewer data.workers, or a smaller classical.image_size."
        return super().explain(problem)
