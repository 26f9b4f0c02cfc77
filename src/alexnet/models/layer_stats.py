"""Statistics of each layer of a network: activations, gradients, dead and saturated units."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet.models.lenet5 import PartialConvolution, ScaledTanh

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear, PartialConvolution)  # what learns a weight that multiplies
NEAR = 0.05  # of a limit: so near to it an output counts as saturated


@dataclass(frozen=True)
class ActivationRange:
    """What can go wrong with an activation's outputs: stay at zero, or lie at a limit."""

    dies: bool = False
    limits: tuple[float, ...] = ()


UNBOUNDED = ActivationRange()
ACTIVATIONS: dict[type[nn.Module], ActivationRange] = {
    nn.ReLU: ActivationRange(dies=True),
    nn.ReLU6: ActivationRange(dies=True),
    nn.Tanh: ActivationRange(limits=(-1, 1)),
    ScaledTanh: ActivationRange(limits=(-1.7159, 1.7159)),
    nn.Sigmoid: ActivationRange(limits=(0, 1)),
    nn.Hardsigmoid: ActivationRange(limits=(0, 1)),
    **dict.fromkeys((nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish), UNBOUNDED),
}


@dataclass(frozen=True)
class LayerStats:
    """One layer, over all images that were seen.

    `units` are the maps of a convolution, the units of a full layer. `activation_rms` is of the output of
    the activation that follows, or of the layer itself where none does. `dead_fraction` is the share of
    units that are zero on all images and at all places, None where they cannot die; `saturated_fraction` the
    share of outputs within 0.05 of a limit, None where there is none. `gradient_norm` is that of the
    gradient of the mean cross-entropy by the weight, None where it was not asked for.
    """

    layer: str
    units: int
    activation_rms: float
    gradient_norm: float | None
    weight_norm: float
    dead_fraction: float | None
    saturated_fraction: float | None


MEASURES = ("activation_rms", "gradient_norm", "weight_norm", "dead_fraction", "saturated_fraction")


def learned_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Convolutions and full layers by their names, in the order in which they were made."""
    return {name: module for name, module in network.named_modules() if isinstance(module, LAYERS)}


def measure_layers(
    network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], *, gradients: bool
) -> list[LayerStats]:
    """The layers in the order in which they run, over batches of images (N, 3, H, W) and labels (N,).

    The network is run in evaluation mode by its `forward`, whatever may be compiled or wrapped around
    that. It is left as it was, without a gradient, and no random number is drawn.
    """
    layers = learned_layers(network)
    counts: dict[str, _LayerCounter] = {}
    sums: dict[str, Tensor] = {}
    images = 0
    with (
        evaluation_mode(network),
        _hooked(network, layers, counts) as flush,
        torch.set_grad_enabled(gradients),
    ):
        for crops, labels in batches:
            logits = network.forward(crops)
            flush()
            images += len(crops)
            if gradients:
                for name, gradient in _gradients(layers, logits, labels):
                    sums[name] = sums[name] + gradient if name in sums else gradient
    return [count.measures(name, layers[name], sums.get(name), images) for name, count in counts.items()]


def _gradients(layers: dict[str, nn.Module], logits: Tensor, labels: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Of the sum of the cross-entropies, by the weights that the loss depends on."""
    learning = {name: layer.weight for name, layer in layers.items() if _tensor(layer.weight).requires_grad}
    loss = functional.cross_entropy(_upcast(logits), labels, reduction="sum")
    found = torch.autograd.grad(loss, [_tensor(each) for each in learning.values()], allow_unused=True)
    for name, gradient in zip(learning, found, strict=True):
        if gradient is not None:
            yield name, _upcast(gradient)


class _LayerCounter:
    """Adds up what one layer puts out."""

    def __init__(self, activation: ActivationRange) -> None:
        self.activation = activation
        self.outputs = self.saturated = 0
        self.squares = 0.0
        self.alive: Tensor | None = None

    def add(self, output: Tensor) -> None:
        output = _upcast(output.detach())
        self.outputs += output.numel()
        self.squares += float(output.square().sum())
        for limit in self.activation.limits:
            self.saturated += int(((output - limit).abs() <= NEAR).sum())
        units = 1 if output.ndim == 4 else -1  # maps come before the places, units last
        alive = (output != 0).movedim(units, 0).flatten(1).any(1)
        self.alive = alive if self.alive is None else self.alive | alive

    def measures(self, name: str, layer: nn.Module, gradient: Tensor | None, images: int) -> LayerStats:
        assert self.alive is not None
        norm = None if gradient is None else float(torch.linalg.vector_norm(gradient)) / images
        return LayerStats(
            name,
            len(self.alive),
            (self.squares / self.outputs) ** 0.5,
            norm,
            float(torch.linalg.vector_norm(_upcast(_tensor(layer.weight).detach()))),
            int((~self.alive).sum()) / len(self.alive) if self.activation.dies else None,
            self.saturated / self.outputs if self.activation.limits else None,
        )


@contextmanager
def _hooked(
    network: nn.Module, layers: dict[str, nn.Module], counts: dict[str, _LayerCounter]
) -> Iterator[Callable[[], None]]:
    """Count, for each layer, the output of the activation that runs next, or its own where a layer does.

    Yields what is to be called when the network has run.
    """
    waiting: list[tuple[str, Tensor]] = []

    def count(name: str, output: Tensor, activation: ActivationRange) -> None:
        counts.setdefault(name, _LayerCounter(activation)).add(output)

    def flush() -> None:
        for name, output in waiting:
            count(name, output, UNBOUNDED)
        waiting.clear()

    def ran(name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, arguments: Any, output: Tensor) -> None:
            flush()
            waiting.append((name, output))

        return hook

    def activated(module: nn.Module, arguments: Any, output: Tensor) -> None:
        for name, _ in waiting:
            count(name, output, ACTIVATIONS[type(module)])
        waiting.clear()

    with ExitStack() as hooks:
        for name, layer in layers.items():
            hooks.callback(layer.register_forward_hook(ran(name)).remove)
        for module in network.modules():
            if type(module) in ACTIVATIONS:
                hooks.callback(module.register_forward_hook(activated).remove)
        yield flush


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, and afterwards for each module the mode that it was in."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _upcast(x: Tensor) -> Tensor:
    """In float32 at the least."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _tensor(weight: Tensor | nn.Module) -> Tensor:
    assert isinstance(weight, Tensor)
    return weight
