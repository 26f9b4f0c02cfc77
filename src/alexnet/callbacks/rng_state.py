"""Checkpointing of the random number generators of all libraries, on every rank."""

import random
from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer

from alexnet.distributed.collectives import all_gather_object


class RNGStateCallback(Callback):
    """Save and restore the generators of Python, NumPy and torch, and of each rank's GPU.

    Order, augmentation and dropout do not depend on them (data/sampling.py); they make what other code
    draws from them reproducible, too.
    """

    def __init__(self) -> None:
        self._saved: list[dict[str, Any]] = []

    def state_dict(self) -> dict[str, Any]:
        return {"ranks": all_gather_object(_states())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._saved = state_dict["ranks"]

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if len(self._saved) == trainer.world_size:  # with another number of ranks there are none to restore
            _restore(self._saved[trainer.global_rank])
        self._saved = []


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
    legacy = states["numpy"]
    key = np.array(legacy["key"], dtype=np.uint32)
    np.random.set_state(("MT19937", key, legacy["position"], legacy["has_gauss"], legacy["gauss"]))
    torch.set_rng_state(states["torch"])
    if states["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
