"""The paper's update rule, and the parameter groups it is applied to."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim import SGD

from alexnet.config import OptimizerConfig, UpdateRule
from alexnet.errors import UserError


class PaperSGD(SGD):
    """v <- momentum v - decay lr w - lr g, then w <- w + v (paper §5; 2012 source, src/weights.cu).

    The learning rate stands inside the velocity, so that a velocity survives a drop of the rate
    at its old size. Torch keeps the velocity divided by -lr and would shrink it at once; here
    its buffer is rescaled when the rate has changed. A rate of 0 stops a group at once.
    """

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        for group in self.param_groups:
            if group["lr"] == 0:
                continue
            before = group.setdefault("velocity_lr", group["lr"])
            if before != group["lr"]:
                for parameter in group["params"]:
                    buffer = self.state[parameter].get("momentum_buffer")
                    if buffer is not None:
                        buffer.mul_(before / group["lr"])
                group["velocity_lr"] = group["lr"]
        return super().step(closure)


def parameter_groups(network: nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    """Biases and all other parameters that are trained, each with their learning rate and decay, and
    layers that freeze apart.

    Raises `UserError` for a layer to freeze that the network does not have.
    """
    settings = {
        "weight": {"lr": config.lr, "weight_decay": config.weight_decay},
        "bias": {"lr": config.lr * config.bias_lr_factor, "weight_decay": config.bias_weight_decay},
    }
    groups: dict[str, dict[str, Any]] = {}
    layers = []
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        layer, _, last = name.rpartition(".")
        layers.append(layer)
        kind = "bias" if last.endswith("bias") else "weight"
        group_name = name if layer in config.freeze else kind
        group = groups.setdefault(group_name, settings[kind] | {"name": group_name, "params": []})
        group["freeze_from"] = config.freeze_from if layer in config.freeze else None
        group["params"].append(parameter)
    for layer in config.freeze:
        if layer not in layers:
            raise UserError(
                f"optimizer.freeze={layer}: no such layer. Choices: {', '.join(dict.fromkeys(layers))}."
            )
    return list(groups.values())


def apply_freezing(optimizer: torch.optim.Optimizer, progress: float) -> None:
    """Set the rate of the layers whose time has come to 0; `progress` is the part of the run done."""
    for group in optimizer.param_groups:
        if group["freeze_from"] is not None and progress >= group["freeze_from"]:
            group["lr"] = 0.0


def build_optimizer(network: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """The configured rule over all of the network's parameters."""
    rule = PaperSGD if config.rule is UpdateRule.paper else SGD
    optimizer = rule(parameter_groups(network, config), lr=config.lr, momentum=config.momentum)
    use_fused_step(optimizer)
    return optimizer


def use_fused_step(optimizer: torch.optim.Optimizer) -> None:
    """Take torch's fused step, which it does not have for divided parameters.

    To be called again after a state was loaded: torch takes this along, also from another placement.
    The fused step takes it for granted that a parameter's velocity lies in memory in the parameter's
    order, which it does not where the state comes from a run that had another.
    """
    for parameter, state in optimizer.state.items():
        velocity = state.get("momentum_buffer")
        if velocity is not None and velocity.stride() != parameter.stride():
            state["momentum_buffer"] = torch.empty_like(parameter).copy_(velocity)
    for group in optimizer.param_groups:
        group["fused"] = not any(isinstance(parameter, DTensor) for parameter in group["params"])
        group["foreach"] = None


def to_module_order(
    module: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]
) -> dict[str, Any]:
    """An optimiser's state dict with its parameters numbered as `module` has them, not group by group.

    So does Lightning number them under FSDP and model parallelism, and expects it when it loads.
    Velocities are `contiguous`.
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
    """A state dict to be stored, its tensors in the usual order of memory, whatever it is in this run.

    Devices among which a layer is divided cut stored tensors up as they lie there.
    """
    return {key: value.contiguous() if isinstance(value, Tensor) else value for key, value in tensors.items()}
