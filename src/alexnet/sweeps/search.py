"""A search as it is watched: each trial when it ends, and the best of all at the end."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf

from alexnet.errors import DivergedError, UserError, first_line
from alexnet.terminal import console

RESULTS = "optimization_results.yaml"  # written by the plugin into the sweep's folder


class TrialLauncher:
    """Launcher of a search's trials, which prints each with its error and the best so far.

    `searched` are the keys that are searched over, `trials` returns how many trials there will be. Raises
    `UserError` once more than `max_failure_rate` of all trials, or all of them, have failed. A trial that
    diverged has not failed.
    """

    def __init__(
        self,
        launcher: Launcher,
        searched: Collection[str],
        trials: Callable[[], int],
        max_failure_rate: float,
    ) -> None:
        self._launcher, self._searched, self._trials = launcher, searched, trials
        self._max_failure_rate = max_failure_rate
        self._done = 0
        self._failures: list[str] = []
        self._best: tuple[float, int] | None = None  # the error in percent, and the trial

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run trials, report them, and return what they return."""
        try:
            returns = self._launcher.launch(job_overrides, initial_job_idx)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"Stopped after {self._done} of {self._trials()} trials. The same command continues."
            ) from None
        for overrides, item in zip(job_overrides, returns, strict=True):
            self._done += 1
            console.print(self._line(overrides, item), markup=False)
        self._check_failures()
        return returns

    def _line(self, overrides: Sequence[str], item: JobReturn) -> str:
        values = " ".join(_short(text) for text in overrides if text.partition("=")[0] in self._searched)
        trial = f"Trial {self._done} of {self._trials()}:"
        try:
            error = float(item.return_value)
        except Exception as problem:  # whatever the job has raised
            self._failures.append(first_line(problem))
            return f"{trial} failed with {values}"
        diverged = error >= DivergedError.OUTCOME
        if not diverged and (self._best is None or error < self._best[0]):
            self._best = error, self._done
        outcome = "diverged" if diverged else f"validation error {error:.1f}%"
        best = "best so far {:.1f}%, trial {}".format(*self._best) if self._best else "so far all diverged"
        return f"{trial} {outcome} with {values}; {best}"

    def _check_failures(self) -> None:
        failed, trials = len(self._failures), self._trials()
        if failed > self._max_failure_rate * trials or failed == trials:
            raise UserError(
                f"{failed} of {self._done} trials failed, of {trials} in all"
                f" (hydra.sweeper.max_failure_rate={self._max_failure_rate:g}). The last:"
                f" {self._failures[-1]}"
            )


def print_best(folder: Path) -> None:
    """Print the best values that the search in `folder` has found, their error, and their file."""
    results: Any = OmegaConf.to_container(OmegaConf.load(folder / RESULTS))
    values = " ".join(_typed(key, value) for key, value in results["best_params"].items())
    best = f"validation error {results['best_value']:.1f}% with {values}"
    if results["best_value"] >= DivergedError.OUTCOME:
        best = "none: all trials diverged. Try other values, such as a smaller optimizer.lr"
    console.print(f"Best     {best}", markup=False)
    console.print(f"Results  {folder / RESULTS}", markup=False)


def _typed(key: str, value: Any) -> str:
    return f"{key}={str(value).lower() if isinstance(value, bool) else value}"


def _short(override: str) -> str:
    """Return key=value with a number of four digits: rates are drawn with all of a float's."""
    key, _, value = override.partition("=")
    try:
        return f"{key}={float(value):.4g}"
    except ValueError:
        return _typed(key, value == "True") if value in ("True", "False") else override
