"""Folders of studies and sweeps: which of them there are, and their runs."""

import re
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from alexnet.errors import UserError, suggest
from alexnet.runs.resume import status
from alexnet.studies.record import ARCHIVE, FILE, PILOT

MULTIRUN = "multirun.yaml"  # Hydra's sweeper writes the configuration of the whole command to it
SEED = re.compile(r"seed=(-?\d+)")
SET_ASIDE = re.compile(r".*\.failed-\d+")  # by a later start, see sweeps/job.py
DEPTH = 6  # folders from outputs/ to a run: studies/<name>/<settings>/<arm>/seed=<n>


def is_run(folder: Path) -> bool:
    """Return whether this is a run's folder, finished or not."""
    return any((folder / name).is_file() for name in ("config.yaml", "result.json"))


def run_folders(folder: Path, depth: int = DEPTH) -> list[Path]:
    """Return the folders of all runs below a folder, sorted, without pilots and runs that were set aside."""
    return sorted(_runs_below(folder, depth))


def _runs_below(folder: Path, depth: int) -> Iterator[Path]:
    try:
        paths = list(folder.iterdir())
    except OSError:  # it is not ours to read
        return
    for path in paths:
        if path.name == PILOT or path.name.startswith(".") or SET_ASIDE.fullmatch(path.name):
            continue
        if path.is_dir():
            if is_run(path):
                yield path
            elif depth > 1:
                yield from _runs_below(path, depth - 1)


def completed_runs(folder: Path) -> int:
    """Return the number of completed runs below a folder."""
    return sum(status(path) == "completed" for path in run_folders(folder))


def arm_and_seed(run: Path, study: Path) -> tuple[str, int] | None:
    """Return what the folder of a run says in <study>/<arm>/seed=<n>/; None for another layout."""
    seed = SEED.fullmatch(run.name)
    return (run.parent.name, int(seed[1])) if seed and run.parent.parent == study else None


def is_study(folder: Path) -> bool:
    """Return whether a folder holds a study: study.json, or <arm>/seed=<n>/ of one that has none."""
    if (folder / FILE).is_file():
        return True
    return folder.is_dir() and any(arm_and_seed(run, folder) for run in run_folders(folder, 2))


def is_archive(folder: Path) -> bool:
    """Return whether a folder holds the results of a study without its runs."""
    return (folder / ARCHIVE).is_file() and not run_folders(folder)


def require_study(folder: Path) -> Path:
    """Return the folder of a study. Raises `UserError` for any other."""
    if not folder.is_dir():
        raise UserError(f"study={folder}: there is no such folder.{_nearest(folder)}")
    if not is_study(folder):
        raise UserError(
            f"study={folder}: not the folder of a study, which contains {FILE} or <arm>/seed=<n>/."
            " A study prints its folder in its last line."
        )
    return folder


def find_study(folder: Path, command: str) -> Path:
    """Return the folder of the one study or sweep in a folder, which may be this folder itself.

    Raises `UserError` if there is none; if there are several, with a line for each: `command`, which takes
    study=<folder>.
    """
    if not folder.is_dir():
        raise UserError(f"study={folder}: there is no such folder.{_nearest(folder)}")
    if is_run(folder):
        raise UserError(
            f"study={folder}: this is a single run, with nothing to compare it with. Give the folder of"
            f" a sweep or study, or several runs: runs='{folder.parent}/*'"
        )
    if _has_record(folder) or is_archive(folder):
        return folder
    archives = {path.parent for path in folder.glob(f"*/{ARCHIVE}") if is_archive(path.parent)}
    studies = {_study_of(run, folder) for run in run_folders(folder)} | archives
    if not studies:
        raise UserError(f"study={folder}: there are no runs in it.")
    others = sorted(studies - {folder})
    if len(studies) == 1 or (folder in studies and not any(map(_has_record, others))):
        return folder if folder in studies else others[0]
    lines = [f"  {command} study={quote(str(study))}" for study in others]
    raise UserError("\n".join([f"study={folder}: contains {len(others)} studies. Choose one:", *lines]))


def _has_record(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (FILE, MULTIRUN))


def _study_of(run: Path, top: Path) -> Path:
    """Return the study or sweep that a run below `top` belongs to: the nearest folder with a record.

    Without any, it is <study>/<arm>/seed=<n>/ or <study>/<run>/.
    """
    above = [folder for folder in run.parents if folder == top or folder.is_relative_to(top)]
    recorded = [folder for folder in above if _has_record(folder)]
    by_layout = above[1] if SEED.fullmatch(run.name) and len(above) > 1 else above[0]
    return recorded[0] if recorded else by_layout


def _nearest(folder: Path) -> str:
    siblings = folder.parent.iterdir() if folder.parent.is_dir() else ()
    return suggest(folder.name, (path.name for path in siblings))
