"""The paper's update rule, and the parameter groups it is applied to."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
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
    """Weights and biases, each with their learning rate and decay.

    Raises `UserError` for a parameter that is neither, rather than leave it untrained.
    """
    groups: dict[str, dict[str, Any]] = {
        "weight": {"lr": config.lr, "weight_decay": config.weight_decay},
        "bias": {"lr": config.lr * config.bias_lr_factor, "weight_decay": config.bias_weight_decay},
    }
    for kind, group in groups.items():
        group |= {"name": kind, "params": []}
    for name, parameter in network.named_parameters():
        kind = name.rpartition(".")[2]
        if kind not in groups:
            raise UserError(f"Parameter {name} is neither a weight nor a bias: it has no group to learn in.")
        groups[kind]["params"].append(parameter)
    return list(groups.values())


def build_optimizer(network: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """The configured rule over all of the network's parameters."""
    rule = PaperSGD if config.rule is UpdateRule.paper else SGD
    return rule(parameter_groups(network, config), lr=config.lr, momentum=config.momentum, fused=True)
