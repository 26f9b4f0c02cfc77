"""benchmarks/end_to_end.py trains in each of its ways."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import PROJECT, save_image


@pytest.mark.slow  # a benchmark, which no run depends on
def test_each_way_has_its_line(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for split, count in (("train", 10), ("val", 1)):
        for name in ("cat", "dog"):
            for index in range(count):
                save_image(tmp_path / "images" / split / name / f"{index}.jpg", rng)
    program = [sys.executable, str(PROJECT / "benchmarks/end_to_end.py"), str(tmp_path / "images")]
    options = ["--rounds=2", "--steps=2", f"--scratch={tmp_path}"]
    small = ["model.width=0.0625", "data.batch_size=4", "trainer.accelerator=cpu", "data.workers=0"]
    done = subprocess.run(
        [*program, *options, *small], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "20 images, batches of 4, 2 steps a round, cpu, " in done.stdout
    table = done.stdout.splitlines()[-4:]
    spread = r"[\d,.]+ \([\d,.]+-[\d,.]+\)"
    for name, line in zip(("pack", "memory", "reference"), table[1:], strict=True):
        assert re.match(rf"{name} +{spread} +{spread} +[\d,.]+$", line), line
    assert "1.000 (1.000-1.000)" in table[1]
