"""Studies with a launcher that makes up the results: the pilot's rounds, resuming, and what is refused."""

import errno
import json
import math
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import RunMode
from omegaconf import OmegaConf

from alexnet.config.hashing import config_hash
from alexnet.config.reading import to_plain_dict
from alexnet.errors import JobsFailedError, UserError
from alexnet.studies.record import read_record, to_content
from alexnet.sweeps import study as study_module
from alexnet.sweeps.composition import JobComposer
from alexnet.sweeps.study import StudyRunner
from conftest import PROJECT

QUICK = ("logger=csv", "study.pilot.seeds=1", "study.seeds=1", "study.baseline_seeds=1")
FOUR = ["no_lrn", "no_dropout", "tanh", "non_overlapping_pooling"]
Error = Callable[[dict[str, Any]], float | None]


class Fake:
    """Launcher that writes the result.json that `error` says, None for a run that diverged."""

    def __init__(self, loader: Any, sweep: Any, error: Error) -> None:
        self.composer, self.error = JobComposer(loader, sweep), error
        self.batches: list[list[dict[str, Any]]] = []
        self.returns: list[JobReturn] = []  # none: as if a launcher did not say why a job has failed

    def __call__(self, jobs: Sequence[Sequence[str]], number: int) -> list[JobReturn]:
        self.batches.append([self._run(list(job)) for job in jobs])
        return self.returns

    def _run(self, overrides: list[str]) -> dict[str, Any]:
        config = self.composer.compose(overrides)
        run = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        resolved = to_plain_dict(run)
        folder = Path(resolved["run_folder"])
        folder.mkdir(parents=True)
        error = self.error(resolved)
        result: dict[str, Any] = {"config_hash": config_hash(resolved), "classes": 10, "wall_seconds": 2.0}
        if error is None:
            result |= {"status": "failed", "diverged": True, "error": "diverged"}
        elif error < 0:
            result |= {"status": "failed", "error": "the disk is full"}
        else:
            result |= {"status": "completed", "val": {"top1_error": error, "samples": 1000}}
            result["logged"] = {"train_eval/top1_error": 50 - error}
        (folder / "result.json").write_text(json.dumps(result))
        return resolved

    @property
    def counts(self) -> list[int]:
        return [len(batch) for batch in self.batches]


@contextmanager
def study(
    outputs: Path, *arguments: str, error: Error = lambda run: 20.0
) -> Iterator[tuple[StudyRunner, Fake]]:
    """The runner of `train.py -m <arguments>`, and its launcher."""
    given = [*arguments, f"outputs={outputs}"]
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        loader = hydra.config_loader
        config = loader.load_configuration("train", given, RunMode.MULTIRUN)
        fake = Fake(loader, config, error)
        yield StudyRunner(loader, config, fake, given), fake


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["src/train.py", "-m"])


def refusal(outputs: Path, *arguments: str) -> str:
    with pytest.raises(UserError) as told, study(outputs, *arguments):
        pass
    assert "\n" not in str(told.value)
    assert not outputs.exists() or not any(outputs.iterdir())
    return str(told.value)


def test_each_arm_runs_at_the_rate_that_the_pilot_chose(tmp_path: Path) -> None:
    best = {True: 0.005, False: 0.0025}  # with LRN, without

    def error(run: dict[str, Any]) -> float:
        return 20 + 1000 * abs(run["optimizer"]["lr"] - best[run["model"]["lrn"]])

    rates = "study.pilot.rates=[0.00125,0.0025,0.005,0.01]"
    with study(tmp_path, "study=innovations", "study.factors=[no_lrn]", rates, *QUICK, error=error) as (
        runner,
        fake,
    ):
        record = runner.run()
        pilot, main = fake.batches
        assert {(run["model"]["lrn"], run["optimizer"]["lr"]) for run in main} == set(best.items())
        assert [run["data"]["hold_out"] for run in main] == [None, None]
        assert {run["data"]["hold_out"] for run in pilot} == {0.2}
        assert len(pilot) == 8
        assert {run["seed"] for run in pilot} == {1000}
        assert {run["seed"] for run in main} == {0}
        assert {Path(run["run_folder"]).relative_to(runner.folder).as_posix() for run in main} == {
            "baseline/seed=0",
            "no_lrn/seed=0",
        }
        assert (runner.folder / "pilot/no_lrn/lr=0.0025/seed=1000/result.json").is_file()
        assert record == read_record(runner.folder)
        assert record.chosen == {"baseline": {"optimizer.lr": 0.005}, "no_lrn": {"optimizer.lr": 0.0025}}
        assert len(record.trials) == 8
        assert runner.folder == tmp_path / "studies/innovations" / runner.folder.name
        runner.run()  # all is done
        assert fake.counts == [8, 2]


