"""The activation functions against their formulas, in float64."""

import math
from collections.abc import Callable

import pytest
import torch

from alexnet.models.activations import ACTIVATIONS

FORMULAS: dict[str, Callable[[float], float]] = {
    "relu": lambda x: max(0.0, x),
    "tanh": lambda x: (math.exp(x) - math.exp(-x)) / (math.exp(x) + math.exp(-x)),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "identity": lambda x: x,
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "silu": lambda x: x / (1 + math.exp(-x)),
}


def test_all_are_tested() -> None:
    assert ACTIVATIONS.names() == sorted(FORMULAS)


@pytest.mark.parametrize("name", FORMULAS)
def test_is_its_formula(name: str) -> None:
    x = torch.linspace(-6, 6, 101, dtype=torch.float64)
    expected = torch.tensor([FORMULAS[name](value) for value in x.tolist()], dtype=torch.float64)
    torch.testing.assert_close(ACTIVATIONS[name]()(x), expected, rtol=1e-12, atol=1e-15)
