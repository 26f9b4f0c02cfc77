"""The network family: counts, shapes, connections."""

import pytest
import torch
from torch import nn
from torchvision.models import alexnet as torchvision_alexnet

from alexnet.config import ModelConfig
from alexnet.errors import UserError
from alexnet.models.alexnet import AlexNet
from alexnet.models.torchvision import convert_state_dict
from conftest import model_config

TABLE = {  # layer: (parameters with two columns, with one), from the paper's §3.5 by hand
    "conv1": (34_944, 34_944),
    "conv2": (307_456, 614_656),
    "conv3": (885_120, 885_120),
    "conv4": (663_936, 1_327_488),
    "conv5": (442_624, 884_992),
    "fc6": (37_752_832, 37_752_832),
    "fc7": (16_781_312, 16_781_312),
    "fc8": (4_097_000, 4_097_000),
}


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("preset", "total"),
    [
        ("alexnet", 62_378_344),
        ("alexnet_paper", 60_965_224),
        ("alexnet_2012", 60_965_224),
        ("alexnet_2012_pretrained", 60_965_224 + 256 * 256 * 9 + 256),  # and conv6
        ("alexnet_caffe", 60_965_224),
        ("alexnet_torchvision", 61_100_840),
    ],
)
def test_parameters(preset: str, total: int) -> None:
    config = model_config(f"model={preset}")
    with torch.device("meta"):
        network = AlexNet(config, 1000)
    assert count(network) == total
    if preset != "alexnet_torchvision":
        for layer, counts in TABLE.items():
            assert count(network.get_submodule(layer)) == counts[0 if config.columns == 2 else 1], layer


SIDES = {
    "conv1": 55,
    "stage1": 27,
    "conv2": 27,
    "stage2": 13,
    "conv3": 13,
    "conv4": 13,
    "conv5": 13,
    "pool5": 6,
}


@pytest.mark.parametrize(
    "preset",
    [
        *("alexnet", "alexnet_paper", "alexnet_2012", "alexnet_2012_pretrained", "alexnet_caffe"),
        "alexnet_torchvision",
    ],
)
def test_output_shapes(preset: str) -> None:
    config = model_config(f"model={preset}")
    maps = dict(zip(("conv1", "conv2", "conv3", "conv4", "conv5"), config.filters, strict=True))
    shapes = {}
    with torch.device("meta"):
        network = AlexNet(config, 1000)
        for name, module in network.named_children():
            module.register_forward_hook(
                lambda _m, _i, out, name=name: shapes.update({name: tuple(out.shape)})
            )
        network(torch.empty(2, 3, config.image_size, config.image_size))
    for name, side in SIDES.items():
        assert shapes[name][2:] == (side, side), name
    for name, number in maps.items():
        assert shapes[name][1] == number
    assert [shapes[name] for name in ("fc6", "fc7", "fc8")] == [(2, 4096), (2, 4096), (2, 1000)]


def test_non_overlapping_pooling_keeps_the_sizes() -> None:
    with torch.device("meta"):
        network = AlexNet(model_config("model.pooling=non_overlapping"), 10)
        assert network.stage1(torch.empty(1, 96, 55, 55)).shape[2:] == (27, 27)
        assert network.stage2(torch.empty(1, 256, 27, 27)).shape[2:] == (13, 13)
        assert network.pool5(torch.empty(1, 256, 13, 13)).shape[2:] == (6, 6)


def test_224_on_a_227_canvas() -> None:
    """The last window of conv1 runs 3 pixels past the image on the right and below, and reads zeros."""
    network = AlexNet(model_config("model=alexnet_paper", "model.width=0.25"), 10).double()
    image = torch.randn(1, 3, 224, 224, dtype=torch.float64)
    seen = {}
    network.conv1.register_forward_hook(lambda _m, _i, out: seen.update(out=out))
    network(image)
    weight, bias = network.conv1.weight, network.conv1.bias
    for y, x in ((0, 0), (54, 54), (54, 3), (10, 54)):
        window = torch.zeros(3, 11, 11, dtype=torch.float64)
        part = image[0, :, 4 * y : 4 * y + 11, 4 * x : 4 * x + 11]
        window[:, : part.shape[1], : part.shape[2]] = part
        torch.testing.assert_close(seen["out"][0, :, y, x], (weight * window).sum((1, 2, 3)) + bias)
    assert 4 * 54 + 11 == 227


def small_two_columns() -> AlexNet:
    torch.manual_seed(0)
    return AlexNet(model_config("model=alexnet_2012", "model.width=0.0625", "model.dropout=0"), 10)


