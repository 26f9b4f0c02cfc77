"""Statistics of each layer of a network: activations, gradients, dead and saturated units."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet.models.lenet5 import PartialConvolution, ScaledTanh
from alexnet.models.locally_connected import LocallyConnected2d
from alexnet.models.registered import IS_ACTIVATION

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear, PartialConvolution, LocallyConnected2d)  # the measured types
NEAR = 0.05  # an output this close to a limit counts as saturated


@dataclass(frozen=True)
class ActivationRange:
    """How an activation function can fail: units that stay at zero, and limits at which outputs saturate."""

    can_die: bool = False
    limits: tuple[float, ...] = ()


UNBOUNDED = ActivationRange()
# of the activation functions that other networks have, too; those of extensions are taken for unbounded
RANGES: dict[type[nn.Module], ActivationRange] = {
    nn.ReLU: ActivationRange(can_die=True),
    nn.ReLU6: ActivationRange(can_die=True),
    nn.Tanh: ActivationRange(limits=(-1, 1)),
    ScaledTanh: ActivationRange(limits=(-1.7159, 1.7159)),
    nn.Sigmoid: ActivationRange(limits=(0, 1)),
    nn.Hardsigmoid: ActivationRange(limits=(0, 1)),
    **dict.fromkeys((nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish), UNBOUNDED),
}


@dataclass(frozen=True)
class LayerStats:
    """Statistics of one layer over all measured images.

    `units` is the number of maps of a convolution, or of units of a fully connected layer. `activation_rms`
    is the root mean square of the output of the activation function that follows, or of the layer's own
    output if there is none. `dead_fraction` is the fraction of units that are zero for all images at all
    positions, None if they cannot die; `saturated_fraction` is the fraction of outputs within 0.05 of a
    limit, None without limits. `gradient_norm` is that of the gradient of the mean cross-entropy with respect
    to the weight, None if not requested.
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
    """Return convolutions and fully connected layers by name, in order of registration."""
    return {name: module for name, module in network.named_modules() if isinstance(module, LAYERS)}


def measure_layers(
    network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], *, gradients: bool
) -> list[LayerStats]:
    """Measure the layers, in order of execution, over batches of images (N, 3, H, W) and labels (N,).

    Calls the network's own `forward` in evaluation mode, bypassing compilation and wrappers. Leaves modes,
    gradients and random generators unchanged.
    """
    layers = learned_layers(network)
    accumulators: dict[str, _LayerAccumulator] = {}
    gradient_sums: dict[str, Tensor] = {}
    images = 0

    def add(name: str, output: Tensor, activation: ActivationRange) -> None:
        accumulators.setdefault(name, _LayerAccumulator(activation)).add(output)

    with (
        evaluation_mode(network),
        _activation_hooks(network, add) as flush,
        torch.set_grad_enabled(gradients),
    ):
        for crops, labels in batches:
            logits = network.forward(crops)
            flush()
            images += len(crops)
            if gradients:
                for name, gradient in _weight_gradients(layers, logits, labels):
                    total = gradient_sums.get(name)
                    gradient_sums[name] = gradient if total is None else total + gradient
    return [
        accumulator.result(name, layers[name], gradient_sums.get(name), images)
        for name, accumulator in accumulators.items()
    ]


def _weight_gradients(
    layers: dict[str, nn.Module], logits: Tensor, labels: Tensor
) -> Iterator[tuple[str, Tensor]]:
    """Yield the gradient of the summed cross-entropy for each weight that it depends on."""
    weights = {name: layer.weight for name, layer in layers.items() if _tensor(layer.weight).requires_grad}
    loss = functional.cross_entropy(_upcast(logits), labels, reduction="sum")
    gradients = torch.autograd.grad(loss, [_tensor(w) for w in weights.values()], allow_unused=True)
    for name, gradient in zip(weights, gradients, strict=True):
        if gradient is not None:
            yield name, _upcast(gradient)


class _LayerAccumulator:
    """Running sums over the outputs of one layer."""

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
        units = 1 if output.ndim == 4 else -1  # (N, maps, H, W), or (..., units)
        alive = (output != 0).movedim(units, 0).flatten(1).any(1)
        self.alive = alive if self.alive is None else self.alive | alive

    def result(self, name: str, layer: nn.Module, gradient: Tensor | None, images: int) -> LayerStats:
        assert self.alive is not None
        norm = None if gradient is None else float(torch.linalg.vector_norm(gradient)) / images
        return LayerStats(
            name,
            len(self.alive),
            (self.squares / self.outputs) ** 0.5,
            norm,
            float(torch.linalg.vector_norm(_upcast(_tensor(layer.weight).detach()))),
            int((~self.alive).sum()) / len(self.alive) if self.activation.can_die else None,
            self.saturated / self.outputs if self.activation.limits else None,
        )


def layer_activations(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the activations of each learned layer, in order of execution, for images (N, 3, H, W).

    They are (N, maps, H', W') of a convolution and (N, units) of a fully connected layer: the output of the
    activation function that runs next, or the layer's own without one. A layer that runs several times is
    represented by its last output. Uses the network's own `forward` in evaluation mode.
    """
    activations: dict[str, Tensor] = {}

    def keep(name: str, output: Tensor, activation: ActivationRange) -> None:
        activations[name] = _upcast(output.detach())

    with evaluation_mode(network), _activation_hooks(network, keep) as flush, torch.no_grad():
        network.forward(images)
        flush()
    return activations


@contextmanager
def _activation_hooks(
    network: nn.Module, receive: Callable[[str, Tensor, ActivationRange], None]
) -> Iterator[Callable[[], None]]:
    """Pass on, for each learned layer, the output of the activation that runs next, or its own without one.

    Yields a function to call after each forward pass, which passes on the last layer's output.
    """
    pending: list[tuple[str, Tensor]] = []

    def flush() -> None:
        for name, output in pending:
            receive(name, output, UNBOUNDED)
        pending.clear()

    def layer_hook(name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, arguments: Any, output: Tensor) -> None:
            flush()
            pending.append((name, output))

        return hook

    def activation_hook(module: nn.Module, arguments: Any, output: Tensor) -> None:
        for name, _ in pending:
            receive(name, output, RANGES.get(type(module), UNBOUNDED))
        pending.clear()

    with ExitStack() as hooks:
        for name, layer in learned_layers(network).items():
            hooks.callback(layer.register_forward_hook(layer_hook(name)).remove)
        for module in network.modules():
            if type(module) in RANGES or hasattr(module, IS_ACTIVATION):
                hooks.callback(module.register_forward_hook(activation_hook).remove)
        yield flush


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Put the network in evaluation mode, and restore the mode of each module afterwards."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _upcast(x: Tensor) -> Tensor:
    """Convert to float32, or keep a wider type."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _tensor(weight: Tensor | nn.Module) -> Tensor:
    assert isinstance(weight, Tensor)
    return weight