def test_the_pilot_can_judge_by_another_metric_and_train_otherwise(tmp_path: Path) -> None:
    def error(run: dict[str, Any]) -> float:
        return 20 + 1000 * abs(run["optimizer"]["lr"] - 0.0025)

    given = ("study=figure1", "study.pilot.rates=[0.00125,0.0025,0.005]", "study.pilot.extensions=0", *QUICK)
    with study(tmp_path, *given, error=error) as (runner, fake):
        record = runner.run()
    assert record.chosen == {arm: {"optimizer.lr": 0.005} for arm in record.arms}  # lowest 50 - error
    assert (record.measure, record.trials[0].measured) == ("train_eval/top1_error", 28.75)
    pilot, main = fake.batches
    assert {run["trainer"]["max_epochs"] for run in pilot} == {4}
    assert {run["callbacks"]["train_eval"]["stop_below"] for run in pilot} == {None}
    assert {run["trainer"]["max_epochs"] for run in main} == {60}
    assert {run["callbacks"]["train_eval"]["stop_below"] for run in main} == {25}


@pytest.mark.slow
def test_a_measure_that_the_pilot_s_runs_lack(tmp_path: Path) -> None:
    measure = "study.pilot.measure=train_eval/top1_eror"
    with (
        study(tmp_path, "study=figure1", measure, *QUICK) as (runner, _),
        pytest.raises(UserError, match=r"no such metric. Did you mean train_eval/top1_error\?.*Choices: "),
    ):
        runner.run()


@pytest.mark.slow
def test_the_pilot_goes_on_where_the_best_rate_is_at_the_edge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def error(run: dict[str, Any]) -> float:
        lr = run["optimizer"]["lr"]
        return 50 - 1000 * lr if run["model"]["lrn"] else 20 + 1000 * abs(lr - 0.0025)

    given = (
        "study=innovations",
        "study.factors=[no_lrn]",
        "study.pilot.rates=[0.00125,0.0025,0.005]",
        *QUICK,
    )
    with study(tmp_path, *given, "study.pilot.extensions=2", error=error) as (runner, fake):
        record = runner.run()
        assert fake.counts == [6, 1, 1, 2]
        assert [batch[0]["optimizer"]["lr"] for batch in fake.batches[1:3]] == [0.01, 0.02]
        assert record.chosen["baseline"] == {"optimizer.lr": 0.02}
        assert record.chosen["no_lrn"] == {"optimizer.lr": 0.0025}
        assert capsys.readouterr().out.count("at the edge of the grid: baseline; 1 more run") == 2
        runner.run()  # all is done
        assert "more run" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_rate_that_diverges_is_a_bad_one_and_not_tried_again(tmp_path: Path) -> None:
    def error(run: dict[str, Any]) -> float | None:
        return None if run["optimizer"]["lr"] > 0.004 else 20.0 + run["optimizer"]["lr"]

    given = ("study=innovations", "study.factors=[no_lrn]", "study.pilot.rates=[0.001,0.002,0.005]", *QUICK)
    with study(tmp_path, *given, "study.pilot.extensions=0", error=error) as (runner, fake):
        record = runner.run()
        assert record.chosen["no_lrn"] == {"optimizer.lr": 0.001}
        assert {trial.measured for trial in record.trials if trial.values["optimizer.lr"] == 0.005} == {None}
        runner.run()
        assert fake.counts == [6, 2]


