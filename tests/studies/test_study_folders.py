"""Which folder is a study, and which runs are its own."""

import shlex
from pathlib import Path

import pytest

from alexnet.errors import UserError
from alexnet.studies.folder import completed_runs, find_study, is_study, require_study, run_folders


def make_runs(folder: Path, *names: str, status: str = "completed") -> Path:
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "config.yaml").touch()
        (folder / name / "result.json").write_text(f'{{"status": "{status}"}}')
    return folder


def make_sweep(folder: Path, *jobs: str) -> Path:
    make_runs(folder, *jobs)
    (folder / "multirun.yaml").touch()
    return folder


def test_its_runs(tmp_path: Path) -> None:
    """Neither those of the pilot, nor those set aside, nor what is inside of a run."""
    study = make_runs(tmp_path, "baseline/seed=0", "tanh/seed=1", "other", "a/b/c")
    make_runs(study, "pilot/tanh/optimizer.lr=0.1/seed=1000", "tanh/seed=1.failed-1", "baseline/seed=0/again")
    make_runs(study, ".submitit/1", "a/b/d", status="interrupted")
    (study / "tanh" / "note.txt").touch()
    found = [str(path.relative_to(study)) for path in run_folders(study)]
    assert found == ["a/b/c", "a/b/d", "baseline/seed=0", "other", "tanh/seed=1"]
    assert completed_runs(study) == 4


def test_a_study_is_recorded_or_has_arms_and_seeds(tmp_path: Path) -> None:
    arms = make_runs(tmp_path / "arms", "baseline/seed=0")
    assert is_study(arms)
    (tmp_path / "record").mkdir()
    (tmp_path / "record/study.json").touch()
    assert require_study(tmp_path / "record") == tmp_path / "record"
    runs = make_runs(tmp_path / "runs", "seed=0", "a/b/seed=0")
    for other in (runs, tmp_path / "nothing", arms / "baseline"):
        assert not is_study(other)
        with pytest.raises(
            UserError, match=r"there is no such folder|not the folder of a study, which contains"
        ):
            require_study(other)


@pytest.mark.parametrize(
    "layout", [("baseline/seed=0", "tanh/seed=0"), ("seed=0", "seed=1"), ("a=1,seed=0", "a=2,seed=0")]
)
def test_the_folder_itself(tmp_path: Path, layout: tuple[str, ...]) -> None:
    for make in (make_runs, make_sweep):
        study = make(tmp_path / f"{make.__name__} [a]" / "study", *layout)
        assert find_study(study, "compare") == study


def test_the_only_one_in_a_folder(tmp_path: Path) -> None:
    study = tmp_path / "studies/innovations/width=1"
    make_runs(study, "baseline/seed=0", "tanh/seed=0", "pilot/a/b/seed=9")
    for folder in (tmp_path, tmp_path / "studies", tmp_path / "studies/innovations"):
        assert find_study(folder, "compare") == study
    sweep = make_sweep(tmp_path / "sweeps/seed_1234", "seed=0", "seed=1")
    assert find_study(tmp_path / "sweeps", "compare") == sweep  # not an arm of a study called sweeps


def test_several_are_listed_as_commands(tmp_path: Path) -> None:
    make_runs(tmp_path / "studies/a b/x=1,y=2", "baseline/seed=0")
    make_runs(tmp_path / "studies/it's", "baseline/seed=0", "tanh/seed=0")
    make_sweep(tmp_path / "studies/z", "hog/seed=0")
    with pytest.raises(UserError, match=r"contains 3 studies\. Choose one:") as refusal:
        find_study(tmp_path / "studies", "python src/compare.py")
    _, *lines = str(refusal.value).splitlines()
    expected = [tmp_path / f"studies/{name}" for name in ("a b/x=1,y=2", "it's", "z")]
    assert [shlex.split(line) for line in lines] == [
        ["python", "src/compare.py", f"study={path}"] for path in expected
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("studys", "study=/studys: there is no such folder. Did you mean study?"),
        ("empty", "study=/empty: there are no runs in it."),
        ("study/baseline/seed=0", "this is a single run, with nothing to compare it with."),
    ],
)
def test_what_is_none(tmp_path: Path, name: str, expected: str) -> None:
    make_runs(tmp_path / "study", "baseline/seed=0")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError) as refusal:
        find_study(tmp_path / name, "compare")
    assert expected in str(refusal.value).replace(str(tmp_path), "")
    assert len(str(refusal.value).splitlines()) == 1