@pytest.mark.parametrize(
    ("layer", "sees_both"), [("conv2", False), ("conv3", True), ("conv4", False), ("conv5", False)]
)
def test_column_connections(layer: str, sees_both: bool) -> None:
    """Change the second column's input; does the first column's output change?"""
    conv = small_two_columns().get_submodule(layer)
    maps = conv.weight.shape[1] * conv.groups
    x = torch.randn(1, maps, 13, 13)
    other = x.clone()
    other[:, maps // 2 :] += torch.randn(1, maps // 2, 13, 13)
    half = conv.weight.shape[0] // 2
    changed = not torch.equal(conv(x)[:, :half], conv(other)[:, :half])
    assert changed is sees_both


@pytest.mark.parametrize("layer", ["fc6", "fc7", "fc8"])
def test_fully_connected_layers_see_both_columns(layer: str) -> None:
    weight = small_two_columns().get_submodule(layer).weight
    assert (weight != 0).all()


def test_columns_meet_only_through_conv3() -> None:
    network = small_two_columns()
    image = torch.randn(1, 3, 224, 224) * 60
    first = network.stage1(network.conv1(nn.functional.pad(image, (0, 3, 0, 3))))
    inside = first.detach().requires_grad_()
    second = network.stage2(network.conv2(inside))
    second[:, : second.shape[1] // 2].sum().backward()
    half = inside.shape[1] // 2
    assert inside.grad is not None
    assert inside.grad[:, :half].abs().sum() > 0
    assert inside.grad[:, half:].abs().sum() == 0


def test_equals_torchvisions_alexnet() -> None:
    torch.manual_seed(0)
    theirs = torchvision_alexnet(weights=None).eval()
    ours = AlexNet(model_config("model=alexnet_torchvision"), 1000).eval()
    ours.load_state_dict(convert_state_dict(theirs.state_dict()))
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images))


def test_trains_like_torchvisions_alexnet() -> None:
    """Dropout on the inputs of fc6 and fc7 draws the same masks in the same order."""
    theirs = torchvision_alexnet(weights=None).train()
    ours = AlexNet(model_config("model=alexnet_torchvision"), 1000).train()
    ours.load_state_dict(convert_state_dict(theirs.state_dict()))
    images = torch.randn(2, 3, 224, 224)
    outputs = []
    for network in (ours, theirs):
        torch.manual_seed(1)
        outputs.append(network(images))
    torch.testing.assert_close(*outputs)


def stages(config: ModelConfig) -> tuple[list[str], list[str]]:
    network = AlexNet(config, 10)
    kinds = [
        [type(module).__name__ for module in stage if not isinstance(module, nn.Identity)]
        for stage in (network.stage1, network.stage2)
    ]
    return kinds[0], kinds[1]


def test_order_of_the_stages() -> None:
    small = "model.width=0.0625"
    in_order = ["ReLU", "LocalResponseNorm", "MaxPool2d"]
    assert stages(model_config(small)) == (in_order, in_order)
    assert stages(model_config("model=alexnet_2012", small)) == (
        ["LocalResponseNorm", "MaxPool2d", "ReLU"],
        ["ReLU", "LocalResponseNorm", "SpatialResponseNorm", "MaxPool2d"],
    )
    without = ["ReLU", "MaxPool2d"]
    assert stages(model_config("model.lrn=false", small)) == (without, without)
    assert stages(model_config("model=alexnet_2012", "model.lrn=false", small))[1] == without
    assert stages(model_config("model.activation=tanh", small))[0][0] == "Tanh"


@pytest.mark.parametrize("width", [0.01, 0.3, 0.5, 1.7])
def test_width_scales_one_column_and_two_alike(width: float) -> None:
    one, two = (
        [layer.weight.shape[0] for layer in AlexNet(config, 10).children() if hasattr(layer, "weight")]
        for config in (model_config(f"model.columns={columns}", f"model.width={width}") for columns in (1, 2))
    )
    assert one == two
    full = (96, 256, 384, 384, 256, 4096, 4096)
    assert all(abs(a - width * b) <= 1 or a == 2 for a, b in zip(one, full, strict=False))
    assert one[-1] == 10


def test_maps_that_do_not_divide_into_columns() -> None:
    with pytest.raises(UserError, match=r"model\.columns=2.*97"):
        AlexNet(model_config("model.columns=2", "model.filters=[97,256,384,384,256]"), 10)


def test_image_too_small() -> None:
    with pytest.raises(UserError, match=r"model\.image_size=40"):
        AlexNet(model_config("model.image_size=40", "model.canvas_size=40"), 10)
