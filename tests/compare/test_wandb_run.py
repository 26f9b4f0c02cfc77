"""`compare.py wandb_run=true`: the comparison as an offline run, read back from its files."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import wandb
import yaml

from alexnet.compare.comparison import Comparison, compare
from alexnet.compare.report import write_report
from alexnet.compare.wandb_run import arms_table, effects_table, track
from alexnet.config import CompareConfig
from alexnet.errors import UserError
from fabricated_runs import FACTORS, full_factorial, write_factorial, write_run, write_study
from wandb_file import WandbRun, read_wandb_file

ARMS: dict[str, Any] = {
    "baseline": ({}, [40.0, 41.0, 42.0]),
    "no_lrn": ({"model.lrn": False}, [42.0, 43.5, 43.8]),
    "tanh": ({"model.activation": "tanh"}, [50.0, 52.0, 90.0]),  # the last has not started
}


def tracked(run: Path) -> None:
    """Give a run's folder what W&B leaves there."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["logger"] = {"kind": "wandb", "project": "a-project", "entity": "a-team", "group": "a-study"}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    identity = f"{run.parent.name}-{run.name[-1]}-abcd"
    (run / "wandb" / f"offline-run-20261122_120000-{identity}").mkdir(parents=True)


def compare_config(study: Path) -> CompareConfig:
    return CompareConfig(
        study=str(study), runs=None, baseline=None, out=None, training_error=25, confidence=0.95, allow=[],
        wandb=False, wandb_run=True,
    )  # fmt: skip


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = write_study(tmp_path / "innovations", ARMS)
    for run in folder.glob("*/seed=*"):
        tracked(run)
    return folder


def read_back(study: Path) -> tuple[WandbRun, Path]:
    """The newest offline run in a study's folder, and its files, which are complete once W&B has ended."""
    wandb.teardown()
    newest = sorted((study / "wandb").glob("offline-run-*"))[-1]
    (file,) = newest.glob("run-*.wandb")
    return read_wandb_file(file), newest / "files"


def logged(run: WandbRun) -> dict[str, Any]:
    """What was logged, in one step, with dotted keys."""
    (row,) = run.history
    return row


def read_table(run: WandbRun, files: Path, name: str) -> list[dict[str, Any]]:
    content = json.loads((files / logged(run)[f"comparison/{name}.path"]).read_text())
    return [dict(zip(content["columns"], cells, strict=True)) for cells in content["data"]]


def test_the_comparison_is_a_run(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables, charts, settings and place of an offline run; a second comparison is the same run."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    config = compare_config(study)
    comparison = compare(config)
    write_report(comparison, config)
    address = track(comparison, study)
    assert address.startswith(f"offline; to upload: wandb sync {study}/wandb/offline-run-")
    run, files = read_back(study)
    about = run.about
    assert (about.project, about.entity, about.run_group) == ("a-project", "a-team", "a-study")
    assert (about.job_type, about.display_name) == ("comparison", comparison.title)
    assert run.exit_code == 0

    assert run.config["model"] == {  # without lrn and activation, which arms change
        **{"name": "alexnet", "dropout": 0.5, "pooling": "overlapping", "batch_norm": False},
        "filters": [96, 256, 384, 384, 256],
    }
    assert run.config["comparison"]["baseline"] == "baseline"
    assert set(run.config["comparison"]["arms"]) == {"no_lrn", "tanh"}

    arms = {row["arm"]: row for row in read_table(run, files, "arms")}
    baseline = arms["baseline"]
    assert (baseline["n"], baseline["started"], baseline["top1_error"]) == (3, 3, 41.0)
    # s = 1, n = 3: the standard error is 1 / sqrt(3); 97.5% of t with 2 degrees of freedom is below 4.3027
    assert baseline["top1_standard_error"] == pytest.approx(0.57735, abs=1e-5)
    assert baseline["top1_low"] == pytest.approx(41 - 4.3027 * 0.57735, abs=1e-4)
    assert baseline["top1_high"] == pytest.approx(41 + 4.3027 * 0.57735, abs=1e-4)
    tanh = arms["tanh"]
    assert (tanh["runs"], tanh["started"], tanh["n"], tanh["top1_error"]) == (3, 2, 2, 51.0)
    assert tanh["start_rate"] == pytest.approx(2 / 3)
    assert tanh["start_rate_low"] == pytest.approx(0.0943, abs=1e-4)  # Clopper and Pearson, 2 of 3
    assert tanh["changes"] == "model.activation=tanh"
    assert run.summary["arms"]["no_lrn"]["n"] == 3

    effects = {row["of"]: row for row in read_table(run, files, "effects")}
    assert effects["no_lrn"]["difference"] == pytest.approx(2.1)
    assert effects["no_lrn"]["low"] < 2.1 < effects["no_lrn"]["high"]
    rows = read_table(run, files, "runs")
    assert {(row["arm"], row["seed"]): row["id"] for row in rows}["tanh", 2] == "tanh-2-abcd"
    assert len(rows) == 9

    paths = {key: files / path for key, path in logged(run).items() if re.fullmatch(r"charts/\w+\.path", key)}
    assert {f"charts/{name}.path" for name in ("effects", "learning_curves", "cost")} <= set(paths)
    for key, path in paths.items():
        drawn = study / f"{key.removeprefix('charts/').removesuffix('.path')}.png"
        assert path.read_bytes() == drawn.read_bytes()


@pytest.mark.slow
def test_compared_again(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With another seed, the same run has the new numbers."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    identities, counts = [], []
    for _ in range(2):
        comparison = compare(compare_config(study))
        write_report(comparison, compare_config(study))
        track(comparison, study)
        run, files = read_back(study)
        identities.append(run.about.run_id)
        counts += [row["n"] for row in read_table(run, files, "arms") if row["arm"] == "no_lrn"]
        if len(counts) == 1:
            write_run(study / "no_lrn/seed=3", 43.0, seed=3, settings={"model.lrn": False}, top5=5.0)
            tracked(study / "no_lrn/seed=3")
    assert identities[0] == identities[1]
    assert counts == [3, 4]


def test_factors_of_a_factorial(tmp_path: Path) -> None:
    """Main effects and interactions, from balanced cells: differences of means."""
    factors = list(FACTORS)[:2]
    errors = {"baseline": [40.0, 41.0], "no_lrn": [43.0, 43.5], "no_dropout": [42.0, 42.2]}
    cells = full_factorial(factors)
    errors["no_lrn+no_dropout"] = [46.0, 46.6]
    folder = write_factorial(tmp_path / "factorial", cells, errors, factors)
    comparison: Comparison = compare(compare_config(folder))
    columns, rows = effects_table(comparison)
    found = {row[0]: dict(zip(columns, row, strict=True)) for row in rows}
    with_lrn, without = (40 + 41 + 42 + 42.2) / 4, (43 + 43.5 + 46 + 46.6) / 4
    assert found["no_lrn"]["difference"] == pytest.approx(without - with_lrn)
    assert set(found) == {"no_lrn", "no_dropout", "no_lrn:no_dropout"}
    assert arms_table(comparison)[1][0][0] == "baseline"


def test_runs_that_are_not_in_wandb(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "study", ARMS)
    with pytest.raises(UserError, match=r"9 of these runs were made without W&B \(logger=wandb\)"):
        track(compare(compare_config(folder)), folder)
    assert not (folder / "wandb").exists()
