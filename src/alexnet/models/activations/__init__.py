"""The activation functions: one module each. None imports torch at its top."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from alexnet.config.registry import Registry

if TYPE_CHECKING:
    from torch import nn

# builders of activation functions, of one unit at a time
ACTIVATIONS: "Registry[Callable[[], nn.Module]]" = Registry(
    "activation", "model.activation", package="alexnet.models.activations"
)
register_activation = ACTIVATIONS.register
