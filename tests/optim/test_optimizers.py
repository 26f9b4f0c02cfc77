"""The update rule against numpy, and the parameter groups."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from alexnet.errors import UserError
from alexnet.optim.optimizers import (
    apply_freezing,
    build_optimizer,
    parameter_groups,
    to_module_order,
    use_fused_step,
)
from alexnet.optim.paper_sgd import PaperSGD
from conftest import compose_config


def run(rule: str, rates: list[float], decay: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Weights after each step by torch and by the written-out rule, in float64."""
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=5), rng.normal(size=(len(rates), 5))
    parameter = nn.Parameter(torch.from_numpy(start.copy()))
    kind = PaperSGD if rule == "paper" else torch.optim.SGD
    optimizer = kind([parameter], lr=rates[0], momentum=0.9, weight_decay=decay, fused=True)
    w, v = start.copy(), np.zeros(5)
    ours, theirs = [], []
    for rate, gradient in zip(rates, gradients, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        parameter.grad = torch.from_numpy(gradient)
        optimizer.step()
        if rule == "paper":  # §5: the rate stands inside the velocity
            v = 0.9 * v - decay * rate * w - rate * gradient
            w = w + v
        else:
            v = 0.9 * v + gradient + decay * w
            w = w - rate * v
        ours.append(parameter.detach().numpy().copy())
        theirs.append(w.copy())
    return np.array(ours), np.array(theirs)


@pytest.mark.parametrize("rule", ["paper", "pytorch"])
def test_is_the_written_rule(rule: str) -> None:
    rates = [0.1] * 4 + [0.01] * 4 + [0.001] * 2 + [0.02] * 3
    np.testing.assert_allclose(*run(rule, rates), rtol=1e-12)


def by_textbook(name: str, start: np.ndarray, gradients: np.ndarray, rates: list[float]) -> list[np.ndarray]:
    """Weights after each step by the published rules, with the constants of conf/optimizer."""
    w, m, v = start.copy(), np.zeros_like(start), np.zeros_like(start)
    weights = []
    for step, (rate, gradient) in enumerate(zip(rates, gradients, strict=True), 1):
        if name == "adamw":  # Loshchilov and Hutter, ICLR 2019, algorithm 2
            m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
            unbiased = m / (1 - 0.9**step), v / (1 - 0.999**step)
            w = w - rate * (unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8) + 0.01 * w)
        else:  # Nesterov in the form of Sutskever et al., ICML 2013, shifted to the point of the gradient
            gradient = gradient + 0.0005 * w
            m = 0.9 * m + gradient
            w = w - rate * (gradient + 0.9 * m)
        weights.append(w.copy())
    return weights


@pytest.mark.parametrize("name", ["adamw", "nesterov"])
def test_is_the_textbook_s_rule(name: str) -> None:
    rng = np.random.default_rng(0)
    rates = [0.1] * 4 + [0.01] * 4 + [0.02] * 3
    layer = nn.Conv2d(2, 3, 2, bias=False, dtype=torch.float64)
    start, gradients = layer.weight.detach().numpy().copy(), rng.normal(size=(len(rates), 3, 2, 2, 2))
    optimizer = build_optimizer(layer, compose_config(f"optimizer={name}").optimizer)
    expected = by_textbook(name, start, gradients, rates)
    for rate, gradient, weights in zip(rates, gradients, expected, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        layer.weight.grad = torch.from_numpy(gradient)
        optimizer.step()
        np.testing.assert_allclose(layer.weight.detach().numpy(), weights, rtol=1e-10)


@pytest.mark.parametrize("name", ["sgd", "nesterov", "adamw"])
def test_a_state_with_another_layout_is_continued(name: str) -> None:
    """Of a channels-last network, saved as usual: the next steps are those of a run that went on."""
    rng = np.random.default_rng(0)
    gradients = torch.from_numpy(rng.normal(size=(4, 4, 3, 2, 2)))
    config = compose_config(f"optimizer={name}").optimizer

    def layer_of(start: torch.Tensor) -> tuple[nn.Conv2d, torch.optim.Optimizer]:
        layer = nn.Conv2d(3, 4, 2, bias=False, dtype=torch.float64)
        layer.weight.data = start.clone(memory_format=torch.channels_last)
        return layer, build_optimizer(layer, config)

    def steps(layer: nn.Conv2d, optimizer: torch.optim.Optimizer, numbers: range) -> None:
        for number in numbers:
            layer.weight.grad = gradients[number].clone(memory_format=torch.channels_last)
            optimizer.step()

    whole = layer_of(torch.from_numpy(rng.normal(size=(4, 3, 2, 2))))
    stopped = layer_of(whole[0].weight.detach())
    steps(*whole, range(4))
    steps(*stopped, range(2))
    state = to_module_order(stopped[0], stopped[1], stopped[1].state_dict())
    assert all(buffer.is_contiguous() for entry in state["state"].values() for buffer in entry.values())
    resumed = layer_of(stopped[0].weight.detach())
    resumed[1].load_state_dict(state)
    use_fused_step(resumed[1])
    for buffer in resumed[1].state[resumed[0].weight].values():
        assert buffer.dim() == 0 or buffer.stride() == resumed[0].weight.stride()
    steps(*resumed, range(2, 4))
    assert torch.equal(resumed[0].weight, whole[0].weight)


def test_velocities_are_laid_out_as_their_weights() -> None:
    """Torch's fused step reads both in the order of memory, whatever their strides say."""
    rng = np.random.default_rng(0)
    start, velocity, gradient = (torch.from_numpy(rng.normal(size=(4, 3, 2, 2))) for _ in range(3))
    moved = []
    for layout in (torch.contiguous_format, torch.channels_last):
        layer = nn.Conv2d(3, 4, 2, bias=False, dtype=torch.float64)
        layer.weight.data = start.clone(memory_format=layout)
        optimizer = build_optimizer(layer, compose_config().optimizer)
        optimizer.state[layer.weight]["momentum_buffer"] = velocity.clone()  # of a run with the usual layout
        use_fused_step(optimizer)
        layer.weight.grad = gradient.clone(memory_format=layout)
        optimizer.step()
        moved.append(layer.weight.detach())
    torch.testing.assert_close(moved[0], moved[1], rtol=1e-12, atol=0)


def test_rules_differ_where_the_rate_drops() -> None:
    constant, dropping = [0.1] * 6, [0.1] * 4 + [0.01] * 2
    np.testing.assert_allclose(run("paper", constant)[0], run("pytorch", constant)[0], rtol=1e-12)
    assert not np.allclose(run("paper", dropping)[0][4:], run("pytorch", dropping)[0][4:], rtol=1e-3)


def test_rate_survives_a_checkpoint() -> None:
    def optimizer(parameter: nn.Parameter) -> PaperSGD:
        return PaperSGD([parameter], lr=0.1, momentum=0.9, fused=True)

    straight, stopped = (nn.Parameter(torch.ones(3, dtype=torch.float64)) for _ in range(2))
    first, second = optimizer(straight), optimizer(stopped)
    for step in range(4):
        if step == 2:
            state = second.state_dict()
            second = optimizer(stopped)
            second.load_state_dict(state)
        for parameter, rule in ((straight, first), (stopped, second)):
            rule.param_groups[0]["lr"] = 0.1 if step < 2 else 0.01
            parameter.grad = torch.full((3,), 0.5 + step, dtype=torch.float64)
            rule.step()
    assert torch.equal(straight, stopped)


def test_groups() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2))
    config = compose_config("optimizer=cuda_convnet_2012", "optimizer.lr=0.01").optimizer
    weights, biases = build_optimizer(network, config).param_groups
    assert (weights["lr"], weights["weight_decay"]) == (0.01, 0.0005)
    assert (biases["lr"], biases["weight_decay"]) == (0.02, 0.0)
    assert [p.dim() for p in weights["params"]] == [4, 2]
    assert [p.dim() for p in biases["params"]] == [1, 1]


