"""`python src/benchmark.py` and benchmarks/step.py as a user runs them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import PROJECT, Train

SMALL = (
    *("model.width=0.0625", "model.fc_units=[64,64]", "data.batch_size=4", "trainer.accelerator=cpu"),
    *("rounds=2", "steps=1", "matrix=64"),
)


def cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


@pytest.mark.slow  # its parts have tests of their own
def test_a_small_run(train: Train) -> None:
    """Tables on the terminal; the same figures, the configuration and pictures in the folder."""
    variants = "variants=[ours,stock_float32]"
    scaling = ("scaling.batch_sizes=[2,3]", "scaling.data_sizes=[30]")
    done = train(*SMALL, "model.columns=2", variants, *scaling, "classes=20", program="benchmark.py")
    assert (done.status, done.err) == (0, "")
    (folder,) = (done.outputs / "benchmarks").iterdir()
    assert done.out.splitlines()[-1] == f"Report    {folder}"
    assert "alexnet, 2 columns, width 0.0625, batch 4" in done.out.splitlines()[0]
    assert (folder / "table.txt").read_text().split("\n\n", 1)[1] in done.out

    result = json.loads((folder / "result.json").read_text())
    assert yaml.safe_load((folder / "config.yaml").read_text()) == result["config"]
    assert result["config"]["model"]["columns"] == 2
    assert result["machine"]["device"] == "cpu"
    ours, stock = result["programs"]
    assert stock["ratio"] == 1
    assert ours["ratio"] > 0
    for name, variant in {"this program": ours, "stock modules, float32": stock}.items():
        row = next(cells(line) for line in done.out.splitlines() if line.startswith(name))
        rate = variant["images_per_second"]
        assert row[1:4] == [f"{rate[key]:,.1f}" for key in ("median", "least", "most")]
        assert 0 < rate["least"] <= rate["median"] <= rate["most"]
        assert len(variant["rounds"]) == 2
        assert variant["peak_bytes"] > 0
    assert sum(result["parts"].values()) == pytest.approx(1)
    assert {"convolutions, forward", "convolutions, backward", "LRN", "pooling"} < set(result["parts"])
    assert [point["size"] for point in result["by_batch_size"]] == [2, 3]
    assert [point["size"] for point in result["by_data_size"]] == [30]
    assert f"in a batch of 3, against one of 2: {result['cost_of_an_image']:.2f}" in done.out
    pictures = {picture.name: picture.read_bytes()[:4] for picture in (folder / "figures").iterdir()}
    assert pictures == dict.fromkeys(("rates.png", "profile.png", "scaling.png"), b"\x89PNG")


def test_mistakes_in_one_line(train: Train) -> None:
    for arguments, expected in (
        (("rounds=0",), "rounds=0: expected a whole number from 1 up."),
        (("variants=[ours,stock]",), "Choices: ours, ours_compiled,"),
        (("scaling.batch_sizes=[4,2]",), "expected increasing numbers of images, from 1 up, or []."),
    ):
        done = train(*arguments, program="benchmark.py")
        assert (done.status, done.out) == (1, ""), arguments
        assert expected in done.err
        assert len(done.err.splitlines()) == 1
        assert not done.outputs.exists()


def test_help_does_not_wait_for_torch() -> None:
    program = str(PROJECT / "src/benchmark.py")
    code = (
        "import contextlib, runpy, sys\n"
        f"sys.argv = [{program!r}, '--help']\n"
        "with contextlib.suppress(SystemExit):\n"
        "    runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "sys.exit(bool({'torch', 'lightning'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "python src/benchmark.py model.columns=2" in done.stdout


@pytest.mark.slow
def test_one_column_and_two(tmp_path: Path) -> None:
    """With every variant, what is compiled as well."""
    command = [sys.executable, str(PROJECT / "benchmarks/step.py"), *SMALL, f"outputs={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    results = [json.loads(file.read_text()) for file in sorted(tmp_path.glob("benchmarks/*/result.json"))]
    assert [result["config"]["model"]["columns"] for result in results] == [1, 2]
    assert [result["config"]["data"]["batch_size"] for result in results] == [4, 4]
    assert done.stdout.count("this program, compiled whole") == 2
    assert not any(result["by_batch_size"] + result["by_data_size"] for result in results)
    mistaken = subprocess.run([*command, "rounds=0"], capture_output=True, text=True, check=False)
    assert (mistaken.returncode, len(mistaken.stderr.splitlines())) == (1, 1)
