"""Parameter groups, and the optimizer that is applied to them."""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from alexnet.config import OptimizerConfig
from alexnet.errors import UserError


def parameter_groups(network: nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    """Group the trained parameters: biases, all others, and one group for each parameter of some layers.

    These are the layers that freeze, or have a learning rate or weight decay of their own. Raises `UserError`
    for one that the network does not have.
    """
    groups: dict[str, dict[str, Any]] = {}
    by_layer: dict[str, Collection[str]] = {
        "freeze": config.freeze,
        "layer_weight_decay": config.layer_weight_decay,
        "layer_lr_factor": config.layer_lr_factor,
    }
    layers = []
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        layer, _, last = name.rpartition(".")
        layers.append(layer)
        lr, decay, kind = config.lr, config.weight_decay, "weight"
        if last.endswith("bias"):
            lr, decay, kind = lr * config.bias_lr_factor, config.bias_weight_decay, "bias"
        else:
            decay = config.layer_weight_decay.get(layer, decay)
        lr *= config.layer_lr_factor.get(layer, 1.0)
        group_name = name if any(layer in configured for configured in by_layer.values()) else kind
        settings = {"name": group_name, "params": [], "lr": lr, "weight_decay": decay}
        group = groups.setdefault(group_name, settings)
        group["freeze_from"] = config.freeze_from if layer in config.freeze else None
        group["params"].append(parameter)
    for key, configured in by_layer.items():
        for layer in configured:
            if layer not in layers:
                raise UserError(
                    f"optimizer.{key}={layer}: no such layer. Choices: {', '.join(dict.fromkeys(layers))}."
                )
    return list(groups.values())


def apply_freezing(optimizer: torch.optim.Optimizer, progress: float) -> None:
    """Set the learning rate of layers that are frozen by now to 0; `progress` is the completed fraction."""
    for group in optimizer.param_groups:
        if group["freeze_from"] is not None and progress >= group["freeze_from"]:
            group["lr"] = 0.0


def build_optimizer(network: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Build the configured optimizer for all of the network's trained parameters."""
    optimizer = config.build(parameter_groups(network, config))
    use_fused_step(optimizer)
    return optimizer


def use_fused_step(optimizer: torch.optim.Optimizer) -> None:
    """Select torch's fused step where the optimizer has one; it does not support sharded parameters.

    Call it again after loading a state: torch restores these flags, too, even from another strategy. The
    fused step assumes that a buffer has its parameter's memory format, which it does not have when it was
    saved by a run with another one, and that the counters of steps are on the parameter's device.
    """
    if "fused" not in optimizer.defaults:
        return
    for group in optimizer.param_groups:
        group["fused"] = not any(isinstance(parameter, DTensor) for parameter in group["params"])
        group["foreach"] = None
        for parameter in group["params"] if group["fused"] else ():
            state = optimizer.state.get(parameter, {})
            for name, buffer in state.items():
                if isinstance(buffer, Tensor):
                    state[name] = _as_laid_out(buffer, parameter)


def _as_laid_out(buffer: Tensor, parameter: Tensor) -> Tensor:
    """Return a buffer on the device of its parameter, and in its memory format if they have one shape."""
    if buffer.shape == parameter.shape and buffer.stride() != parameter.stride():
        return torch.empty_like(parameter, dtype=buffer.dtype).copy_(buffer)
    return buffer.to(parameter.device)


def to_module_order(
    module: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]
) -> dict[str, Any]:
    """Renumber the parameters of an optimizer's state dict in the order of `module`, not by group.

    This is the order that Lightning saves and loads under FSDP and model parallelism. Buffers are
    made `contiguous`.
    """
    number = {parameter: index for index, parameter in enumerate(module.parameters())}
    order = [number[parameter] for group in optimizer.param_groups for parameter in group["params"]]
    return {
        "state": {order[index]: contiguous(entry) for index, entry in state["state"].items()},
        "param_groups": [
            group | {"params": [order[index] for index in group["params"]]} for group in state["param_groups"]
        ],
    }


def contiguous(tensors: dict[str, Any]) -> dict[str, Any]:
    """Return a state dict for saving, with its tensors in contiguous memory format.

    Sharded layers are loaded by slicing stored tensors in their memory order.
    """
    return {key: value.contiguous() if isinstance(value, Tensor) else value for key, value in tensors.items()}