@pytest.mark.slow
def test_more_seeds_and_factors_run_only_what_is_new(tmp_path: Path) -> None:
    given = ("study=innovations", "logger=csv", "study.pilot.seeds=1", "study.pilot.rates=[0.005,0.01]")
    flat = ("study.pilot.extensions=0",)
    with study(tmp_path, *given, *flat, "study.factors=[no_lrn]", "study.seeds=1") as (runner, fake):
        runner.run()
        assert fake.counts == [4, 2]
    with study(tmp_path, *given, *flat, "study.factors=[no_lrn]", "study.seeds=2") as (runner, fake):
        runner.run()
        assert fake.counts == [2]
    with study(tmp_path, *given, *flat, "study.factors=[no_lrn,tanh]", "study.seeds=2") as (runner, fake):
        runner.run()
        assert [[run["model"]["activation"] for run in batch] for batch in fake.batches] == [
            ["tanh", "tanh"],
            ["tanh", "tanh", "relu"],  # a third seed of the baseline: 2 times the square root of 2
        ]


def test_a_run_that_failed_is_told_and_run_again(tmp_path: Path) -> None:
    broken = True

    def error(run: dict[str, Any]) -> float:
        return -1 if broken and not run["model"]["lrn"] else 20.0

    given = ("study=innovations", "study.factors=[no_lrn]", "study.pilot=null", *QUICK[:1], "study.seeds=1")
    with study(tmp_path, *given, "study.baseline_seeds=1", error=error) as (runner, fake):
        with pytest.raises(UserError, match=r"1 of 2 runs failed\. no_lrn/seed=0: the disk is full"):
            runner.run()
        assert read_record(runner.folder) is not None
        broken = False
        (runner.folder / "no_lrn/seed=0").rename(tmp_path / "aside")  # as the launcher does
        runner.run()
        assert fake.counts == [2, 1]


def test_the_launcher_knows_best_why_a_run_failed(tmp_path: Path) -> None:
    given = ("study=innovations", "study.factors=[no_lrn]", "study.pilot=null", *QUICK[:1], "study.seeds=1")
    with study(tmp_path, *given, "study.baseline_seeds=1", error=lambda run: -1) as (runner, fake):
        problem = JobsFailedError("2 of 2 jobs failed. baseline/seed=0: killed by SIGKILL")
        fake.returns = [JobReturn(status=JobStatus.FAILED, _return_value=problem)]
        with pytest.raises(UserError, match="killed by SIGKILL"):
            runner.run()


@pytest.mark.slow
def test_a_factorial_combines_experiments_and_keys(tmp_path: Path) -> None:
    given = ("study=innovations", "study.factors=[no_lrn,no_dropout,'model.columns=2']", "study.pilot=null")
    with study(tmp_path, *given, "study.design=factorial", "study.seeds=1", "logger=csv") as (runner, fake):
        record = runner.run()
        cells = {
            (run["model"]["lrn"], run["model"]["dropout"], run["model"]["columns"]) for run in fake.batches[0]
        }
        assert cells == {
            (lrn, drop, columns) for lrn in (True, False) for drop in (0.5, 0) for columns in (1, 2)
        }
        assert record.arms["no_lrn+no_dropout+model.columns=2"] == ["no_lrn", "no_dropout", "model.columns=2"]
        assert (runner.folder / "no_lrn+model.columns=2/seed=0").is_dir()


