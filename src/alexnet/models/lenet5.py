"""LeNet-5.

LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", Proceedings of
the IEEE, 1998.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet.models.base import ImageClassifier
from alexnet.models.families.lenet5 import LeNet5Config

INPUT_SIZE = 32  # pixels

# table I: the input maps in S2 of each map of C3
CONNECTIONS = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5)),
)


class LeNet5(ImageClassifier):
    """The layers C1 to F6 as published in section II.B, and a fully connected output layer.

    Images are divided by `config.input_std` and average-pooled to 32x32 pixels of three colours. Initial
    weights have variance 1 / fan-in (LeCun, Bottou, Orr, Müller, "Efficient BackProp", 1998, section 4.6).
    The published ones, uniform in ±2.4 / fan-in, need a learning rate per weight, derived from second
    derivatives: with the update rule used here the network stays at chance for epochs.
    """

    def __init__(self, config: LeNet5Config, classes: int) -> None:
        super().__init__(config, classes)
        self.std = config.input_std
        self.layers = nn.Sequential(
            OrderedDict(
                c1=nn.Conv2d(3, 6, 5),  # 32 -> 28x28x6
                c1_activation=ScaledTanh(),
                s2=Subsampling(6),  # -> 14x14x6
                s2_activation=ScaledTanh(),
                c3=PartialConvolution(5),  # -> 10x10x16
                c3_activation=ScaledTanh(),
                s4=Subsampling(16),  # -> 5x5x16
                s4_activation=ScaledTanh(),
                c5=nn.Conv2d(16, 120, 5),  # -> 1x1x120
                c5_activation=ScaledTanh(),
                flat=nn.Flatten(),
                f6=nn.Linear(120, 84),
                f6_activation=ScaledTanh(),
                output=nn.Linear(84, classes),
            )
        )
        for module in self.layers:
            if isinstance(module, nn.Conv2d | nn.Linear):
                _initialize(module, module.weight[0].numel())

    def forward(self, images: Tensor, dropout_seeds: Tensor | None = None) -> Tensor:
        return self.layers(functional.adaptive_avg_pool2d(images / self.std, INPUT_SIZE))


class ScaledTanh(nn.Module):
    """The activation 1.7159 tanh(2x/3), which maps 1 to 1 and is steepest between -1 and 1 (appendix A)."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(2 / 3 * x)


class Subsampling(nn.Module):
    """The sum of each 2x2 square times a learned coefficient, plus a learned bias, one of each per map."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(maps))
        self.bias = nn.Parameter(torch.empty(maps))
        _initialize(self, 4)

    def forward(self, x: Tensor) -> Tensor:
        sums = 4 * functional.avg_pool2d(x, 2)
        return sums * self.weight[:, None, None] + self.bias[:, None, None]


class PartialConvolution(nn.Module):
    """A convolution whose output maps see subsets of the input maps, given by `CONNECTIONS`.

    `weight` (60, side, side) holds one kernel for each connection.
    """

    source: Tensor
    target: Tensor

    def __init__(self, side: int) -> None:
        super().__init__()
        pairs = [(target, source) for target, sources in enumerate(CONNECTIONS) for source in sources]
        target, source = (torch.tensor(numbers) for numbers in zip(*pairs, strict=True))
        self.register_buffer("target", target, persistent=False)
        self.register_buffer("source", source, persistent=False)
        self.weight = nn.Parameter(torch.empty(len(pairs), side, side))
        self.bias = nn.Parameter(torch.empty(len(CONNECTIONS)))
        with torch.no_grad():
            fan_in = torch.tensor([side**2 * len(CONNECTIONS[index]) for index in target.tolist()])
            self.weight.normal_().div_(fan_in[:, None, None].sqrt())
            self.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        maps, side = 1 + max(max(sources) for sources in CONNECTIONS), self.weight.shape[-1]
        kernels = self.weight.new_zeros(len(CONNECTIONS), maps, side, side)
        return functional.conv2d(x, kernels.index_put((self.target, self.source), self.weight), self.bias)


def _initialize(module: nn.Module, fan_in: int) -> None:
    """Draw weights of variance 1 / fan_in, and set biases to 0."""
    weight, bias = module.weight, module.bias
    assert isinstance(weight, Tensor) and isinstance(bias, Tensor)
    nn.init.normal_(weight, std=fan_in**-0.5)
    nn.init.zeros_(bias)
