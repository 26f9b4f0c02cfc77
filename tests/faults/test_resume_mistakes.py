"""Resuming what cannot be resumed: one line, and the folder stays as it is."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from alexnet.runs.resume import LOCK
from conftest import SMALL, save_image
from entry_point import refused, run_train
from survival import differences, outcome


def listing(folder: Path) -> dict[str, bytes | None]:
    """All that is in a folder."""
    paths = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in paths}


@pytest.fixture(scope="module")
def finished(synthetic: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has ended."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert run_train(*SMALL, *synthetic, "logger=csv", f"run_folder={folder}").status == 0
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """The same run, killed before it wrote its result."""
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    (folder / "result.json").unlink()
    return folder


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["model.lrn=false"], "model.lrn is True in this run and cannot be changed."),
        (["seed=1"], "seed is 0 in this run"),
        (["data.batch_size=10"], "data.batch_size is 20 in this run"),
        (["model=alexnet_paper"], "model."),
        (["run_folder=elsewhere"], "a run is resumed in its own folder. Leave run_folder out."),
        (["model.lnr=false"], "Did you mean lrn?"),
    ],
)
def test_of_another_configuration(run: Path, overrides: list[str], expected: str) -> None:
    before = listing(run)
    line = refused(f"resume={run}", *overrides)
    assert expected in line
    assert listing(run) == before


def test_as_a_sweep(run: Path) -> None:
    before = listing(run)
    expected = f"Error: resume={run}: resumes a single run, not a sweep. Leave -m out."
    assert refused("-m", f"resume={run}", "trainer.max_epochs=3,4") == expected
    assert listing(run) == before


def test_ended(finished: Path) -> None:
    before = listing(finished)
    expected = f"Error: {finished} has already been trained for all 2 epochs. For more: trainer.max_epochs=4."
    assert refused(f"resume={finished}") == expected
    assert listing(finished) == before


def test_no_run(tmp_path: Path, synthetic: tuple[str, ...]) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/letter.txt").write_text("Dear ...")
    before = listing(tmp_path)
    for folder, reason in ((tmp_path / "other", "No such file"), (tmp_path / "none", "No such file")):
        assert refused(f"resume={folder}").startswith(
            f"Error: {folder} is not a run folder: config.yaml in it: {reason}"
        )
    assert "Not a directory" in refused(f"resume={tmp_path}/other/letter.txt")
    folder = tmp_path / "other"
    assert f"{folder}: contains no unfinished run" in refused(
        *SMALL, *synthetic, "resume=auto", f"run_folder={folder}"
    )
    assert listing(tmp_path) == before


def test_trained_elsewhere(run: Path) -> None:
    """By another process, at this moment."""
    before = listing(run)
    with FileLock(run / LOCK):
        assert refused(f"resume={run}") == f"Error: {run}: another process is training this run. Wait for it."
    assert listing(run) == before


def test_other_images(image_tree: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    small = (*SMALL, "data=folder", f"data.root={image_tree}", "data.batch_size=4", "logger=csv")
    assert run_train(*small, f"data.cache={tmp_path / 'cache'}", f"run_folder={folder}").status == 0
    before = listing(folder)
    save_image(image_tree / "train/cat/new.jpg", np.random.default_rng(5))
    line = refused(f"resume={folder}", "trainer.max_epochs=3")
    assert line.startswith(f"Error: {folder}: this run was trained on images that differ from those now in")
    assert str(image_tree) in line
    assert listing(folder) == before


def test_without_a_checkpoint(run: Path, finished: Path) -> None:
    """It was killed in its first epoch: it begins again, and prints so."""
    shutil.rmtree(run / "checkpoints")
    done = run_train(f"resume={run}")
    assert done.status == 0
    assert "Resuming  from the beginning: there is no last.ckpt" in done.out
    assert differences(outcome(run), outcome(finished)) == []


@pytest.mark.parametrize(
    "left",
    [
        pytest.param([], marks=pytest.mark.slow),
        pytest.param([LOCK], marks=pytest.mark.slow),
        [LOCK, ".reserve", "train.log", ".config.yaml.partial"],
    ],
)
def test_killed_before_it_had_begun(
    synthetic: tuple[str, ...], finished: Path, tmp_path: Path, left: list[str]
) -> None:
    """The folder is made, config.yaml not yet written: resume=auto takes it for this run's."""
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    for name in left:
        (folder / name).touch()
    assert run_train(*SMALL, *synthetic, "logger=csv", "resume=auto", f"run_folder={folder}").status == 0
    assert differences(outcome(folder), outcome(finished)) == []