@pytest.mark.slow
@pytest.mark.parametrize(("design", "runs"), [("factorial", 16), ("fraction", 8)])
def test_a_model_of_the_pilot_gives_every_combination_its_rate(
    tmp_path: Path, design: str, runs: int
) -> None:
    """A fraction has no arm of a single factor; the pilot runs them nevertheless."""

    def best(run: dict[str, Any]) -> float:
        rate = 0.0071
        rate *= 1 if run["model"]["lrn"] else 0.8
        rate *= 1 if run["model"]["dropout"] else 0.3
        return rate * (1 if run["model"]["activation"] == "relu" else 1.3)

    def error(run: dict[str, Any]) -> float:
        return 20 + math.log2(run["optimizer"]["lr"] / best(run)) ** 2

    given = ("study=innovations", f"study.factors=[{','.join(FOUR)}]", f"study.design={design}")
    more = ("study.pilot.rates=[0.001,0.002,0.004,0.008,0.016]", "study.resolution=4")
    with study(tmp_path, *given, *more, *QUICK, error=error) as (runner, fake):
        record = runner.run()
    assert len(record.arms) == runs
    assert len({trial.arm for trial in record.trials}) == 10  # baseline, four factors, their mirror images
    assert record.chosen.keys() >= record.arms.keys()
    assert len(fake.batches[-1]) == runs
    for run in fake.batches[-1]:
        assert run["optimizer"]["lr"] == pytest.approx(best(run), rel=0.01)


def signs(run: dict[str, Any]) -> dict[str, int]:
    """What a run of four or five factors changes, 1, or does not, -1, by the letter of the factor."""
    model = run["model"]
    changed = {
        "A": not model["lrn"],
        "B": model["dropout"] == 0,
        "C": model["activation"] == "tanh",
        "D": model["pooling"] == "non_overlapping",
        "E": model["columns"] == 2,
    }
    return {letter: 1 if is_changed else -1 for letter, is_changed in changed.items()}


@pytest.mark.parametrize(
    ("factors", "resolution", "size", "confounded"),
    [
        # as in every textbook: C=AB, D=ABC, E=ABCD
        (FOUR[:3], 3, "4 of 8", ["A=BC", "B=AC", "C=AB"]),
        pytest.param(FOUR, 4, "8 of 16", ["AB=CD", "AC=BD", "AD=BC"], marks=pytest.mark.slow),
        pytest.param([*FOUR, "model.columns=2"], 5, "16 of 32", [], marks=pytest.mark.slow),
    ],
)
def test_a_fraction_says_what_it_confounds(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    factors: list[str],
    resolution: int,
    size: str,
    confounded: list[str],
) -> None:
    """Before anything runs; what it says is so in what then runs, and nothing else is."""
    shown: list[str] = []

    def error(run: dict[str, Any]) -> float:
        shown.append(capsys.readouterr().out)
        return 20.0

    chosen = f"study.factors=[{','.join(repr(factor) for factor in factors)}]"
    given = ("study=innovations", chosen, "study.pilot=null", "study.seeds=1", "logger=csv")
    design = ("study.design=fraction", f"study.resolution={resolution}")
    with study(tmp_path, *given, *design, error=error) as (runner, fake):
        runner.run()
    (line,) = [line for line in shown[0].splitlines() if line.startswith("Design")]
    told, aliases = line.split("; confounded: ")
    assert told == f"Design   {size} combinations, resolution {resolution}"
    letters = dict(zip(factors, "ABCDE", strict=False))
    for name, letter in letters.items():
        aliases = aliases.replace(name, letter)
    pairs = aliases.replace(":", "").replace(" = ", "=").split("; ")
    assert sorted(pairs) == (confounded or ["no factors or pairs of factors"])
    rows = [signs(run) for run in fake.batches[0]]
    terms = ["".join(term) for count in (1, 2) for term in combinations(letters.values(), count)]
    columns = {term: [math.prod(row[letter] for letter in term) for row in rows] for term in terms}
    same = [
        f"{one}={other}"
        for one, other in combinations(terms, 2)
        if abs(sum(a * b for a, b in zip(columns[one], columns[other], strict=True))) == len(rows)
    ]
    assert same == confounded


