"""The activation functions of torch.nn."""

from typing import TYPE_CHECKING

from alexnet.models.activations import register_activation

if TYPE_CHECKING:
    from torch import nn


@register_activation("relu")
def relu() -> "nn.Module":
    """Build rectified linear units: max(0, x) (paper §3.1)."""
    from torch import nn

    return nn.ReLU()


@register_activation("tanh")
def tanh() -> "nn.Module":
    """Build the hyperbolic tangent, with which the paper compares its ReLUs (§3.1)."""
    from torch import nn

    return nn.Tanh()


@register_activation("sigmoid")
def sigmoid() -> "nn.Module":
    """Build the logistic function: 1 / (1 + exp(-x))."""
    from torch import nn

    return nn.Sigmoid()


@register_activation("identity")
def identity() -> "nn.Module":
    """Build no activation function, for a linear network."""
    from torch import nn

    return nn.Identity()


@register_activation("leaky_relu")
def leaky_relu() -> "nn.Module":
    """Build x if positive, else 0.01 x (Maas, Hannun, Ng, ICML workshop 2013)."""
    from torch import nn

    return nn.LeakyReLU(0.01)


@register_activation("elu")
def elu() -> "nn.Module":
    """Build x if positive, else exp(x) - 1 (Clevert, Unterthiner, Hochreiter, ICLR 2016)."""
    from torch import nn

    return nn.ELU()


@register_activation("gelu")
def gelu() -> "nn.Module":
    """Build x times the normal distribution function of x (Hendrycks and Gimpel, 2016)."""
    from torch import nn

    return nn.GELU()


@register_activation("silu")
def silu() -> "nn.Module":
    """Build x / (1 + exp(-x)), also called swish (Elfwing, Uchibe, Doya, 2018)."""
    from torch import nn

    return nn.SiLU()
