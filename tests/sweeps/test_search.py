"""A search: each trial reported, one that diverges or fails not the end, and the best at the end."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from fake_sweep import fake_job
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf

from alexnet.errors import UserError
from alexnet.sweeps.search import TrialLauncher
from hydra_plugins.process_launcher import FailedReturn
from hydra_plugins.search_sweeper import SearchSweeper

Outcome = float | str  # the error of a trial in percent, or why it failed


class FakeLauncher(Launcher):
    """Returns what a function of a trial's overrides says; nothing is run."""

    accepts_divergence, batch_size = False, None

    def __init__(self, folder: Path, outcome: Any) -> None:
        self.folder, self.outcome = folder, outcome
        self.launched: list[dict[str, str]] = []

    def setup(self, **_: Any) -> None:
        pass

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        return [self.run(dict(text.split("=", 1) for text in overrides)) for overrides in job_overrides]

    def run(self, values: dict[str, str]) -> JobReturn:
        self.launched.append(values)
        outcome = self.outcome(values)
        common: dict[str, Any] = {"working_dir": str(self.folder / f"trial={len(self.launched)}")}
        if isinstance(outcome, str):
            return FailedReturn(**common, status=JobStatus.FAILED, _return_value=UserError(outcome))
        return JobReturn(**common, status=JobStatus.COMPLETED, _return_value=outcome)


def rate_of(values: dict[str, str]) -> float:
    return float(values["optimizer.lr"])


def search(
    launcher: FakeLauncher, monkeypatch: pytest.MonkeyPatch, *arguments: str, **keys: Any
) -> dict[str, Any]:
    """Run the sweeper of conf/hydra/sweeper/search.yaml; what it has found."""
    pytest.importorskip("optuna")
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.plugins import Plugins
    from hydra.utils import instantiate
    from hydra_plugins.hydra_optuna_sweeper.config import OptunaSweeperConf, TPESamplerConfig

    monkeypatch.setattr(Plugins, "instantiate_launcher", lambda *_, **__: launcher)
    monkeypatch.setattr(HydraConfig, "set_config", lambda *_: None)  # not all of Hydra's own is here
    ours = OmegaConf.load(Path(__file__).parents[2] / "conf/hydra/sweeper/search.yaml")
    del ours["defaults"]
    base = {"sampler": OmegaConf.structured(TPESamplerConfig)}
    theirs = OmegaConf.create(OmegaConf.to_container(OmegaConf.structured(OptunaSweeperConf(**base))))
    del theirs["defaults"]
    sweeper = OmegaConf.merge(theirs, ours, keys)
    config = OmegaConf.create({"hydra": {"sweeper": sweeper, "sweep": {"dir": str(launcher.folder)}}})
    made: SearchSweeper = instantiate(config.hydra.sweeper)
    made.setup(hydra_context=SimpleNamespace(), task_function=None, config=config)  # type: ignore[arg-type]
    made.sweep(list(arguments))
    return yaml.safe_load((launcher.folder / "optimization_results.yaml").read_text())


RATES = "optimizer.lr=tag(log,interval(0.001,0.1))"


