"""What goes on in the layers over the epochs, as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatter, MaxNLocator

from alexnet.inspection.neighbours import evenly
from alexnet.run.figures import save

NAMED = 16  # layers in the legend; of more some, evenly
PANELS = {
    "activation_rms": "activation, root mean square",
    "gradient_norm": "gradient of the weight, norm",
    "weight_norm": "weight, norm",
    "dead_fraction": "dead units, percent",
    "saturated_fraction": "saturated outputs, percent",
}


class _Plain(LogFormatter):
    """0.2 for what would be 2e-01."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def draw_layers(rows: Sequence[dict[str, Any]], title: str, path: Path) -> None:
    """A panel for each measure, a line for each layer from the first, dark, to the last; a PNG at `path`.

    A row has `epoch` (0: before training), `layer` and the keys of `PANELS`, None where there is
    no value. A measure that no layer has gets no panel.
    """
    layers = list(dict.fromkeys(str(row["layer"]) for row in rows))
    colors = mpl.colormaps["turbo"](np.linspace(0.04, 0.92, len(layers)))
    shown = {key: name for key, name in PANELS.items() if any(row[key] is not None for row in rows)}
    across = 2
    figure = Figure(figsize=(10, 0.7 + 2.7 * -(-len(shown) // across)), layout="constrained")
    panels = figure.subplots(-(-len(shown) // across), across, squeeze=False).flatten().tolist()
    for axes, (key, name) in zip(panels, shown.items(), strict=False):
        _draw_panel(axes, rows, key, dict(zip(layers, colors, strict=True)))
        axes.set_title(name, fontsize=10, loc="left")
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    named = [(layers[place], colors[place]) for place in evenly(len(layers), NAMED)]
    lines = [Line2D([], [], color=color, label=layer, linewidth=2) for layer, color in named]
    figure.legend(handles=lines, loc="outside right center", frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=10)
    save(figure, path)


def _draw_panel(axes: Axes, rows: Sequence[dict[str, Any]], key: str, colors: dict[str, Any]) -> None:
    share = key.endswith("_fraction")
    for layer, color in colors.items():
        points = [(row["epoch"], row[key]) for row in rows if row["layer"] == layer and row[key] is not None]
        if points:
            epochs, values = np.array(points, float).T
            shown = 100 * values if share else np.where(values > 0, values, np.nan)
            axes.plot(epochs, shown, color=color, marker="o", markersize=2.5, linewidth=1.4)
    if share:
        axes.set_ylim(-2, max(10.0, axes.get_ylim()[1]))
    else:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(_Plain())
        axes.yaxis.set_minor_formatter(_Plain(minor_thresholds=(1, 0.4)))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
