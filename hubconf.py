"""The presets for torch.hub: torch.hub.load("<checkout>", "alexnet_2012", source="local", lrn=False)."""

import sys as _sys
from functools import partial as _partial
from functools import update_wrapper as _update_wrapper
from pathlib import Path as _Path

_sys.path.insert(0, str(_Path(__file__).resolve().parent / "src"))

from alexnet import create_model as _create_model
from alexnet import list_models as _list_models

dependencies = ["hydra", "lightning", "omegaconf", "torch", "torchmetrics", "torchvision"]

for _name in _list_models():
    globals()[_name] = _update_wrapper(_partial(_create_model, _name), _create_model)
