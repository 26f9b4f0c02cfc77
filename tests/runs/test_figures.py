"""curves.png is drawn from whatever there is."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.files import read_csv_columns
from alexnet.runs.figures import draw_curves
from alexnet.terminal import duration

FULL = "epoch,train/loss,train/top1_error,val/loss,val/top1_error,val/top5_error\n"


@pytest.mark.parametrize(
    "rows",
    ["1,2.3,90,2.2,85,40\n", "1,2.3,90,2.2,85,40\n2,1.9,70,,,\n3,1.5,60,1.4,55,10\n", "1,nan,90,,,\n"],
)
def test_draws(tmp_path: Path, rows: str) -> None:
    (tmp_path / "metrics.csv").write_text(FULL + rows)
    draw_curves(read_csv_columns(tmp_path / "metrics.csv"), 10, 2.3, "title", tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as image:
        assert image.width > 800
        assert np.asarray(image.convert("L")).std() > 5


def test_empty_cells(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("epoch,val/loss\n1,\n2,0.5\n")
    metrics = read_csv_columns(tmp_path / "metrics.csv")
    assert metrics["epoch"] == [1, 2]
    assert np.isnan(metrics["val/loss"][0])
    assert metrics["val/loss"][1] == 0.5


def test_duration() -> None:
    assert [duration(s) for s in (0.4, 61, 3600, 90_061)] == ["0:00", "1:01", "1:00:00", "25:01:01"]
