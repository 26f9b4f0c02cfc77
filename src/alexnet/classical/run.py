"""One run of hand-made features and a linear classifier, written down as train.py writes its own."""

import logging
import os
import time
from typing import Any

import numpy as np

from alexnet.classical.classifier import LinearClassifier, Standardizer
from alexnet.classical.extraction import Extraction, FeatureMatrix
from alexnet.classical.features import feature_length
from alexnet.config import ClassicalConfig
from alexnet.config.hashing import config_hash
from alexnet.data.loading import ImageData, load_image_data
from alexnet.data.scan import check_unreadable
from alexnet.errors import UserError, explain_failure, lacks_memory
from alexnet.hardware import peak_memory_mb
from alexnet.paths import absolute
from alexnet.runs.environment import describe_environment
from alexnet.runs.folder import RunFolder
from alexnet.runs.log import log_to_file, log_to_terminal
from alexnet.runs.results import result_fields
from alexnet.runs.resume import is_empty_run, is_unfinished
from alexnet.runs.signals import InterruptionError, interrupt_on_signals
from alexnet.terminal import duration
from alexnet.training.summary import OUTCOMES, print_data, print_folder, print_validation_error

log = logging.getLogger(__name__)

PRECISION = "32-true"  # features and weights
AGAIN = "The same command begins again."
# what train.py measures of a network's steps, of which there are none
NO_STEPS = ("data_wait_fraction", "model_flops_per_second", "matrix_rate_fraction", "input_bound")


def run(config: ClassicalConfig, resolved: dict[str, Any], overrides: list[str]) -> float:
    """Describe the images, fit, evaluate; the validation top-1 error in percent.

    Raises `UserError` before anything is written for what cannot run; whatever happens after the run
    folder exists ends in its result.json. A run folder that was asked for, and holds a run of the same
    configuration that was stopped, is used again.
    """
    log_to_terminal(quiet=False)
    data = load_image_data(config.data)
    folder = _folder(config, resolved)
    with folder.locked(), log_to_file(folder.path / "train.log"):
        return _Run(config, resolved, overrides, data, folder).lead()


def _folder(config: ClassicalConfig, resolved: dict[str, Any]) -> RunFolder:
    if config.run_folder is not None:
        path = absolute(config.run_folder)
        if path.is_dir() and (is_unfinished(path, config_hash(resolved)) or is_empty_run(path)):
            return RunFolder.reopen(path)
    return RunFolder.create(config.outputs, resolved, config.run_folder)


