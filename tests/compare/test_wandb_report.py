"""`compare.py wandb=true` against a server on loopback that keeps what it is given."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_wandb import ENTITY, fake_wandb

from conftest import PROJECT
from fabricated_runs import write_study

KEY = "0" * 40


def compare(study: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROJECT / "src/compare.py"), f"study={study}", "wandb=true"],
        env=os.environ | {"HOME": str(study.parent)} | environment,
        cwd=study.parent,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two arms of three seeds; the baseline's runs are in W&B, the other's still offline."""
    arms: dict[str, Any] = {
        "baseline": ({}, [40.0, 41.0, 42.0]),
        "no_lrn": ({"model.lrn": False}, [42.0, 43.5, 43.8]),
    }
    folder = write_study(tmp_path / "study", arms)
    for run in folder.glob("*/seed=*"):
        config = yaml.safe_load((run / "config.yaml").read_text())
        config["logger"] = {"kind": "wandb", "project": "alexnet-lab", "entity": None}
        (run / "config.yaml").write_text(yaml.safe_dump(config))
        kind = "run" if run.parent.name == "baseline" else "offline-run"
        (run / "wandb" / f"{kind}-20261122_120000-{run.parent.name}-{run.name[-1]}-abcd").mkdir(parents=True)
    return folder


def test_the_report_holds_the_comparison_and_its_runs(study: Path) -> None:
    with fake_wandb() as server:
        done = compare(study, WANDB_BASE_URL=server.address, WANDB_API_KEY=KEY)
        assert done.returncode == 0, done.stderr
        report, view = server.reports
    assert (report["entityName"], report["projectName"]) == (ENTITY, "alexnet-lab")
    blocks = json.loads(report["spec"])["blocks"]
    text = "\n".join(block.get("content", "") for block in blocks)
    for expected in ("+2.10", "-0.13 to +4.33", "not resolved", "model.lrn=false", "43.10%", "pooled"):
        assert expected in text
    grids = [block["metadata"] for block in blocks if block["type"] == "panel-grid"]
    ids = {f"{arm}-{seed}-abcd" for arm in ("baseline", "no_lrn") for seed in range(3)}
    for grid in grids:
        (runs,) = grid["runSets"]
        (chosen,) = runs["filters"]["filters"]
        assert (chosen["key"]["name"], chosen["op"], set(chosen["value"])) == ("name", "IN", ids)
        assert runs["grouping"] == [{"section": "run", "name": "jobType"}]
    shown = json.dumps(grids)
    for metric in ("val/top1_error", "train/top1_error", "result.peak_memory_mb", "filters"):
        assert metric in shown
    assert f"/{ENTITY}/alexnet-lab/reports/" in done.stdout

    # a saved view of the same runs, by arm
    assert view["projectName"] == "alexnet-lab"
    (section,) = json.loads(view["spec"])["section"]["runSets"]
    (chosen,) = section["filters"]["filters"]
    assert (chosen["key"]["name"], chosen["op"], set(chosen["value"])) == ("name", "IN", ids)
    assert section["grouping"] == [{"section": "run", "name": "jobType"}]
    assert "val/top1_error" in json.dumps(json.loads(view["spec"])["section"]["panelBankConfig"])
    assert f"W&B view  {server.address}/{ENTITY}/alexnet-lab?nw=" in done.stdout
    assert "3 of the runs are not in W&B yet" in done.stdout
    assert f"wandb sync {study}/*/*/wandb/offline-run-*" in done.stdout


@pytest.mark.slow
def test_without_a_login_the_local_report_is_there(study: Path) -> None:
    done = compare(study)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: wandb=true: not logged in to W&B.")
    assert done.stderr.count("\n") == 1
    assert (study / "report.html").is_file()


@pytest.mark.slow
def test_runs_without_wandb(study: Path) -> None:
    (study / "no_lrn/seed=1/wandb/offline-run-20261122_120000-no_lrn-1-abcd").rmdir()
    done = compare(study, WANDB_API_KEY=KEY)
    assert done.returncode == 1
    assert "1 of these runs were made without W&B (logger=wandb)" in done.stderr
    assert str(study / "no_lrn/seed=1") in done.stderr


@pytest.mark.slow
def test_a_server_that_refuses(study: Path) -> None:
    done = compare(study, WANDB_BASE_URL="http://127.0.0.1:9", WANDB_API_KEY=KEY)
    assert done.returncode == 1
    assert "W&B did not accept the report" in done.stderr
    assert done.stderr.count("\n") == 1
