"""AlexNet and its variants (Krizhevsky, Sutskever, Hinton, NIPS 2012) in one class.

Shapes in comments are those of the default preset: one column, width 1, 227x227 images.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet.errors import UserError
from alexnet.models.base import ImageClassifier
from alexnet.models.dropout import Dropout
from alexnet.models.families.alexnet import (
    AUTO,
    NORMALIZATIONS,
    AlexNetConfig,
    DropoutPlace,
    Layer1Order,
    Pooling,
)
from alexnet.models.init import Adaptation, adapt_to, initialize
from alexnet.models.lrn import LocalResponseNorm, SpatialResponseNorm
from alexnet.models.registered import build_activation, build_module


class AlexNet(ImageClassifier):
    """Five convolutions, three poolings and three fully connected layers.

    Takes float images (N, 3, image_size, image_size), mean-subtracted RGB 0-255, and returns
    logits (N, classes). With two columns each holds half of a layer's maps and units: conv2, conv4 and
    conv5 see their own column only, conv3 and the fully connected layers see both (paper §3.5,
    figure 2); without `config.cross_column` only fc8 does. `config.columns` defines the connections,
    not the devices. Layers in `config.remove_layers` are omitted together with their activations;
    `config.conv6` adds a convolution over the last pooling.

    Raises `UserError` if a layer does not divide into the columns, or the image is too small.
    """

    config: AlexNetConfig

    def __init__(self, config: AlexNetConfig, classes: int) -> None:
        super().__init__(config, classes)
        columns = config.columns
        cross_groups = 1 if config.cross_column else columns  # groups of the layers that connect the columns
        c1, c2, c3, c4, c5 = (_scale_width(count, config) for count in config.filters)
        f6, f7 = (_scale_width(count, config) for count in config.fc_units)

        self.margin = config.canvas_size - config.image_size
        self.conv1 = nn.Conv2d(3, c1, 11, stride=4, padding=config.conv1_padding)  # 227 -> 55x55x96
        self.stage1 = _stage1(config, c1)  # -> 27x27x96
        self.conv2 = nn.Conv2d(c1, c2, 5, padding=2, groups=columns)  # -> 27x27x256
        self.stage2 = _stage2(config, c2)  # -> 13x13x256
        channels = c2
        if "conv3" not in config.remove_layers:
            # -> 13x13x384, sees both columns
            self.conv3 = nn.Conv2d(channels, c3, 3, padding=1, groups=cross_groups)
            self.stage3 = _stage(config, c3)
            channels = c3
        if "conv4" not in config.remove_layers:
            self.conv4 = nn.Conv2d(channels, c4, 3, padding=1, groups=columns)  # -> 13x13x384
            self.stage4 = _stage(config, c4)
            channels = c4
        if "conv5" not in config.remove_layers:
            self.conv5 = nn.Conv2d(channels, c5, 3, padding=1, groups=columns)  # -> 13x13x256
            self.stage5 = _stage(config, c5)
            channels = c5
        self.pool5 = _pool(config)  # -> 6x6x256
        if config.conv6:
            self.conv6 = nn.Conv2d(channels, c5, 3, padding=1, groups=cross_groups)  # -> 6x6x256
            self.stage_conv6 = _stage(config, c5)
            channels = c5

        side = _final_side(config)
        drop_input = config.dropout_place is DropoutPlace.input
        self.drop5 = _dropout(config, drop_input, 5)
        self.fc6 = _linear(channels * side * side, f6, cross_groups)  # 9216 -> 4096
        self.stage6 = build_activation(config.activation)
        self.drop6 = _dropout(config, True, 6)
        self.fc7 = _linear(f6, f7, cross_groups)  # 4096 -> 4096
        self.stage7 = build_activation(config.activation)
        self.drop7 = _dropout(config, not drop_input, 7)
        self.fc8 = nn.Linear(f7, classes)  # 4096 -> classes
        initialize(self, config.init, _adaptation(config), config.width)

    @property
    def stem(self) -> nn.Conv2d:
        """The first convolution."""
        return self.conv1

    def forward(self, images: Tensor, dropout_seeds: Tensor | None = None) -> Tensor:
        """Compute logits; `dropout_seeds` (N,) determine the units dropped for each image, see `Dropout`."""
        x = functional.pad(images, (0, self.margin, 0, self.margin)) if self.margin else images
        x = self.stage1(self.conv1(x))
        x = self.stage2(self.conv2(x))
        if "conv3" not in self.config.remove_layers:
            x = self.stage3(self.conv3(x))
        if "conv4" not in self.config.remove_layers:
            x = self.stage4(self.conv4(x))
        if "conv5" not in self.config.remove_layers:
            x = self.stage5(self.conv5(x))
        x = self.pool5(x)
        if self.config.conv6:
            x = self.stage_conv6(self.conv6(x))
        x = self.drop5(x.flatten(1), dropout_seeds)
        x = self.drop6(self.stage6(self.fc6(x)), dropout_seeds)
        x = self.drop7(self.stage7(self.fc7(x)), dropout_seeds)
        return self.fc8(x)


class GroupedLinear(nn.Conv1d):
    """Separate fully connected layers, one in each column: (N, inputs) to (N, outputs)."""

    def __init__(self, inputs: int, outputs: int, columns: int) -> None:
        super().__init__(inputs, outputs, 1, groups=columns)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.unsqueeze(-1)).squeeze(-1)


def _linear(inputs: int, outputs: int, columns: int) -> nn.Linear | GroupedLinear:
    return nn.Linear(inputs, outputs) if columns == 1 else GroupedLinear(inputs, outputs, columns)


def _scale_width(count: int, config: AlexNetConfig) -> int:
    """Scale a number of maps or units; it is rounded to an even one, whatever the number of columns."""
    scaled = count if config.width == 1 else max(2, 2 * round(count * config.width / 2))
    if scaled % config.columns:
        raise UserError(
            f"model.columns={config.columns}: a layer of {scaled} maps or units does not divide into columns."
        )
    return scaled


def _adaptation(config: AlexNetConfig) -> Adaptation:
    """Return how initial weights and biases are adapted to the activation function, where keys are auto."""
    with torch.device("cpu"):  # the network itself may be built without memory
        automatic = adapt_to(build_activation(config.activation))
    biases, gain = config.init_bias, config.init_gain
    return Adaptation(
        automatic.biases if biases == AUTO else bool(biases),
        automatic.gain if gain == AUTO else float(gain),
        automatic.center and gain == AUTO,
    )


def _norm(config: AlexNetConfig, channels: int) -> dict[str, nn.Module]:
    """Build the normalization that is on, as the first layer of a stage; nothing if none is."""
    for name in NORMALIZATIONS.switched_on(config):  # at most one
        return {"norm": build_module(NORMALIZATIONS, name, channels)}
    return {}


def _pool(config: AlexNetConfig) -> nn.Module:
    return nn.MaxPool2d(3 if config.pooling is Pooling.overlapping else 2, stride=2)


def _lrn(config: AlexNetConfig) -> nn.Module:
    if not config.lrn:
        return nn.Identity()
    columns = 1 if config.lrn_cross_column else config.columns
    return LocalResponseNorm(config.lrn_size, config.lrn_k, config.lrn_alpha, config.lrn_beta, columns)


def _stage(config: AlexNetConfig, channels: int, **after: nn.Module) -> nn.Sequential:
    """Build what follows a convolution: the activation, and the modules `after` it."""
    return nn.Sequential(
        OrderedDict(**_norm(config, channels), activation=build_activation(config.activation), **after)
    )


def _stage1(config: AlexNetConfig, channels: int) -> nn.Sequential:
    if config.layer1_order is Layer1Order.lrn_pool_activation:
        before = {"lrn": _lrn(config), "pool": _pool(config)}
        return nn.Sequential(
            OrderedDict(**_norm(config, channels), **before, activation=build_activation(config.activation))
        )
    return _stage(config, channels, lrn=_lrn(config), pool=_pool(config))


def _stage2(config: AlexNetConfig, channels: int) -> nn.Sequential:
    # without LRN neither norm is used, as in net #148 of the run log ("no normalisation")
    spatial = SpatialResponseNorm() if config.spatial_norm and config.lrn else nn.Identity()
    return _stage(config, channels, lrn=_lrn(config), spatial_norm=spatial, pool=_pool(config))


def _dropout(config: AlexNetConfig, enabled: bool, number: int) -> Dropout:
    return Dropout(config.dropout if enabled else 0, config.dropout_scaling, number)


def _final_side(config: AlexNetConfig) -> int:
    """Compute the height and width of the maps that enter fc6; 6 for every published size."""
    window = 3 if config.pooling is Pooling.overlapping else 2
    side = (config.canvas_size + 2 * config.conv1_padding - 11) // 4 + 1
    for _ in range(3):
        side = (side - window) // 2 + 1
    if side < 1:
        raise UserError(
            f"model.image_size={config.image_size}: too small, the maps vanish in the third pooling."
        )
    return side
