"""The session of a run, which starts, records and ends training and classical runs in the same way."""

import logging
from abc import ABC, abstractmethod
from dataclasses import asdict
from typing import Any

from alexnet.data.loading import ImageData
from alexnet.errors import DivergedError, UserError, explain_failure, first_line
from alexnet.runs.environment import describe_environment
from alexnet.runs.folder import RunFolder
from alexnet.runs.load import Load, LoadMeter
from alexnet.runs.signals import InterruptionError

log = logging.getLogger(__name__)

OUTCOMES = {"failed": "failed", "interrupted": "was interrupted"}
NAMED = 3  # classes that are named on the terminal
LISTED = 5  # excluded files that are named on the terminal


class RunSession(ABC):
    """One start of a run, on the process that writes its folder.

    Subclasses do the work and describe its result. Every outcome is recorded in result.json. `resumed` says
    that an earlier start has left files in the folder, which are kept.
    """

    # causes of a `UserError` outside of the run, such as a full disk: its message ends with the resume hint
    external_causes: tuple[type[BaseException], ...] = ()

    def __init__(
        self,
        folder: RunFolder,
        data: ImageData,
        resolved: dict[str, Any],
        overrides: list[str],
        *,
        resumed: bool = False,
    ) -> None:
        self.folder, self.data = folder, data
        self.resolved, self.overrides, self.resumed = resolved, overrides, resumed
        self._load = LoadMeter()

    def run(self) -> None:
        """Do the work; then write result.json and print the outcome.

        Raises `KeyboardInterrupt`, with a line for the user, if the run was asked to stop, and `UserError`
        for what the user can correct.
        """
        status, error, diverged = "failed", None, False
        try:
            self.begin()
            self.work()
            status = "completed"
        except (InterruptionError, KeyboardInterrupt, SystemExit) as problem:
            status = "interrupted"
            error = str(problem) if isinstance(problem, InterruptionError) else "stopped by the user"
            raise KeyboardInterrupt(f"Interrupted: {error}. {self.resume_hint()}") from problem
        except UserError as problem:
            error, diverged = str(problem), isinstance(problem, DivergedError)
            if not isinstance(problem.__cause__, self.external_causes):
                raise
            raise UserError(self._with_hint(error)) from problem
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"
            if explained := self.explain(problem):
                error = explained
                raise UserError(self._with_hint(error)) from problem
            raise
        finally:
            self.record(status, error, diverged=diverged)

    def begin(self) -> None:
        """Write what is going to run to the folder, and print the plan."""
        self.folder.write_yaml("config.yaml", self.resolved)
        self.folder.write_yaml("overrides.yaml", self.overrides)
        self.folder.write_environment(describe_environment(self.data.fingerprints()), resumed=self.resumed)
        self.folder.write_excluded(self.data.excluded)
        self.print_plan()

    @abstractmethod
    def print_plan(self) -> None:
        """Print what is about to happen."""

    @abstractmethod
    def work(self) -> None:
        """Learn and evaluate."""

    @abstractmethod
    def result(self) -> dict[str, Any]:
        """Return the content of result.json except what `record` adds."""

    @abstractmethod
    def write_metrics(self) -> None:
        """Write metrics.csv, and what is drawn from it."""

    @abstractmethod
    def print_success(self, result: dict[str, Any]) -> None:
        """Print how a completed run went, and what to try next."""

    @abstractmethod
    def resume_hint(self) -> str:
        """Return the sentence that says how to continue after an interruption."""

    def explain(self, problem: Exception) -> str | None:
        """Return in one line what is wrong and what to do; None for what only a bug explains."""
        return explain_failure(problem)

    def close(self, result: dict[str, Any]) -> None:  # noqa: B027 - not every run is tracked
        """Hand the result to the tracker."""

    def record(self, status: str, error: str | None, *, diverged: bool = False) -> None:
        """Write result.json and print the outcome.

        `diverged` tells a run whose loss has diverged from one that failed for another reason. Raises
        `UserError` where the result of a completed run cannot be written. Whatever cannot be written of a run
        that has failed is a warning, which does not hide why it has.
        """
        self.folder.use_reserve()
        excluded = self.data.excluded | self.data.newly_unreadable()
        outcome = {"status": status, "error": error, "diverged": diverged}
        load = self._load.measure()
        result = (
            self.result()
            | outcome
            | {
                "excluded_files": len(excluded),
                "damaged_files": len(self.data.damaged),
                "load": load and asdict(load),
            }
        )
        unwritten = None
        try:
            self.folder.write_json("result.json", result)
            self.folder.write_excluded(excluded)
            self.write_metrics()
        except Exception as problem:  # of a run that has failed, the error that is reported is the first one
            explanation = explain_failure(problem)
            if explanation is None and status == "completed":
                raise
            unwritten = f"Not written: {explanation or first_line(problem)}"
            log.warning(unwritten)
        log.info("")
        if status == "completed":
            self.print_success(result)
        else:
            log.error(f"The run {OUTCOMES[status]}. Partial results: {self.folder.path}")
        self.close(result)
        if unwritten and status == "completed":
            raise UserError(self._with_hint(unwritten))

    def print_data(self, name: str) -> None:
        """Print which images the run learns from."""
        data = self.data
        set_aside = f"; {len(data.excluded)} files set aside" if data.excluded else ""
        val_source = f" ({data.val_source})" if data.val_source else ""
        names = (name.partition(",")[0] for name in data.class_names[:NAMED])  # tench, Tinca tinca
        first = ", ".join(names) + (", ..." if len(data.classes) > NAMED else "")
        log.info(
            f"Data      {name}: {len(data.train):,} training and {len(data.val):,} validation"
            f" images{val_source} of {len(data.classes)} classes ({first}), from {data.origin}{set_aside}"
        )

    def print_folder(self) -> None:
        """Print where the run writes, and which files are set aside."""
        log.info(f"Folder    {self.folder.path}")
        excluded = self.data.excluded
        for path, reason in list(excluded.items())[:LISTED]:
            log.warning(f"Set aside {path}: {reason}")
        if len(excluded) > LISTED:
            log.warning(f"All {len(excluded)} files set aside: {self.folder.path / 'excluded_files.csv'}")

    def _with_hint(self, error: str) -> str:
        """Append the resume hint to an error, unless the run folder itself is gone."""
        return f"{error} {self.resume_hint()}" if self.folder.path.exists() else error


def print_load(result: dict[str, Any]) -> None:
    """Print what kept the machine busy beside the run, if anything did."""
    load = Load.read(result["load"])
    if load is not None and (text := load.describe()):
        (log.warning if load.busy else log.info)(f"Machine   {text}")


def print_validation_error(result: dict[str, Any]) -> None:
    """Print the validation error of a run, if it has one, beside that of chance."""
    val = result.get("val", {})
    if "top1_error" in val:
        chance = 100 * (1 - 1 / result["classes"])
        top5 = f", top-5 {val['top5_error']:.1f}%" if "top5_error" in val else ""
        log.info(f"Validation error: top-1 {val['top1_error']:.1f}%{top5} (chance: top-1 {chance:.1f}%)")
