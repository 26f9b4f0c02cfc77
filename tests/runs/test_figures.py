"""curves.png is drawn from whatever there is."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from alexnet.files import read_csv_columns
from alexnet.runs import figures
from alexnet.runs.figures import draw_curves, draw_filters, draw_layers
from alexnet.terminal import duration
from pictures import watch

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


def metrics(epochs: int) -> dict[str, list[float]]:
    """Errors that fall from 100 percent to 0."""
    numbers = np.arange(1, epochs + 1)
    left = 1 - np.linspace(0, 1, epochs)
    losses = {"train/loss": 2.5 * left, "val/loss": 2.4 * left}
    errors = {"train/top1_error": 100 * left, "val/top1_error": 90 * left, "val/top5_error": 0 * left}
    return {name: column.tolist() for name, column in {"epoch": numbers, **losses, **errors}.items()}


def layer_rows(layers: int, epochs: int) -> list[dict[str, Any]]:
    return [
        {
            **{"epoch": epoch, "layer": f"layer1.{number}.conv", "gradient_norm": 1e-3 if epoch else None},
            **{"activation_rms": 0.1 * 1.5**number, "weight_norm": 5.0 + number},
            **{"dead_fraction": number / layers, "saturated_fraction": 0.5},
        }
        for epoch in range(epochs + 1)
        for number in range(layers)
    ]


@pytest.mark.parametrize("epochs", [1, 90])
def test_they_can_be_read(epochs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = watch(monkeypatch, figures)
    title = "a_model_with_a_long_name on a_data_set_with_a_long_name"
    draw_curves(metrics(epochs), 10, 2.3, title, Path("curves.png"))
    draw_layers(layer_rows(8, epochs), title, Path("layers.png"))
    draw_layers(layer_rows(54, epochs), title, Path("many_layers.png"))
    for columns in (1, 2):
        draw_filters(np.ones((96, 3, 11, 11), np.float32), columns, Path(f"filters_{columns}.png"))
    names = ("curves", "layers", "many_layers", "filters_1", "filters_2")
    assert found == {name: [] for name in names}


def test_points_at_the_edge_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[Figure] = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, path: saved.append(figure))
    draw_curves(metrics(1), 10, 2.3, "title", Path("curves.png"))
    _, errors = saved[0].axes
    assert errors.get_ylim() == (0, 100)
    at_edge = {line.get_label(): line for line in errors.lines if line.get_ydata()[0] in (0, 100)}
    assert set(at_edge) == {"training", "validation, top-5 error"}
    assert not any(line.get_clip_on() for line in at_edge.values())


def test_empty_cells(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("epoch,val/loss\n1,\n2,0.5\n")
    metrics = read_csv_columns(tmp_path / "metrics.csv")
    assert metrics["epoch"] == [1, 2]
    assert np.isnan(metrics["val/loss"][0])
    assert metrics["val/loss"][1] == 0.5


def test_duration() -> None:
    assert [duration(s) for s in (0.4, 61, 3600, 90_061)] == ["0:00", "1:01", "1:00:00", "25:01:01"]


def test_a_live_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock of our own: not drawn for each change, nor twice, but always complete in the end."""
    now, data, drawn = [0.0], [0], list[int]()
    monkeypatch.setattr(figures, "time", SimpleNamespace(monotonic=lambda: now[0]))
    live = figures.LiveFigure(lambda: drawn.append(data[0]))
    for now[0], data[0] in ((10.0, 1), (31.0, 2), (40.0, 3), (60.0, 4), (61.0, 5), (62.0, 6)):
        live.update()
    assert drawn == [2, 5]
    live.finish()
    live.finish()
    assert drawn == [2, 5, 6]
