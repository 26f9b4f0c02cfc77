"""Who is paired with whom, and what is refused."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from alexnet.compare.arms import differences
from alexnet.compare.comparison import Comparison, compare
from alexnet.compare.notes import notes
from alexnet.compare.pairing import pair, same_code
from alexnet.compare.run_pattern import read_runs
from alexnet.compare.runs import Code
from alexnet.compare.study_folder import read_folder
from alexnet.config import ComparabilityKey, CompareConfig
from alexnet.errors import UserError
from alexnet.studies.record import Design, StudyRecord
from conftest import PROJECT
from fabricated_runs import DIFF, write_hand_made, write_run, write_study

NO_LRN = {"model.lrn": False}
TWO_ARMS: dict[str, Any] = {"baseline": ({}, [20.0, 21.0, 22.0]), "no_lrn": (NO_LRN, [21.0, 22.4, 23.1])}


def compared(study: Path | None = None, **given: Any) -> Comparison:
    keys: dict[str, Any] = {"runs": None, "baseline": None, "out": None, "training_error": 25.0}
    keys |= {"study": None if study is None else str(study), "confidence": 0.95, "allow": []}
    return compare(CompareConfig(**(keys | given)))


def test_by_seed_not_by_position(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", TWO_ARMS)
    write_run(study / "no_lrn" / "seed=10", 30.0, seed=10, settings=NO_LRN)
    write_run(study / "baseline" / "seed=10", 20.0, seed=10)
    shutil.rmtree(study / "baseline" / "seed=0")
    pairs = pair(read_folder(study, None))["no_lrn"]
    assert [(arm.seed, base.seed) for arm, base in pairs] == [(1, 1), (2, 2), (10, 10)]
    assert [arm.top1_error - base.top1_error for arm, base in pairs] == pytest.approx([1.4, 1.1, 10.0])


def test_the_factor_is_what_differs(tmp_path: Path) -> None:
    places = {"data.root": "/elsewhere", "data.workers": 8, "logger": {"kind": "wandb"}, "outputs": "/o"}
    arms = TWO_ARMS | {"two": ({"model.lrn": False, "optimizer.lr": 0.001, **places}, [25.0, 26.0, 28.0])}
    comparison = compared(write_study(tmp_path / "study", arms))
    two, no_lrn = comparison.arms
    assert no_lrn.factor == {"model.lrn": (True, False)}
    assert two.factor == {"model.lrn": (True, False), "optimizer.lr": (0.01, 0.001)}
    assert two.factor_text == "model.lrn=false optimizer.lr=0.001"
    assert [note for note in notes(comparison) if "two changes 2 keys" in note]


def test_keys_that_only_one_has() -> None:
    assert differences({"a": 1, "b": 2}, {"a": 1, "c": [3]}) == {"b": (2, "absent"), "c": ("absent", [3])}


def test_a_planted_null_and_a_planted_effect(tmp_path: Path) -> None:
    arms: dict[str, Any] = {
        "baseline": ({}, [20.0, 20.6, 19.7]),
        "same_again": ({}, [20.0, 20.6, 19.7]),
        "same_but_noise": ({}, [20.4, 20.1, 19.8]),
        "large": ({"model.dropout": 0.0}, [28.1, 28.4, 27.9]),
    }
    comparison = compared(write_study(tmp_path / "study", arms))
    significance = {arm.name: arm.top1.significance.value for arm in comparison.arms if arm.top1}
    assert significance == {
        "large": "higher error",
        "same_again": "not resolved",
        "same_but_noise": "not resolved",
    }
    assert [arm.name for arm in comparison.arms] == ["large", "same_again", "same_but_noise"]


def test_what_a_second_start_set_aside_is_no_run(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", TWO_ARMS)
    write_run(study / "no_lrn" / "seed=1.failed-1", 90.0, seed=1, settings=NO_LRN)
    (study / "no_lrn" / "seed=1.failed-1" / "result.json").unlink()
    comparison = compared(study)
    assert comparison.excluded == []
    assert comparison.arms[0].top1 == compared(write_study(tmp_path / "other", TWO_ARMS)).arms[0].top1


def test_folders_of_one_arm_at_several_rates_are_arms(tmp_path: Path) -> None:
    """As former studies left them, where the best stood for its arm."""
    arms = {
        name: ({"optimizer.lr": float(name[-4:])}, [20.0, 21.0]) for name in ("tanh,lr=0.01", "tanh,lr=0.03")
    }
    study = write_study(tmp_path / "study", {"baseline": ({}, [20.0, 21.0])} | arms)
    assert sorted(arm.name for arm in compared(study).arms) == sorted(arms)


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", TWO_ARMS | {"tanh": ({"model.activation": "tanh"}, [30.0, 31.0])})
    shutil.rmtree(study / "no_lrn" / "seed=0")
    write_run(study / "no_lrn" / "seed=0", 0.0, settings=NO_LRN, status="failed", error="OutOfMemory: 3 GB")
    write_run(study / "sigmoid" / "seed=0", 0.0, status="interrupted", error="stopped by the user")
    comparison = compared(study)
    assert {run.name: run.reason for run in comparison.excluded} == {
        "no_lrn seed=0": "failed: OutOfMemory: 3 GB",
        "sigmoid seed=0": "interrupted: stopped by the user",
        "sigmoid seed=1": "the run does not exist",
        "sigmoid seed=2": "the run does not exist",
        "tanh seed=2": "the run does not exist",
        "sigmoid": "no completed runs",
    }
    assert {arm.name: [run.seed for run in arm.runs] for arm in comparison.arms} == {
        "tanh": [0, 1],
        "no_lrn": [1, 2],
    }


def test_a_study_names_its_baseline(tmp_path: Path) -> None:
    named = {"baseline": "two_columns"}
    arms: dict[str, Any] = {
        "baseline": (named, [20.0, 21.0]),
        "two_columns": (named | {"model.name": "wide"}, [19.0, 19.5]),
        "half_size": (NO_LRN, [22.0, 22.5]),  # made before runs named one
    }
    study = write_study(tmp_path / "study", arms)
    comparison = compared(study)
    assert (comparison.baseline.name, comparison.baseline_rule) == ("two_columns", "set by the study")
    assert {arm.name: arm.top1.mean for arm in comparison.arms if arm.top1} == {
        "half_size": 3.0,
        "baseline": 1.25,
    }
    assert not any("baseline" in arm.factor for arm in comparison.arms)
    given = compared(study, baseline="baseline")
    assert (given.baseline.name, given.baseline_rule) == ("baseline", "as given")


def test_runs_that_name_none_are_compared_with_the_arm_baseline(tmp_path: Path) -> None:
    comparison = compared(write_study(tmp_path / "study", TWO_ARMS))
    assert (comparison.baseline.name, comparison.baseline_rule) == ("baseline", "by name")


def test_a_study_with_a_record(tmp_path: Path) -> None:
    """It says which arm is the baseline, which arms there are, and which seeds each should have."""
    arms = {"plain": ({}, [20.0, 21.0, 22.0]), "baseline": (NO_LRN, [21.0])}
    study = write_study(tmp_path / "study", arms)
    write_run(study / "pilot" / "plain" / "seed=7", 5.0, seed=7)
    write_hand_made(study / "hog" / "seed=0", 50.0, name="hog")
    record(study, "plain", {"plain": [0, 1, 2], "baseline": [0, 1], "missing": [0]})
    groups = read_folder(study, None)
    assert (groups.baseline, groups.baseline_rule) == ("plain", "set by the study")
    assert groups.record is not None
    assert {arm: sorted(runs) for arm, runs in groups.arms.items()} == {
        "plain": [0, 1, 2],
        "baseline": [0],
        "missing": [],
        "hog": [0, 1, 2],
    }
    assert {run.name: run.reason for run in groups.excluded} == {
        "baseline seed=1": "the run does not exist",
        "missing seed=0": "the run does not exist",
    }
    assert read_folder(study, "baseline").baseline == "baseline"
    write_run(study / "other" / "seed=0", 9.0)
    with pytest.raises(UserError, match=r"other is not an arm of this study \(study.json\)\. Move its runs"):
        read_folder(study, None)


def test_one_run_without_chance_stands_for_every_seed(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", TWO_ARMS)
    write_hand_made(study / "hog" / "seed=1", 50.0, name="hog", seed=1)
    comparison = compared(study)
    assert comparison.excluded == []
    (hog,) = (arm for arm in comparison.arms if arm.name == "hog")
    assert hog.top1 is not None
    assert hog.top1.differences == (30.0, 29.0, 28.0)  # paired: what does not vary has no variance to pool


def record(study: Path, baseline: str, seeds: dict[str, list[int]]) -> None:
    factors = [arm for arm in seeds if arm != baseline]
    arms = {arm: [arm] if arm in factors else [] for arm in seeds}
    StudyRecord("study", "A study", Design.one_at_a_time, baseline, factors, arms, seeds).write(study)


def test_foreign_runs(tmp_path: Path) -> None:
    """Another seed than its folder's is refused; what is not in the folder of an arm is left out."""
    study = write_study(tmp_path / "study", TWO_ARMS)
    write_run(study / "stray", 1.0)
    (left,) = compared(study).excluded
    assert (left.name, left.reason) == ("stray", "its folder is not <arm>/seed=<n>")
    write_run(study / "no_lrn" / "seed=3", 23.0, seed=4, settings=NO_LRN)
    expected = f"{study}/no_lrn/seed=3: the run in this folder has seed 4. Move it out of the study."
    with pytest.raises(UserError, match=re.escape(expected)):
        compared(study)


