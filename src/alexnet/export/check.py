"""Does an exported network give what the network gives?"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from alexnet.errors import UserError
from alexnet.export.sample import Sample
from alexnet.run.trained import Trained

Run = Callable[[Tensor], Tensor]  # an exported network: float32 crops, RGB 0-255, to logits

BATCHES = (1, 3, 8)  # one image, and numbers that no graph was captured with
IMAGES = sum(BATCHES)


class Check:
    """The network's own logits for `IMAGES` images, to compare others with."""

    def __init__(self, trained: Trained, sample: Sample) -> None:
        """Raises `UserError` where there is nothing to compare with: the logits are no finite numbers."""
        self.origin = sample.origin
        border, size = trained.crops.slack // 2, trained.crops.size
        self._crops = sample.squares[..., border : border + size, border : border + size].float()
        with torch.inference_mode():
            self._logits = trained.network(trained.crops.center(sample.squares))
        if not self._logits.isfinite().all():
            raise UserError(f"{trained.checkpoint}: this network's outputs are no finite numbers.")

    def difference(self, run: Run) -> float:
        """The largest there is, in standard deviations of all logits. Each batch has another size."""
        with torch.inference_mode():
            theirs = torch.cat([run(crops) for crops in self._crops.split(BATCHES)])
        if theirs.shape != self._logits.shape:
            return math.inf
        spread = self._logits.std().clamp_min(torch.finfo(torch.float32).tiny)
        return ((theirs - self._logits).abs().max() / spread).item()
