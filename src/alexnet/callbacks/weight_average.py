"""The exponential moving average of the weights."""

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.tensor import DTensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from alexnet.optim.optimizers import contiguous
from alexnet.runs.checkpoint_io import AVERAGE


class WeightAverage(Callback):
    """After each step, average <- decay * average + (1 - decay) * weights, buffers included.

    In the first steps the decay is smaller, (1 + steps) / (10 + steps), so that the average is not of initial
    weights (TensorFlow's ExponentialMovingAverage with `num_updates`). From validation to the next step the
    network has the averages: they are validated, measured and drawn, and best.ckpt holds them. last.ckpt
    holds both, the weights to resume from and the averages, which everything else reads. Training does not
    change by a bit.

    Lightning's WeightAveraging leaves the averages in a run's last weights, so that it cannot be trained
    longer, and copies the whole module, which a divided network does not allow. Here each device averages the
    weights that it holds, under any strategy.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self._shown = False  # whether the network has the averages, and `_average` its own weights
        self._average: list[Tensor] = []
        self._weights: list[Tensor] = []
        self._loaded: dict[str, Any] | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        state: dict[str, Tensor] = pl_module.state_dict()
        self._weights = [
            (tensor.to_local() if isinstance(tensor, DTensor) else tensor).detach()
            for tensor in state.values()
        ]
        self._average = [weight.clone() for weight in self._weights]
        if self._loaded is not None:
            # into the network, which may be divided, and back
            set_model_state_dict(pl_module, self._loaded, options=StateDictOptions(full_state_dict=True))
            self._swap()
            self._loaded = None

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._show(False)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.steps += 1
        update = get_ema_multi_avg_fn(min(self.decay, (1 + self.steps) / (10 + self.steps)))
        pairs = list(zip(self._average, self._weights, strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        update([average for average, _ in floats], [weight for _, weight in floats], self.steps)
        for average, weight in pairs:
            if not average.is_floating_point():  # the number of batches of a batch normalization
                average.copy_(weight)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._show(True)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._show(True)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._swap()
        other = {
            name: value.clone() for name, value in trainer.strategy.lightning_module_state_dict().items()
        }
        self._swap()
        own = checkpoint["state_dict"]
        checkpoint["state_dict"], average = (other, own) if self._shown else (own, other)
        checkpoint[AVERAGE] = contiguous(average)

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._loaded = checkpoint.get(AVERAGE)  # not there if the run was begun without

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.steps = state_dict["steps"]

    def _show(self, average: bool) -> None:
        if average != self._shown:
            self._swap()
            self._shown = average

    @torch.no_grad()
    def _swap(self) -> None:
        """Exchange the contents of the network's weights and of `_average`, in place."""
        for ours, theirs in zip(self._average, self._weights, strict=True):
            kept = theirs.clone()
            theirs.copy_(ours)
            ours.copy_(kept)