def test_runs_that_name_different_baselines(tmp_path: Path) -> None:
    arms: dict[str, Any] = {
        "baseline": ({"baseline": "baseline"}, [20.0]),
        "tanh": ({"baseline": "tanh"}, [21.0]),
    }
    study = write_study(tmp_path / "study", arms)
    with pytest.raises(UserError, match=r"different baselines: baseline, tanh\. Give one: baseline=<arm>\."):
        compared(study)
    assert compared(study, baseline="tanh").baseline.name == "tanh"


@pytest.mark.parametrize(
    ("odd", "expected", "allowed"),
    [
        (
            {"data_fingerprint": "b2"},
            "the data (fingerprints b2 and a9c6ab6dabc42b51)",
            ComparabilityKey.data,
        ),
        ({"epochs": 7}, "the epochs trained (7 and 10)", ComparabilityKey.epochs),
        ({"precision": "32-true"}, "the precision (32-true, and bf16-mixed)", ComparabilityKey.precision),
        ({"git": {"commit": "b" * 40}}, "the code (bbbbbbbbbb, and aaaaaaaaaa)", ComparabilityKey.code),
        (
            {"val": {"loss": 1.0, "top1_error": 23.0, "samples": 1024}},
            "the validation images (",
            ComparabilityKey.data,
        ),
        ({"git": {"diff": DIFF}}, "the code (aaaaaaaaaa with changes in src, and", ComparabilityKey.code),
    ],
)
@pytest.mark.parametrize("arm", ["baseline", "no_lrn"])
def test_refuses_more_than_the_factor(
    tmp_path: Path, odd: dict[str, Any], expected: str, allowed: ComparabilityKey, arm: str
) -> None:
    study = write_study(tmp_path / "study", TWO_ARMS)
    for name, settings in (("baseline", {}), ("no_lrn", NO_LRN)):
        write_run(study / name / "seed=3", 23.0, seed=3, settings=settings, **(odd if name == arm else {}))
    with pytest.raises(UserError, match=re.escape(expected)) as refusal:
        compared(study)
    assert f"{arm} seed=3 and baseline seed=0 differ" in str(refusal.value)
    assert f"allow=[{allowed.value}]" in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1
    others = [key for key in ComparabilityKey if key is not allowed]
    with pytest.raises(UserError, match=re.escape(expected)):
        compared(study, allow=others)
    assert any("as allowed" in note for note in notes(compared(study, allow=[allowed])))