def test_a_study_says_how_long_it_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of the pilot takes 90 seconds, one of the study has three times the epochs."""
    now = 0.0

    def error(run: dict[str, Any]) -> float:
        nonlocal now
        now += 90
        return 20 + run["optimizer"]["lr"]

    def told() -> str:
        (line,) = [line for line in capsys.readouterr().out.splitlines() if " runs, " in line[:20]]
        return line

    monkeypatch.setattr(study_module, "time", SimpleNamespace(monotonic=lambda: now))
    given = (
        "study=depth",
        "study.factors=[no_conv3]",
        "study.seeds=1",
        "study.baseline_seeds=2",
        "logger=csv",
    )
    pilot = ("study.pilot.rates=[0.001,0.002]", "study.pilot.seeds=1", "study.pilot.extensions=0")
    epochs = ("trainer.max_epochs=6", "study.pilot.overrides=['trainer.max_epochs=2']")
    with study(tmp_path, *given, *pilot, *epochs, error=error) as (runner, fake):
        runner.run()
        assert fake.counts == [4, 3]
        assert told() == "Study    3 runs, 3 to do, about 13:30"
        runner.run()
        assert told() == "Study    3 runs, 0 to do"
    shutil.rmtree(runner.folder / "baseline/seed=1")
    with study(tmp_path, *given, *pilot, *epochs, error=error) as (runner, fake):
        runner.run()  # by the result.json of its runs, the pilot took 2 seconds for each
        assert fake.counts == [1]
        assert told() == "Study    3 runs, 1 to do, about 0:06"


@pytest.mark.parametrize("archived", [False, True])
def test_the_pilot_of_an_earlier_study_is_reused(tmp_path: Path, archived: bool) -> None:
    given = ("study=depth", "study.factors=[no_conv3]", "study.seeds=1", "study.baseline_seeds=1")

    def error(run: dict[str, Any]) -> float:
        return 20 + abs(math.log(run["optimizer"]["lr"] / (0.01 if run["model"]["remove_layers"] else 0.02)))

    rates = "study.pilot.rates=[0.005,0.01,0.02,0.04]"
    with study(tmp_path / "first", *given, rates, *QUICK, error=error) as (runner, _):
        first, folder = runner.run(), runner.folder
    if archived:
        folder = tmp_path / "results"
        folder.mkdir()
        (folder / "results.json").write_text(json.dumps({"record": to_content(first)}))
    reuse = f"study.pilot.reuse={folder}"
    with study(tmp_path / "second", *given, "seed=1", reuse) as (runner, fake):
        second = runner.run()
    assert [run["seed"] for run in fake.batches[0]] == [1, 1]
    assert [run["optimizer"]["lr"] for run in fake.batches[0]] == [0.02, 0.01]
    assert fake.counts == [2]  # no pilot
    assert (second.trials, second.chosen) == (first.trials, first.chosen)
    assert "seed 1000 was used by its pilot" in refusal(tmp_path / "third", *given, "seed=1000", reuse)
    told = refusal(tmp_path / "third", *given, "study.factors=[no_conv4]", reuse)
    assert "its pilot chose nothing for no_conv4. Arms: baseline, no_conv3." in told


def test_runs_of_earlier_studies_are_not_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the same configuration, wherever they lie below the folder: here a common baseline's."""
    given = ("study=depth", "study.pilot=null", "study.seeds=2", "study.baseline_seeds=2", "logger=csv")

    def error(run: dict[str, Any]) -> float:
        return 40.0 + run["seed"] if run["model"]["remove_layers"] else 30.0 + run["seed"]

    with study(tmp_path / "outputs", *given, "study.factors=[no_conv3]", error=error) as (runner, fake):
        runner.run()
        first = runner.folder
    checkpoint = first / "baseline/seed=1/checkpoints/last.ckpt"
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"weights")
    (first / "baseline/seed=0/result.json").write_text('{"status": "interrupted"}')  # not to be had
    second = (*given, "study.factors=[no_conv3,no_conv4]", f"study.reuse={tmp_path}")
    with study(tmp_path / "others", *second) as (runner, fake):
        runner.run()
    ran = [(run["model"]["remove_layers"], run["seed"]) for run in fake.batches[0]]
    assert ran == [([], 0), (["conv4"], 0), (["conv4"], 1)]
    taken = runner.folder / "baseline/seed=1"
    assert json.loads((taken / "result.json").read_text())["val"]["top1_error"] == 31.0
    assert (taken / "checkpoints/last.ckpt").samefile(checkpoint)
    assert "Reused   3 runs of" in capsys.readouterr().out
    assert "there are no completed runs in it" in refusal(tmp_path / "third", *given, "study.reuse=conf")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copytree", full)
    with study(tmp_path / "fourth", *second) as (runner, fake), pytest.raises(UserError) as told:
        runner.run()
    assert re.fullmatch(
        "Cannot copy .*seed=0 to .*fourth.*seed=0: .*No space left on device", str(told.value)
    )
    assert fake.batches == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("study=depth", "study.pilot.reuse=conf"), "expected the folder of a study that had a pilot"),
        (
            ("study=history", "model.width=0.125"),
            "study=history, arm lenet5: model.width: there is no such key",
        ),
        (("study=innovations", "model.lrn=false"), "factor no_lrn: has only one level"),
        pytest.param(
            ("study=innovations", "study.design=fraction", "model.lrn=false"),
            "factor no_lrn: has only one level",
            marks=pytest.mark.slow,
        ),
        (
            ("study=innovations", "seed=0,1"),
            "seed=0,1: a study numbers its own seeds: study.seeds=2 seed=0",
        ),
        (("study=innovations", "model.width=0.5,1"), "Start the study once per value"),
        (("study=innovations", "experiment=tanh"), "the study sets experiment"),
        (("study=innovations", "run_folder=x"), "the study sets run_folder"),
        (("study=innovations", "study.pilot.first_seed=2"), "seed 2 is also a seed of the study"),
        (
            ("study=innovations", "study.factors=[no_such]"),
            "arm no_such: experiment=no_such: there is no such",
        ),
        (("study=depth", "study.design=fraction"), "with 3 factors only all 8 combinations"),
        (
            ("study=depth", "study.design=factorial", "study.factors=[no_conv3]"),
            "1 factors. It takes 2 to 16",
        ),
        (
            ("study=depth", "study.factors=['data.batch_size=-1']"),
            "data.batch_size=-1: expected 1 or more images",
        ),
    ],
)
def test_mistakes_are_told_before_anything_is_made(
    tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    assert told in refusal(tmp_path / "outputs", *arguments)


def test_it_runs_seed_by_seed(tmp_path: Path) -> None:
    """So that a study that is stopped has as many runs of each arm."""
    given = ("study=depth", "study.factors=[no_conv3]", "study.pilot=null", "logger=csv")
    with study(tmp_path, *given, "study.seeds=2", "study.baseline_seeds=3") as (runner, fake):
        runner.run()
    seeds = [(run["seed"], run["model"]["remove_layers"]) for run in fake.batches[0]]
    assert seeds == [(0, []), (0, ["conv3"]), (1, []), (1, ["conv3"]), (2, [])]


@pytest.mark.slow
def test_the_command_is_in_the_record(tmp_path: Path) -> None:
    given = ("study=depth", "study.pilot=null", "logger=csv", "study.seeds=1", "model.width=0.5")
    with study(tmp_path, *given) as (runner, fake):
        record = runner.run()
        assert [o.key_or_group for o in OverridesParser.create().parse_overrides(record.overrides)][:2] == [
            "study",
            "study.pilot",
        ]
        assert all(run["study"] is None for run in fake.batches[0])


@pytest.mark.parametrize("name", ["legacy", "legacy_cumulative"])
def test_later_ideas_are_added_to_the_recipe_of_2012(tmp_path: Path, name: str) -> None:
    """Its schedule divides the rate by ten, except where the cosine's is the idea, or one of those added."""
    given = (f"study={name}", "study.pilot=null", "study.seeds=1", "study.baseline_seeds=1", "logger=csv")
    with study(tmp_path, *given, "study.factors=[later_gelu,later_cosine,later_mixup]") as (runner, fake):
        runner.run()
    (runs,) = fake.batches
    found = {Path(run["run_folder"]).parent.name: run["scheduler"]["schedule"] for run in runs}
    expected = {
        "legacy": {"later_gelu": "step", "later_cosine": "cosine", "later_mixup": "step"},
        "legacy_cumulative": {"+later_gelu": "step", "+later_cosine": "cosine", "+later_mixup": "cosine"},
    }
    assert found == {"recipe_2012": "step"} | expected[name]
