"""Running a study: the pilot, which chooses the values of each arm, then the study itself."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from alexnet.config import TrainConfig
from alexnet.config.arguments import quote_value
from alexnet.config.reading import read_config
from alexnet.config.study import Design, PilotConfig, StudyConfig
from alexnet.errors import JobsFailedError, UserError, suggest
from alexnet.runs.resume import AUTO
from alexnet.studies.design import Plan, plan_study
from alexnet.studies.earlier_pilot import read_earlier_pilot
from alexnet.studies.pilot import RATE, Grid, Values, choose, values_name
from alexnet.studies.rate_model import RateModel
from alexnet.studies.record import PILOT, TOP1_ERROR, StudyRecord, Trial
from alexnet.studies.start import has_started
from alexnet.sweeps.composition import JobComposer
from alexnet.sweeps.earlier_runs import EarlierRuns
from alexnet.sweeps.job import Job
from alexnet.sweeps.pilot_table import print_pilot
from alexnet.sweeps.planning import plan_job, without_hydra
from alexnet.sweeps.runner import suggest_comparison
from alexnet.sweeps.study_arms import StudyArms
from alexnet.terminal import console, counted, duration

# runs jobs, given the overrides of each and the number of the first
Launch = Callable[[Sequence[Sequence[str]], int], Sequence[JobReturn]]


@dataclass(frozen=True)
class _Run:
    """A run of the study or of its pilot."""

    arm: str
    values: Values
    seed: int
    job: Job
    overrides: list[str]


class StudyRunner:
    """Runner of one study. `sweep` is the configuration of the whole command, `arguments` what was typed.

    Everything is planned from what is on disk: a second start runs what is missing, and what a larger study
    adds. A run that diverged counts as done: it would diverge again.
    """

    def __init__(
        self, loader: ConfigLoader, sweep: DictConfig, launch: Launch, arguments: Sequence[str]
    ) -> None:
        self._launch = launch
        config = read_config(without_hydra(sweep), TrainConfig)
        if config.study is None:
            raise UserError("hydra/sweeper=study: no study chosen. Choose one: study=innovations.")
        self.config: StudyConfig = config.study
        self.folder = Path(str(sweep.hydra.sweep.dir)).absolute()
        self._arguments = list(arguments)
        self.plan: Plan = plan_study(self.config, config.seed)
        self._earlier_pilot = read_earlier_pilot(self.config.pilot, self.plan)
        self._earlier_runs = EarlierRuns(self.config.reuse)
        self._check_seeds()
        self._composer = JobComposer(loader, sweep)
        self._arms = StudyArms(self._composer, self.config, self.plan, arguments)
        self._launched = 0
        self._seconds_per_run: float | None = None

    def run(self) -> StudyRecord:
        """Run the pilot and the study, and return the record, which is in the study's folder.

        Raises `UserError` for what the user has to correct, and at the end if runs of the study failed.
        """
        self._announce()
        trials, chosen = self._run_pilot()
        record = self._record(trials, chosen)
        runs = [
            self._plan(arm, chosen.get(arm, {}), seed, self.folder / arm / f"seed={seed}", [])
            for seed in sorted({seed for seeds in self.plan.seeds.values() for seed in seeds})
            for arm, seeds in self.plan.seeds.items()  # seed by seed: what is stopped can be compared
            if seed in seeds
        ]
        self._take_over(runs)
        missing = sum(not _is_settled(run.job) for run in runs)
        seconds = missing * (self._seconds_per_run or 0)
        left = f", about {duration(seconds)}" if seconds else ""
        console.print(f"Study    {len(runs)} runs, {missing} to do{left}", markup=False)
        problem = self._run(runs)
        record.write(self.folder)
        suggest_comparison(self.folder)
        if problem:
            raise problem
        return record

    def _check_seeds(self) -> None:
        pilot = self.config.pilot
        if pilot is None or self._earlier_pilot is not None:
            return
        used = {seed for seeds in self.plan.seeds.values() for seed in seeds}
        if shared := used & set(_pilot_seeds(pilot)):
            raise UserError(
                f"study.pilot.first_seed={pilot.first_seed}: seed {min(shared)} is also a seed of the study."
                " The pilot needs different ones."
            )

    def _announce(self) -> None:
        counts = {arm: len(seeds) for arm, seeds in self.plan.seeds.items()}
        seeds = ", ".join(f"{arm} {count}" for arm, count in counts.items())
        if len(set(counts.values())) == 1:
            seeds = f"{next(iter(counts.values()))} each"
        design = self.config.design.value.replace("_", " ")
        console.print(
            f"Study    {self.config.title}: {design}, {len(counts)} arms, {self.plan.runs} runs (seeds:"
            f" {seeds}): {self.folder}",
            markup=False,
        )
        if self.config.design is Design.fraction:
            confounded = "; ".join(self.plan.aliases) or "no factors or pairs of factors"
            console.print(
                f"Design   {len(counts)} of {2 ** len(self.config.factors)} combinations, resolution"
                f" {self.config.resolution}; confounded: {confounded}",
                markup=False,
            )

    # the pilot

    def _run_pilot(self) -> tuple[list[Trial], dict[str, Values]]:
        """Run the pilot until no arm's best rate is at an edge; return its trials and the best values."""
        pilot = self.config.pilot
        if pilot is None:
            return [], {}
        if self._earlier_pilot is not None:
            console.print(f"Pilot    not run: reusing the rates of {pilot.reuse}", markup=False)
            return self._earlier_pilot.trials, self._earlier_pilot.chosen
        rate = float(self._arms.settings[self.config.baseline][RATE])
        grids = {arm: Grid.of(pilot, rate) for arm in self.plan.pilot_arms}
        trials: dict[str, list[Trial]] = {}
        chosen: dict[str, Values] = {}
        open_arms, began = list(grids), time.monotonic()
        for extension in range(pilot.extensions + 1):
            runs = [run for arm in open_arms for run in self._pilot_runs(arm, grids[arm], pilot)]
            self._take_over(runs)
            missing = sum(not _is_settled(run.job) for run in runs)
            what = f"{len(runs)} runs of {len(open_arms)} arms, {missing} to do"
            if extension:
                more = counted(missing, "more run")
                what = f"best rate at the edge of the grid: {', '.join(open_arms)}; {more}"
            if missing or not extension:
                console.print(f"Pilot    {what}", markup=False)
            if problem := self._run(runs):
                raise problem
            seconds = (time.monotonic() - began) / self._launched if self._launched else _seconds(runs)
            self._seconds_per_run = seconds and seconds * self._epochs_to_pilots(pilot)
            for arm in open_arms:
                trials[arm] = [_trial(run, pilot.measure) for run in runs if run.arm == arm]
                chosen[arm] = choose(trials[arm])
            self._record([trial for arm in trials for trial in trials[arm]], chosen)
            open_arms = [arm for arm in open_arms if grids[arm].go_on(chosen[arm][RATE])]
            if not open_arms:
                break
        found = [trial for arm in trials for trial in trials[arm]]
        if self.config.models_rates:
            chosen |= self._modelled(found)
        print_pilot(found, chosen, pilot.measure, at_edge=open_arms)
        return found, chosen

    def _epochs_to_pilots(self, pilot: PilotConfig) -> float:
        """Return how many times the epochs of a run of the pilot one of the study has."""
        key = "trainer.max_epochs"
        epochs = int(self._arms.settings[self.config.baseline][key])
        given = dict(override.split("=", 1) for override in pilot.overrides)
        return epochs / int(given.get(key, epochs))

    def _modelled(self, trials: Sequence[Trial]) -> dict[str, Values]:
        """Return the best rate of every arm by one model of all trials."""
        model = RateModel(self.config.factors, self.plan.pilot_arms, trials)
        arms = self.plan.pilot_arms | self.plan.arms
        return {arm: {RATE: model.best_rate(factors)} for arm, factors in arms.items()}

    def _pilot_runs(self, arm: str, grid: Grid, pilot: PilotConfig) -> list[_Run]:
        return [
            self._plan(
                arm,
                values,
                seed,
                self.folder / PILOT / arm / values_name(values) / f"seed={seed}",
                [*pilot.overrides, f"data.hold_out={pilot.hold_out}"],
            )
            for values in grid.points()
            for seed in _pilot_seeds(pilot)
        ]

    # runs

    def _plan(self, arm: str, values: Values, seed: int, folder: Path, more: list[str]) -> _Run:
        chosen = [f"{key}={value}" for key, value in values.items()]
        factors = (self.plan.pilot_arms | self.plan.arms)[arm]
        overrides = [*self._arms.overrides(factors), *chosen, f"seed={seed}", *more]
        overrides += [f"run_folder={quote_value(str(folder))}", f"resume={AUTO}"]
        job = plan_job(self._composer, overrides, 0).job
        return _Run(arm, values, seed, job, overrides)

    def _take_over(self, runs: list[_Run]) -> None:
        """Copy the missing runs that earlier studies have made."""
        copied = sum(self._earlier_runs.copy(run.job.config_hash, run.job.folder) for run in runs)
        if copied:
            console.print(f"Reused   {counted(copied, 'run')} of {self._earlier_runs.folder}", markup=False)

    def _run(self, runs: list[_Run]) -> JobsFailedError | None:
        """Run those that are not settled, and return the error of those that failed."""
        missing = [run for run in runs if not _is_settled(run.job)]
        if not missing:
            return None
        for run in missing:
            run.job.set_aside()  # Hydra's own launchers do not
        returns = self._launch([run.overrides for run in missing], self._launched)
        self._launched += len(missing)
        failed = [run for run in missing if not _is_settled(run.job)]
        told = (one._return_value for one in returns if one.status is JobStatus.FAILED)
        known = next((error for error in told if isinstance(error, JobsFailedError)), None)
        return (known or _failure(failed, len(runs))) if failed else None

    @property
    def _measure(self) -> str:
        """What the trials measured."""
        if self._earlier_pilot is not None:
            return self._earlier_pilot.measure
        return self.config.pilot.measure if self.config.pilot else TOP1_ERROR

    def _record(self, trials: list[Trial], chosen: dict[str, Values]) -> StudyRecord:
        """Write the record of what is known so far."""
        config = self.config
        record = StudyRecord(
            name=config.name,
            title=config.title,
            design=config.design,
            baseline=config.baseline,
            factors=list(config.factors),
            arms=self.plan.arms,
            seeds=self.plan.seeds,
            resolution=config.resolution if config.design is Design.fraction else None,
            aliases=self.plan.aliases,
            chosen=chosen,
            trials=trials,
            measure=self._measure,
            overrides=self._arguments,
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        record.write(self.folder)
        return record


def _pilot_seeds(pilot: PilotConfig) -> range:
    return range(pilot.first_seed, pilot.first_seed + pilot.seeds)


def _is_settled(job: Job) -> bool:
    """Return whether a run needs no other start: it is done, or it diverged, which it would again."""
    return job.is_done() or job.diverged()


def _trial(run: _Run, measure: str) -> Trial:
    """Read a run of the pilot. Raises `UserError` for a measure that it does not have."""
    if run.job.diverged():
        return Trial(run.arm, run.values, run.seed, None, started=False)
    result = run.job.result()
    metrics = result.get("logged") or {}
    for split in ("train", "val"):
        metrics |= {f"{split}/{name}": value for name, value in (result.get(split) or {}).items()}
    if measure not in metrics:
        raise UserError(
            f"study.pilot.measure={measure}: {run.job.name} has no such metric.{suggest(measure, metrics)}"
            f" Choices: {', '.join(metrics)}."
        )
    started = has_started(metrics["val/top1_error"], result.get("classes"), metrics.get("val/samples"))
    return Trial(run.arm, run.values, run.seed, float(metrics[measure]), started)


def _seconds(runs: Iterable[_Run]) -> float | None:
    """Return the mean duration of runs that were done before."""
    seconds = [run.job.result().get("wall_seconds") for run in runs]
    known = [value for value in seconds if value is not None]
    return fmean(known) if known else None


def _failure(failed: Sequence[_Run], count: int) -> JobsFailedError:
    """Return an error of one line, where the launcher has none: Hydra's own, whose jobs have no logs."""
    first = failed[0].job
    has_begun = first.result().get("status") == "failed"  # what has not was told by the program itself
    reason = f" {first.name}: {first.failure_reason(1).rstrip('.')}." if has_begun else ""
    return JobsFailedError(f"{len(failed)} of {count} runs failed.{reason} The same command runs them again.")