def test_part_of_the_validation_is_no_factor_and_part_of_the_training_is(tmp_path: Path) -> None:
    """A number of images that is not known, as of the oldest runs, is taken to be that of the others."""
    study = write_study(tmp_path / "study", {"baseline": ({}, [20.0, 21.0])})
    short = {"trainer.limit_train_batches": 8}
    write_run(study / "half_epochs" / "seed=0", 30.0, settings=short)
    write_run(study / "unknown" / "seed=1", 30.0, seed=1, val={"loss": 1.0, "top1_error": 30.0})
    assert {arm.name: arm.factor_text for arm in compared(study).arms} == {
        "half_epochs": "trainer.limit_train_batches=8",
        "unknown": "nothing",
    }
    fewer = {"loss": 1.0, "top1_error": 30.0, "samples": 256}
    write_run(study / "few" / "seed=0", 30.0, settings={"trainer.limit_val_batches": 2}, val=fewer)
    with pytest.raises(UserError, match=r"few seed=0 and .* the validation images \(256 and 3925\); .*/few/"):
        compared(study)


def test_refuses_another_planned_length(tmp_path: Path) -> None:
    longer = (NO_LRN | {"trainer.max_epochs": 20}, [21.0])
    study = write_study(tmp_path / "study", {"baseline": ({}, [20.0]), "no_lrn": longer})
    with pytest.raises(UserError, match=r"trainer.max_epochs \(20 and 10\)"):
        compared(study)


