"""Modules of a network that registered choices build."""

from typing import Any

from torch import nn

from alexnet.config.registry import Registry
from alexnet.errors import UserError
from alexnet.models.activations import ACTIVATIONS

# attribute of the modules that `model.activation` built: their types may be those of any extension
IS_ACTIVATION = "is_activation"


def build_activation(name: str) -> nn.Module:
    """Build a registered activation function, marked as one."""
    activation = build_module(ACTIVATIONS, name)
    vars(activation)[IS_ACTIVATION] = True
    return activation


def build_module(registry: Registry[Any], name: str, *arguments: int) -> nn.Module:
    """Build what is registered under a name. Raises `UserError` for what is not a module of torch."""
    module = registry[name](*arguments)
    if isinstance(module, nn.Module):
        return module
    raise UserError(
        f"The {registry.kind} {name} of {registry[name].__module__} built a {type(module).__name__}, not a"
        " module of torch.nn."
    )
