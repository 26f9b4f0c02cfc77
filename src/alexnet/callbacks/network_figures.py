"""Figures of the network itself: its columns as training starts, its filters as it ends."""

import logging
from typing import Any

from lightning import Callback, LightningModule, Trainer
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor

from alexnet.distributed.column_summary import Column, summarize_columns
from alexnet.runs.column_figure import draw_columns
from alexnet.runs.figures import draw_filters
from alexnet.runs.folder import RunFolder
from alexnet.terminal import format_bytes

log = logging.getLogger(__name__)


class NetworkFigures(Callback):
    """Draw columns.png if each device holds a column, and filters.png of the first layer.

    `folder` is None on all ranks but the first, which writes; reading a divided network takes all ranks.
    """

    def __init__(self, folder: RunFolder | None, name: str) -> None:
        self.folder, self.name = folder, name

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        mesh = pl_module.device_mesh
        if mesh is not None and mesh["tensor_parallel"].size() > 1:
            self._draw_columns(trainer, pl_module, mesh)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        network: Any = pl_module.network
        filters = network.stem.weight.detach()
        if isinstance(filters, DTensor):
            filters = filters.full_tensor()  # on every rank
        if self.folder is not None:
            columns = network.config.columns
            draw_filters(filters.float().cpu().numpy(), columns, self.folder.figures / "filters.png")

    def _draw_columns(self, trainer: Trainer, pl_module: LightningModule, mesh: DeviceMesh) -> None:
        network: Any = pl_module.network
        with trainer.precision_plugin.forward_context():
            columns = summarize_columns(network, mesh["tensor_parallel"])  # on every rank
        if self.folder is not None:
            copies = mesh["data_parallel"].size()
            _print_placement(columns, copies)
            title = f"{self.name}, {mesh.size()} devices"
            draw_columns(columns, title, self.folder.figures / "columns.png", copies)


def _print_placement(columns: list[Column], copies: int) -> None:
    """Print what a device holds and sends, where each has a column, or `copies` of them share one."""
    held = sum(layer.parameters for layer in columns[0])  # of a shared column the first device has the most
    sent = format_bytes(sum(layer.sent for layer in columns[0]))
    shared = f"each column shared by {copies}: up to" if copies > 1 else "a column on each:"
    log.info(
        f"Placement {len(columns) * copies} devices, {shared} {held:,} parameters per device,"
        f" {sent} per image sent to the other column in the forward pass"
    )