def test_a_precision_that_was_asked_for_is_a_factor(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", {"baseline": ({}, [20.0])})
    write_run(
        study / "float32" / "seed=0", 21.0, settings={"trainer.precision": "32-true"}, precision="32-true"
    )
    assert [arm.name for arm in compared(study).arms] == ["float32"]


def test_refuses_an_arm_of_two_experiments(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", TWO_ARMS)
    write_run(study / "no_lrn" / "seed=3", 20.0, seed=3, settings=NO_LRN | {"model.dropout": 0.1})
    with pytest.raises(
        UserError, match=r"within no_lrn, seed=0 and seed=3 differ in model.dropout \(0.5, 0.1\)"
    ):
        compared(study, allow=list(ComparabilityKey))


def test_commits_that_leave_src_alone_are_the_same_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> str:
        who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        done = subprocess.run(
            ["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(name: str) -> Code:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
        git("add", ".")
        git("commit", "-qm", name)
        return Code(git("rev-parse", "HEAD"), "")

    git("init", "-q")
    monkeypatch.setattr("alexnet.compare.pairing.PROJECT", tmp_path)
    first, readme, source = commit("src/a.py"), commit("README.md"), commit("src/b.py")
    assert same_code(first, readme)
    assert not same_code(readme, source)
    assert not same_code(first, Code(readme.commit, DIFF))
    assert not same_code(first, Code("c" * 40, ""))


@pytest.mark.parametrize(
    ("prepare", "given", "expected"),
    [
        ("no_baseline", {}, "No arm is called baseline. Give one: baseline=<arm>. Arms: no_lrn, tanh."),
        (
            "no_two_columns",
            {},
            "No arm is called two_columns. Give one: baseline=<arm>. Arms: baseline, tanh.",
        ),
        (
            "one_arm",
            {},
            "only seeds differ (0, 1), so there is nothing to compare. Top-1 error: mean 21.00%, from",
        ),
        ("unfinished", {}, "no completed runs"),
        ("study", {"baseline": "nolrn"}, "baseline=nolrn: there is no such arm. Did you mean no_lrn?"),
        ("alone", {}, "Nothing to pair: no arm shares a seed with baseline."),
        ("failed", {}, "Nothing to pair: baseline has no completed run. baseline seed=0: failed: Bang."),
    ],
)
def test_nothing_to_compare(tmp_path: Path, prepare: str, given: dict[str, Any], expected: str) -> None:
    folder = tmp_path / "study"
    tanh = {"model.activation": "tanh"}
    if prepare == "no_baseline":
        write_study(folder, {"no_lrn": (NO_LRN, [20.0]), "tanh": (tanh, [20.0])})
    elif prepare == "no_two_columns":
        named = {"baseline": "two_columns"}
        write_study(folder, {"baseline": (named, [20.0]), "tanh": (tanh | named, [20.0])})
    elif prepare == "one_arm":
        write_study(folder, {"hog": ({}, [20.0, 22.0])})
    elif prepare == "unfinished":
        write_run(folder / "baseline" / "seed=0", 0.0, status="interrupted", error="Bang")
    elif prepare == "study":
        write_study(folder, TWO_ARMS)
    elif prepare == "alone":
        write_study(folder, {"baseline": ({}, [20.0])})
        write_run(folder / "no_lrn" / "seed=7", 20.0, seed=7, settings=NO_LRN)
    elif prepare == "failed":
        write_study(folder, {"no_lrn": (NO_LRN, [20.0])})
        write_run(folder / "baseline" / "seed=0", 0.0, status="failed", error="Bang")
    with pytest.raises(UserError, match=re.escape(expected)):
        compared(folder, **given)


def write_runs(folder: Path, settings: list[dict[str, Any]]) -> str:
    for number, changed in enumerate(settings):
        for seed in (0, 1):
            write_run(folder / f"2026-01-01_{number}{seed}", 20.0 + number, seed=seed, settings=changed)
    return str(folder / "*")


def test_any_runs_are_grouped_by_what_differs(tmp_path: Path) -> None:
    pattern = write_runs(
        tmp_path / "runs", [NO_LRN, {}, {"model.dropout": 0.0}, {"model.activation": "tanh"}]
    )
    (tmp_path / "runs" / "note.txt").write_text("not a run")
    groups = read_runs(pattern, None)
    assert groups.baseline == "baseline"
    assert "commonest" in groups.baseline_rule
    assert set(groups.arms) == {"baseline", "model.lrn=false", "model.dropout=0.0", "model.activation=tanh"}
    assert all(sorted(runs) == [0, 1] for runs in groups.arms.values())
    assert groups.arms["baseline"][0].top1_error == 21.0


def test_runs_that_diverged_did_not_start(tmp_path: Path) -> None:
    pattern = write_runs(tmp_path / "runs", [{}, NO_LRN, {"model.dropout": 0.0}])
    for seed in (2, 3):
        folder = tmp_path / "runs" / f"2026-03-0{seed}_00"
        write_run(folder, 0.0, seed=seed, settings=NO_LRN, status="failed", error="nan", diverged=True)
    arms = {arm.name: arm.start for arm in compared(runs=pattern).arms}
    assert (arms["model.lrn=false"].started, arms["model.lrn=false"].runs) == (2, 4)
    assert (arms["model.dropout=0.0"].started, arms["model.dropout=0.0"].runs) == (2, 2)


def test_an_arm_that_diverged_is_named_with_its_count(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", TWO_ARMS)
    for seed in range(3):
        folder = study / "tanh" / f"seed={seed}"
        write_run(folder, 0.0, seed=seed, status="failed", error="nan", diverged=True)
    excluded = {run.name: run.reason for run in compared(study).excluded}
    assert excluded["tanh"] == "0 of 3 started: all diverged"


def test_the_newer_of_two_equal_runs(tmp_path: Path) -> None:
    pattern = write_runs(tmp_path / "runs", [{}, NO_LRN])
    write_run(tmp_path / "runs" / "2026-02-01_00", 50.0)
    groups = read_runs(pattern, "model.lrn=true")
    assert groups.arms["baseline"][0].top1_error == 50.0
    (left,) = groups.excluded
    assert left.name.endswith("2026-01-01_00")
    assert "2026-02-01_00 has the same settings and seed, and is newer" in left.reason


def test_of_two_groups_the_baseline_must_be_given(tmp_path: Path) -> None:
    pattern = write_runs(tmp_path / "runs", [{}, NO_LRN])
    with pytest.raises(
        UserError, match=r"Which of these runs are the baseline\?.* differ in model.lrn \(true, false\)\.$"
    ):
        read_runs(pattern, None)
    with pytest.raises(UserError, match=r"baseline=model.lrn=maybe matches none of the 2 arms"):
        read_runs(pattern, "model.lrn=maybe")
    assert set(read_runs(pattern, "model.lrn=false").arms) == {"baseline", "model.lrn=true"}


def test_many_differing_keys_are_reported_briefly(tmp_path: Path) -> None:
    keys = ("model.lrn", "model.dropout", "model.activation", "model.pooling", "optimizer.lr", "model.name")
    pattern = write_runs(tmp_path / "runs", [{}, dict.fromkeys(keys, "other")])
    with pytest.raises(
        UserError, match=r"\(alexnet, other\).*and 2 more keys: a narrower pattern may help\.$"
    ):
        read_runs(pattern, None)


def test_runs_without_arms(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none of the 0 matching paths is a run folder"):
        read_runs(str(tmp_path / "nothing*"), None)
    pattern = write_runs(tmp_path / "runs", [{}])
    with pytest.raises(UserError, match="All completed runs have the same settings"):
        read_runs(pattern, None)


def test_this_projects_commits_are_known() -> None:
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("not a git checkout")
    assert same_code(Code(done.stdout.strip(), ""), Code(done.stdout.strip()[:12], ""))


def test_runs_that_did_not_learn_are_pointed_out(tmp_path: Path) -> None:
    """With ten classes the error at chance is 90 percent."""
    study = write_study(
        tmp_path / "study",
        {"baseline": ({}, [40.0, 41.0]), "no_lrn": ({"model.lrn": False}, [89.7, 60.0])},
    )
    (note,) = (note for note in notes(compared(study)) if "runs ended" in note and "of the" in note)
    assert note.startswith("1 of the 4 runs ended at chance (no_lrn seed=0): they did not start")
    learned = write_study(
        tmp_path / "learned", {"baseline": ({}, [40.0]), "no_lrn": ({"model.lrn": False}, [60.0])}
    )
    assert not any("at chance" in note for note in notes(compared(learned)))
