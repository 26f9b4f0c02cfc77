"""An exponential moving average of the weights."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alexnet.config.base import check
from alexnet.config.callbacks import CallbackConfig, register_callback

if TYPE_CHECKING:
    from lightning import Callback

    from alexnet.config.training import TrainerConfig


@register_callback("ema")
@dataclass
class EMAConfig(CallbackConfig):
    """Average the weights over the steps of training, and validate with the averages.

    Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", SIAM Journal on Control and
    Optimization, 1992; exponential as in Szegedy et al., "Rethinking the Inception architecture", CVPR 2016
    (section 8). `decay` is the weight of the average so far.
    """

    decay: float | None = None

    @property
    def weight_copies(self) -> int:
        return 0 if self.decay is None else 1

    def build(self) -> "Callback | None":
        if self.decay is None:
            return None
        from alexnet.callbacks.weight_average import WeightAverage

        return WeightAverage(self.decay)

    def check(self) -> None:
        decay = self.decay
        expected = "a number between 0 and 1, or null"
        check(decay is None or 0 < decay < 1, "callbacks.ema.decay", decay, expected)

    def check_trainer(self, trainer: "TrainerConfig") -> None:
        low = self.decay is not None and trainer.precision == "bf16-true"
        expected = "another one with callbacks.ema.decay: the averages' small steps need more than 8 bits"
        check(not low, "trainer.precision", trainer.precision, expected)