def test_rates_that_diverge_are_searched_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Above 0.02 all diverge; below, 0.005 is best."""
    launcher = FakeLauncher(
        tmp_path, lambda values: 100.0 if (rate := rate_of(values)) > 0.02 else 40 + 1e3 * abs(rate - 0.005)
    )
    found = search(launcher, monkeypatch, RATES, "model.lrn=true,false", "seed=3")
    assert (launcher.accepts_divergence, launcher.batch_size) == (True, 1)
    assert len(launcher.launched) == 20
    errors = [launcher.outcome(values) for values in launcher.launched]
    assert errors.count(100.0) > 3
    assert found["best_value"] == min(errors) < 44
    out, err = capfd.readouterr()
    assert err == ""  # neither Optuna's log nor the plugin's
    lines = out.splitlines()
    assert len(lines) == 22
    for number, (line, values, error) in enumerate(zip(lines, launcher.launched, errors, strict=False), 1):
        assert line.startswith(f"Trial {number} of 20: ")
        assert ("diverged" in line) == (error == 100)
        assert f"optimizer.lr={rate_of(values):.4g} model.lrn={values['model.lrn'].lower()}" in line
        best = min(errors[:number])
        first = f"best so far {best:.1f}%, trial {errors.index(best) + 1}"
        assert line.endswith("; so far all diverged" if best == 100 else f"; {first}")
        assert "seed" not in line
    best = launcher.launched[errors.index(min(errors))]
    assert lines[-2] == (
        f"Best     validation error {min(errors):.1f}% with optimizer.lr={best['optimizer.lr']}"
        f" model.lrn={best['model.lrn'].lower()}"
    )
    assert lines[-1] == f"Results  {tmp_path / 'optimization_results.yaml'}"


def test_all_trials_diverge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    search(FakeLauncher(tmp_path, lambda _: 100.0), monkeypatch, RATES, n_trials=3)
    *trials, best, _ = capfd.readouterr().out.splitlines()
    assert [line.rpartition("; ")[2] for line in trials] == ["so far all diverged"] * 3
    assert best.startswith("Best     none: all trials diverged.")


def test_some_trials_may_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A fifth of them, each by itself."""
    launcher = FakeLauncher(tmp_path, lambda _: "no disk" if len(launcher.launched) in (1, 4) else 50.0)
    found = search(launcher, monkeypatch, RATES, n_trials=10)
    assert found["best_value"] == 50
    out, err = capfd.readouterr()
    assert err == ""
    assert out.count("Trial 4 of 10: failed with optimizer.lr=") == 1


def test_too_many_failures_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = FakeLauncher(tmp_path, lambda _: "job: no disk")
    with pytest.raises(UserError, match=r"^3 of 3 trials failed, of 10 in all .*rate=0\.2.* job: no disk$"):
        search(launcher, monkeypatch, RATES, n_trials=10)
    assert len(launcher.launched) == 3
    launcher = FakeLauncher(tmp_path, lambda _: "job: no disk")
    with pytest.raises(UserError, match=r"^2 of 2 trials failed"):
        search(launcher, monkeypatch, RATES, n_trials=2, max_failure_rate=1)


@pytest.mark.parametrize(
    ("arguments", "keys", "expected"),
    [
        ([RATES], {"n_trials": 0}, r"hydra\.sweeper\.n_trials=0: expected 1 or more"),
        ([RATES], {"n_jobs": 0}, r"hydra\.sweeper\.n_jobs=0: expected 1 or more"),
        (
            [RATES],
            {"max_failure_rate": 20},
            r"hydra\.sweeper\.max_failure_rate=20: expected a fraction from 0 to 1",
        ),
        ([RATES], {"direction": "maximize"}, r"hydra\.sweeper\.direction=maximize: expected minimize"),
        (["seed=0"], {}, r"hydra/sweeper=search: nothing to search"),
    ],
)
def test_a_mistake_ends_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], keys: dict[str, Any], expected: str
) -> None:
    with pytest.raises(UserError, match=f"^{expected}"):
        search(FakeLauncher(tmp_path, lambda _: 50.0), monkeypatch, *arguments, **keys)


def test_stopped(tmp_path: Path) -> None:
    class Stopped(FakeLauncher):
        def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
            if initial_job_idx == 1:
                raise KeyboardInterrupt("Stopped: 0 of 1 job done.")
            return super().launch(job_overrides, initial_job_idx)

    trials = TrialLauncher(Stopped(tmp_path, lambda _: 50.0), ["model.lrn"], lambda: 9, 0.2)
    trials.launch([["model.lrn=True"]], 0)
    with pytest.raises(
        KeyboardInterrupt, match=r"^Stopped after 1 of 9 trials\. The same command continues\.$"
    ):
        trials.launch([["model.lrn=False"]], 1)


def test_a_part_of_a_search_does_not_report_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from alexnet.sweeps.runner import run_jobs
    from alexnet.sweeps.slots import CoreSlots

    run_jobs([fake_job(tmp_path / "job=0", "ok")], CoreSlots(1, None, 1), tmp_path, 5, part_of_search=True)
    first, second = capsys.readouterr().out.splitlines()
    assert first == "Started  job=0" and second.startswith("Done     job=0 after 0:0")
