"""Seeds that are added to a result: what is compared is what one study of all seeds would have been."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alexnet.compare.comparison import compare
from alexnet.compare.factorial.comparison import Factorial
from alexnet.compare.report import write_report
from alexnet.compare.results import write_results
from alexnet.config import ComparabilityKey, CompareConfig
from alexnet.config.study import Design
from alexnet.errors import UserError
from alexnet.studies.record import StudyRecord, Trial
from fabricated_runs import full_factorial, write_factorial, write_hand_made, write_run

FACTORS = ["no_lrn", "tanh"]
CELLS = full_factorial(FACTORS)
NAMES = ["baseline", "no_lrn", "tanh", "no_lrn+tanh"]
ERRORS = np.random.default_rng(0).normal([[20.0], [22.0], [30.0], [33.0]], 0.5, (4, 3))


def config(**keys: Any) -> CompareConfig:
    given: dict[str, Any] = dict.fromkeys(("study", "runs", "baseline", "out")) | {"allow": []}
    return CompareConfig(**given | keys, training_error=25.0, confidence=0.95)


def write(folder: Path, seeds: slice, **more: Any) -> Path:
    errors = {name: row[seeds].tolist() for name, row in zip(NAMES, ERRORS, strict=True)}
    return write_factorial(folder, CELLS, errors, FACTORS, first_seed=seeds.start or 0, **more)


@pytest.fixture
def result(tmp_path: Path) -> Path:
    """The result of a study of seeds 0 and 1."""
    trials = [Trial("tanh", {"optimizer.lr": 0.02}, 1000, 31.25, True)]
    study = write(tmp_path / "first", slice(0, 2), overrides=["study=s", "study.seeds=2"], trials=trials)
    given = config(study=str(study), out=str(tmp_path / "results/s"))
    write_report(compare(given), given)
    return tmp_path / "results/s"


def test_all_seeds_give_what_one_study_would_have_given(result: Path, tmp_path: Path) -> None:
    whole = compare(config(study=str(write(tmp_path / "whole", slice(0, 3)))))
    more = write(tmp_path / "more", slice(2, 3), overrides=["study=s", "seed=2", "outputs=/mine"])
    given = config(study=str(more), add=str(result), out=str(result))
    added = compare(given)
    assert isinstance(added, Factorial)
    assert isinstance(whole, Factorial)
    assert added.top1 == whole.top1
    assert added.record.seeds == whole.record.seeds
    assert [run.seed for run in added.baseline.runs] == [0, 1, 2]
    assert len(added.record.trials) == 1
    write_report(added, given)
    write_results(config(results=str(result.parent)))
    page = (result / "README.md").read_text()
    command = "    python src/train.py -m study=s"
    assert f"{command} study.seeds=2\n{command} seed=2\n" in page
    assert "12 runs" in page
    assert "/mine" not in (result / "results.json").read_text()


def test_some_arms_can_have_more_seeds(result: Path, tmp_path: Path) -> None:
    """A study of one factor at a time, added to a factorial."""
    settings = {"baseline": {}, "tanh": {"model.activation": "tanh"}}
    for seed, errors in ((2, (20.0, 30.0)), (3, (20.5, 30.4))):
        for (arm, changed), error in zip(settings.items(), errors, strict=True):
            folder = tmp_path / "more" / arm / f"seed={seed}"
            write_run(folder, error, seed=seed, settings=changed, top5=error / 8)
    StudyRecord(
        *("more", "One at a time", Design.one_at_a_time, "baseline", ["tanh"]),
        arms={"baseline": [], "tanh": ["tanh"]},
        seeds={"baseline": [2, 3], "tanh": [2, 3]},
    ).write(tmp_path / "more")
    added = compare(config(study=str(tmp_path / "more"), add=str(result)))
    assert isinstance(added, Factorial)
    assert [len(arm.runs) for arm in added.all_variants] == [4, 2, 4, 2]
    assert not added.excluded
    means = [np.mean([run.top1_error for run in arm.runs]) for arm in added.all_variants]
    baseline, no_lrn, tanh, both = means
    assert added.cell_mean({"tanh": False}) == pytest.approx((baseline + no_lrn) / 2)  # cells count alike
    assert added.factor["tanh"].levels[1].top1_error == pytest.approx((tanh + both) / 2)
    alone = compare(config(study=str(result)))
    assert isinstance(alone, Factorial)
    old, new = (given.top1.removed["tanh"] for given in (alone, added))
    assert old is not None
    assert new is not None
    assert new.mean == pytest.approx((2 * old.mean + 10.0 + 9.9) / 4)  # all seeds have both arms


def test_a_run_that_was_missing_is_no_longer(result: Path, tmp_path: Path) -> None:
    content = json.loads((result / "results.json").read_text())
    content["excluded"] = [{"name": "tanh seed=2", "reason": "the run does not exist", "diverged": False}]
    (result / "results.json").write_text(json.dumps(content))
    assert len(compare(config(study=str(result))).excluded) == 1
    more = write(tmp_path / "more", slice(2, 3))
    assert not compare(config(study=str(more), add=str(result))).excluded


def refusal(study: Path, result: Path) -> str:
    with pytest.raises(UserError) as told:
        compare(config(study=str(study), add=str(result)))
    return str(told.value)


def test_what_cannot_be_added(result: Path, tmp_path: Path) -> None:
    more = write(tmp_path / "more", slice(1, 3))
    assert "already has seed 1 of baseline. Run the study with other seeds: seed=<n>" in refusal(more, result)
    assert "expected the folder of a result, with results.json in it" in refusal(more, tmp_path / "first")

    other = write_factorial(
        tmp_path / "other",
        full_factorial(["no_lrn", "no_dropout"]),
        {arm: [20.0] for arm in ("baseline", "no_lrn", "no_dropout", "no_lrn+no_dropout")},
        ["no_lrn", "no_dropout"],
        first_seed=2,
    )
    assert "no arm no_dropout. Its arms: baseline, no_lrn, tanh, no_lrn+tanh." in refusal(other, result)

    rates = write(tmp_path / "rates", slice(2, 3))
    saved = rates / "baseline/seed=2/config.yaml"
    saved.write_text(saved.read_text().replace("lr: 0.01", "lr: 0.02"))
    assert "baseline has different settings there; here it has optimizer.lr=0.02." in refusal(rates, result)


def test_other_code_has_to_be_allowed(result: Path, tmp_path: Path) -> None:
    more = write(tmp_path / "more", slice(2, 3))
    for path in more.rglob("environment.json"):
        path.write_text(path.read_text().replace("a" * 40, "b" * 40))
    assert "allow=[code]" in refusal(more, result)
    compare(config(study=str(more), add=str(result), allow=[ComparabilityKey.code]))


def test_it_is_added_to_a_study() -> None:
    with pytest.raises(UserError, match="add=results/a: expected no value without study="):
        config(runs="outputs/runs/*", add="results/a").check()


def test_another_baseline(tmp_path: Path) -> None:
    """The baseline that is given is that of all runs, of the result and the study."""
    study: dict[str, Path] = {}
    for name, seed in (("first", 0), ("more", 1)):
        study[name] = tmp_path / name
        arms = {"baseline": {}, "no_lrn": {"model.lrn": False}, "tanh": {"model.activation": "tanh"}}
        for number, (arm, changed) in enumerate(arms.items()):
            folder = study[name] / arm / f"seed={seed}"
            write_run(folder, 20.0 + number + seed, seed=seed, settings=changed, top5=2.0)
        write_hand_made(study[name] / "hog" / f"seed={seed}", 40.0, seed=seed, top5=5.0)
        StudyRecord(
            *("s", "One at a time", Design.one_at_a_time, "baseline", ["no_lrn", "tanh"]),
            arms={"baseline": [], "no_lrn": ["no_lrn"], "tanh": ["tanh"]},
            seeds={arm: [seed] for arm in arms},
        ).write(study[name])
    for hand_made in (True, False):  # the result may have no run of classical.py
        if not hand_made:
            shutil.rmtree(study["first"] / "hog")
        given = config(study=str(study["first"]), out=str(tmp_path / "results/s"))
        write_report(compare(given), given)
        added = compare(config(study=str(study["more"]), add=str(tmp_path / "results/s"), baseline="tanh"))
        assert (added.baseline.name, added.baseline_rule) == ("tanh", "as given")
        runs = {arm.name: [run.seed for run in arm.runs] for arm in added.all_variants}
        assert runs == {
            "tanh": [0, 1],
            "hog": [0, 1] if hand_made else [1],
            "no_lrn": [0, 1],
            "baseline": [0, 1],
        }