def test_papers_groups_are_equal() -> None:
    weights, biases = parameter_groups(nn.Linear(2, 2), compose_config("optimizer.lr=0.01").optimizer)
    for key in ("lr", "weight_decay"):
        assert weights[key] == biases[key]


def test_frozen_layers_keep_their_weights() -> None:
    network = nn.Sequential(OrderedDict(conv1=nn.Linear(3, 3), fc8=nn.Linear(3, 2)))
    config = compose_config(
        "optimizer.lr=0.1", "optimizer.freeze=[conv1]", "optimizer.freeze_from=0.5"
    ).optimizer
    optimizer = build_optimizer(network, config)
    names = {group["name"]: len(group["params"]) for group in optimizer.param_groups}
    assert names == {"conv1.weight": 1, "conv1.bias": 1, "weight": 1, "bias": 1}
    moved = []
    for epoch in range(4):
        apply_freezing(optimizer, epoch / 4)
        before = [parameter.detach().clone() for parameter in network.parameters()]
        optimizer.zero_grad()
        network(torch.ones(2, 3)).square().sum().backward()
        optimizer.step()
        moved.append([not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True)])
    assert moved == [[True] * 4] * 2 + [[False, False, True, True]] * 2


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("optimizer.freeze=[conv9]", "freeze=conv9"),
        ("+optimizer.layer_weight_decay.conv9=0", "layer_weight_decay=conv9"),
        ("+optimizer.layer_lr_factor.conv9=0", "layer_lr_factor=conv9"),
    ],
)
def test_an_unknown_layer(override: str, named: str) -> None:
    config = compose_config(override).optimizer
    with pytest.raises(UserError, match=rf"optimizer.{named}: no such layer.*Choices: 0, 1"):
        parameter_groups(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), config)


@pytest.mark.parametrize(
    ("override", "found"),
    [
        ("layer_weight_decay.fc8=0.25", {"fc8.weight": (0.01, 0.25), "fc8.bias": (0.02, 0.0)}),
        ("layer_lr_factor.fc8=10", {"fc8.weight": (0.1, 0.0005), "fc8.bias": (0.2, 0.0)}),
    ],
)
def test_a_layer_with_a_value_of_its_own(override: str, found: dict[str, tuple[float, float]]) -> None:
    """A weight decay is that of the weights; a rate is that of the bias, too. Others are as without."""
    network = nn.Sequential(OrderedDict(conv1=nn.Linear(3, 3), fc8=nn.Linear(3, 2)))
    given = ("optimizer=cuda_convnet_2012", "optimizer.lr=0.01", f"+optimizer.{override}")
    groups = parameter_groups(network, compose_config(*given).optimizer)
    others = {"weight": (0.01, 0.0005), "bias": (0.02, 0.0)}
    assert {group["name"]: (group["lr"], group["weight_decay"]) for group in groups} == found | others


def test_every_parameter_is_covered() -> None:
    """What is not a bias decays as the weights do, whatever it is called."""

    class WithScale(nn.Linear):
        def __init__(self) -> None:
            super().__init__(2, 2)
            self.scale = nn.Parameter(torch.ones(1))
            self.in_proj_bias = nn.Parameter(torch.ones(1))

    layer = WithScale()
    groups = {group["name"]: group["params"] for group in parameter_groups(layer, compose_config().optimizer)}
    assert [id(p) for p in groups["weight"]] == [id(layer.weight), id(layer.scale)]
    assert [id(p) for p in groups["bias"]] == [id(layer.bias), id(layer.in_proj_bias)]
