"""The state of every library's random number generator, on every rank."""

import random
from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer

from alexnet.distributed.collectives import all_gather_object


class RNGStateCallback(Callback):
    """Keeps in a checkpoint the generators of Python, numpy and torch, and of each rank's GPU.

    Order, augmentation and dropout do not depend on them (data/order.py); what a change of the
    code draws from them is as reproducible.
    """

    def __init__(self) -> None:
        self._stopped: list[dict[str, Any]] = []

    def state_dict(self) -> dict[str, Any]:
        return {"ranks": all_gather_object(_states())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._stopped = state_dict["ranks"]

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if len(self._stopped) == trainer.world_size:  # others have no generators to go on with
            _restore(self._stopped[trainer.global_rank])
        self._stopped = []


def _states() -> dict[str, Any]:
    version, internal, gauss = random.getstate()
    legacy: Any = np.random.get_state(legacy=False)  # the global one, which libraries draw from
    return {
        "python": [version, list(internal), gauss],
        "numpy": {
            "key": legacy["state"]["key"].tolist(),
            "position": legacy["state"]["pos"],
            "has_gauss": legacy["has_gauss"],
            "gauss": legacy["gauss"],
        },
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def _restore(states: dict[str, Any]) -> None:
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    ours = states["numpy"]
    key = np.array(ours["key"], dtype=np.uint32)
    np.random.set_state(("MT19937", key, ours["position"], ours["has_gauss"], ours["gauss"]))
    torch.set_rng_state(states["torch"])
    if states["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
