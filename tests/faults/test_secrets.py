"""What is in the environment, or in W&B's key, never reaches a run folder, the terminal or a report."""

import os
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest

from conftest import SMALL, Train
from kill_at_random import start_warm

SECRET = "5ec7e7a1" * 5  # of the form that W&B takes for a key
NAMES = ("WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "GITHUB_TOKEN", "KAGGLE_KEY", "MY_PASSWORD")
ENVIRONMENT = dict.fromkeys(NAMES, SECRET)


def files_with_secret(folder: Path) -> list[Path]:
    """List the files that hold the secret."""
    return [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def with_secrets(home: Path) -> None:
    """Where a user is, and what the environment holds."""
    os.chdir(home)
    os.environ.update(ENVIRONMENT, HOME=str(home), NETRC=str(home / "none"))


@pytest.mark.slow
def test_secrets_stay_where_they_are(synthetic: tuple[str, ...], tmp_path: Path) -> None:
    """With W&B, offline, in a checkout whose remote has a password, as a clone by token leaves it."""
    if shutil.which("git"):
        remote = f"https://user:{SECRET}@localhost/group/project.git"
        for command in (["init", "-q"], ["remote", "add", "origin", remote]):
            subprocess.run(["git", *command], cwd=tmp_path, check=True)
    command = [*SMALL, *synthetic, "trainer.max_epochs=1", "logger.mode=offline"]
    process = start_warm(
        [*command, f"run_folder={tmp_path / 'run'}"], tmp_path / "log", partial(with_secrets, tmp_path)
    )
    process.join(120)
    assert process.exitcode == 0, (tmp_path / "log").read_text()
    assert list(tmp_path.glob("run/wandb/offline-run-*/*.wandb"))
    assert files_with_secret(tmp_path / "run") == []
    assert SECRET not in (tmp_path / "log").read_text()


@pytest.mark.slow
def test_nor_do_they_reach_a_report(train: Train, synthetic: tuple[str, ...], tmp_path: Path) -> None:
    """Nor does a run that fails, or is refused, print them."""
    command = (*SMALL, *synthetic, "trainer.max_epochs=1", "logger=csv")
    for arm in ("true", "false"):
        assert train(*command, f"model.lrn={arm}", environment=ENVIRONMENT).status == 0
    for wrong in ("optimizer.lr=1e30", "data.root=/nowhere", "resume=/nowhere", "model.lnr=1"):
        failed = train(*command, "trainer.max_epochs=2", wrong, environment=ENVIRONMENT)
        assert failed.status == 1
        assert SECRET not in failed.out + failed.err
    runs = f"runs={tmp_path}/outputs/runs/*"
    report = (runs, "baseline=model.lrn=true", f"out={tmp_path / 'report'}")
    compared = train(*report, program="compare.py", environment=ENVIRONMENT)
    assert compared.status == 0, compared.err
    assert (tmp_path / "report/report.html").exists()
    assert SECRET not in compared.out + compared.err
    assert files_with_secret(tmp_path / "report") == files_with_secret(tmp_path / "outputs") == []
