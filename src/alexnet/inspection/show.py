"""Layers on the terminal."""

from collections.abc import Sequence

from rich.table import Table

from alexnet.inspection.layers import LayerMeasures
from alexnet.progress import console


def print_layers(layers: Sequence[LayerMeasures]) -> None:
    """A line for each layer, in the order in which they run."""
    table = Table(box=None, padding=(0, 2), pad_edge=False)
    table.add_column("layer")
    for heading in ("units", "activation RMS", "weight norm", "dead units", "saturated"):
        table.add_column(heading, justify="right")
    for layer in layers:
        table.add_row(
            layer.layer,
            f"{layer.units:,}",
            f"{layer.activation_rms:.4g}",
            f"{layer.weight_norm:.4g}",
            _percent(layer.dead_fraction),
            _percent(layer.saturated_fraction),
        )
    console.print(table)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