class _Run:
    """A run in its folder."""

    def __init__(
        self,
        config: ClassicalConfig,
        resolved: dict[str, Any],
        overrides: list[str],
        data: ImageData,
        folder: RunFolder,
    ) -> None:
        self.config, self.resolved, self.overrides = config, resolved, overrides
        self.data, self.folder = data, folder
        self.classifier = LinearClassifier(len(data.classes), config.classical)
        self.warning: str | None = None
        self.rows: list[dict[str, Any]] = []
        self.images_per_second: float | None = None
        self._began = time.perf_counter()

    def lead(self) -> float:
        """Learn and evaluate; then, whatever happened, write result.json and say how it went."""
        status, error = "failed", None
        try:
            self._describe()
            with interrupt_on_signals():
                found = self._learn()
            status = "completed"
            return found
        except (InterruptionError, KeyboardInterrupt, SystemExit) as problem:
            known = isinstance(problem, InterruptionError)
            status, error = "interrupted", str(problem) if known else "stopped by the user"
            raise KeyboardInterrupt(f"Interrupted: {error}. {AGAIN}") from problem
        except UserError as problem:
            error = str(problem)
            raise
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"
            if told := _explain(problem):
                error = told
                raise UserError(f"{told} {AGAIN}") from problem
            raise
        finally:
            self._record(status, error)

    def _describe(self) -> None:
        """Write down what is going to run, and say it."""
        folder, data, classical = self.folder, self.data, self.config.classical
        folder.write_yaml("config.yaml", self.resolved)
        folder.write_yaml("overrides.yaml", self.overrides)
        folder.write_json("environment.json", describe_environment(data.fingerprint))
        folder.write_excluded(data.excluded)
        log.info(
            f"Features  {self.config.model.name}: {feature_length(classical):,} numbers for each image of"
            f" {classical.image_size}x{classical.image_size} pixels"
        )
        log.info(f"Learning  logistic regression, weight decay {classical.alpha:g}, seed {self.config.seed}")
        print_data(self.config.data.name, data)
        print_folder(folder, data)

    def _learn(self) -> float:
        data, config = self.data, self.config
        workers = config.data.workers if config.data.workers is not None else os.cpu_count() or 1
        extraction = Extraction(
            config.classical, config.data.resize_size, workers, self.folder.path, self._check
        )
        train = extraction.of(data.train, "training")
        self._check_labels(train)
        began = time.perf_counter()
        log.info(f"Fitting the classifier to {len(train.labels):,} images")
        standardizer = Standardizer(train)
        standardizer.apply(train)
        self.warning = self.classifier.fit(train)
        seconds = train.seconds + time.perf_counter() - began
        self.images_per_second = len(train.labels) / seconds
        val = extraction.of(data.val, "validation")
        if not len(val.labels):
            raise UserError(f"Data from {data.origin}: no validation image can be read any more.")
        standardizer.apply(val)
        row: dict[str, Any] = {"epoch": 1}  # a table of one row, as train.py's after its first epoch
        for name, described in (("train", train), ("val", val)):
            row |= {f"{name}/{key}": value for key, value in self.classifier.evaluate(described).items()}
        row.pop("train/top5_error", None)  # as in train.py
        row |= {"images_per_second": self.images_per_second, "peak_memory_mb": peak_memory_mb("cpu")}
        self.rows.append(row | {"seconds": self._seconds()})
        return row["val/top1_error"]

    def _check(self) -> None:
        """Raise `UserError` where too many images have stopped decoding."""
        data = self.data
        images = len(data.train) + len(data.val) + data.unreadable
        place, most = f"Data from {data.origin}", self.config.data.max_unreadable
        check_unreadable(data.newly_unreadable(), images, most, place, earlier=data.unreadable)

    def _check_labels(self, train: FeatureMatrix) -> None:
        counts = np.bincount(train.labels, minlength=len(self.data.classes))
        if not counts.all():
            name = self.data.classes[int(counts.argmin())]
            raise UserError(f"Data from {self.data.origin}: no image of class '{name}' can be read any more.")

    def _seconds(self) -> float:
        return time.perf_counter() - self._began

    def _record(self, status: str, error: str | None) -> None:
        folder, data = self.folder, self.data
        folder.use_reserve()
        excluded = data.excluded | data.newly_unreadable()
        rates = {"images_per_second": self.images_per_second, **dict.fromkeys(NO_STEPS)}
        result = result_fields(self.resolved, data, self.classifier.parameters, self.rows, rates)
        result |= {"epochs": None, "best": None}  # a classifier of features has none
        result |= {"status": status, "error": error, "warning": self.warning}
        result |= {"excluded_files": len(excluded), "skipped_steps": 0, "wall_seconds": self._seconds()}
        result |= {"precision": PRECISION, "peak_memory_mb": peak_memory_mb("cpu")}
        unwritten = None
        try:
            folder.write_json("result.json", result)
            folder.write_excluded(excluded)
            folder.write_metrics(self.rows)
        except OSError as problem:  # a full disk: the error that is told is the first one
            unwritten = f"Not written: {explain_failure(problem)}"
            log.warning(unwritten)
        self._tell(result)
        if unwritten and status == "completed":
            raise UserError(f"{unwritten} {AGAIN}")

    def _tell(self, result: dict[str, Any]) -> None:
        log.info("")
        if result["status"] != "completed":
            log.error(f"The run {OUTCOMES[result['status']]}. What there is of it: {self.folder.path}")
            return
        took = duration(result["wall_seconds"])
        log.info(f"Done in {took}: {self.images_per_second:.3g} images/s described and learned from")
        print_validation_error(result)
        if self.warning:
            log.warning(self.warning)
        log.info(f"Results   {self.folder.path / 'result.json'}, metrics.csv beside it")
        name = self.config.data.name
        log.info(f"Next      a network, on the same images: python src/train.py data={name}")


def _explain(problem: BaseException) -> str | None:
    """What is wrong and what to do, in one line; None for what only a bug explains."""
    if lacks_memory(problem):
        return "Out of memory. What takes less: fewer data.workers, a smaller classical.image_size."
    return explain_failure(problem)


def check_installed() -> None:
    """Raise `UserError` where scikit-image or scikit-learn is not installed."""
    try:
        import skimage.feature  # noqa: F401
        import sklearn.linear_model  # type: ignore[import-untyped]  # noqa: F401
    except ImportError as error:
        raise UserError(
            "classical.py needs scikit-image and scikit-learn: install them (the extra `classical` of"
            " pyproject.toml)."
        ) from error
