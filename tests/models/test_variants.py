"""Networks with layers left out, columns that do not meet, and other starts."""

import pytest
import torch
from torch import nn

from alexnet.distributed.parallelize import check_divisible
from alexnet.errors import UserError
from alexnet.models.alexnet import AlexNet, GroupedLinear
from conftest import model_config

SMALL = ("model.width=0.0625", "model.dropout=0")


def network(*overrides: str) -> AlexNet:
    torch.manual_seed(0)
    return AlexNet(model_config(*SMALL, *overrides), 10).double()


def images(count: int = 2) -> torch.Tensor:
    return (
        torch.randn(count, 3, 227, 227, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 50
    )


@pytest.mark.parametrize("removed", ["conv3", "conv4", "conv5", "conv3,conv4,conv5"])
@pytest.mark.parametrize("columns", [1, 2])
def test_a_middle_layer_left_out(removed: str, columns: int) -> None:
    ours = network(f"model.remove_layers=[{removed}]", f"model.columns={columns}")
    names = dict(ours.named_children())
    for name in removed.split(","):
        assert name not in names
    assert ours(images()).shape == (2, 10)
    x = ours.stage2(ours.conv2(ours.stage1(ours.conv1(images()))))
    for name in ("conv3", "conv4", "conv5"):
        if name not in removed:
            x = torch.relu(getattr(ours, name)(x))
    x = nn.functional.max_pool2d(x, 3, 2).flatten(1)
    for layer in (ours.fc6, ours.fc7):
        x = torch.relu(layer(x))
    torch.testing.assert_close(ours(images()), ours.fc8(x))


def test_only_middle_layers_can_be_left_out() -> None:
    with pytest.raises(UserError, match=r"model.remove_layers=.*conv3, conv4, conv5"):
        network("model.remove_layers=[conv2]")


def test_a_sixth_convolution_over_the_last_pooling() -> None:
    """2012 source, layers-146: 3x3 over all maps of both columns, before fc6."""
    ours = network("model=alexnet_2012_pretrained")
    seen: dict[str, torch.Tensor] = {}
    ours.pool5.register_forward_hook(lambda layer, given, output: seen.update(pool5=output))
    ours.fc6.register_forward_pre_hook(lambda layer, given: seen.update(fc6=given[0]))
    ours(images()[..., :224, :224])
    weight, bias = ours.conv6.weight, ours.conv6.bias
    assert weight.shape == (16, 16, 3, 3)
    expected = torch.relu(nn.functional.conv2d(seen["pool5"], weight, bias, padding=1))
    torch.testing.assert_close(seen["fc6"], expected.flatten(1))
    initial = AlexNet(model_config("model=alexnet_2012_pretrained"), 10).conv6
    assert initial.weight.std().item() == pytest.approx(0.03, rel=0.02)
    assert initial.bias is not None
    assert (initial.bias == 1).all()


def test_windows_of_lrn_cross_the_columns_in_caffe() -> None:
    """Caffe's lrn_layer, which is torch's, over all maps of both columns."""
    ours = network("model=alexnet_caffe")
    x = torch.relu(ours.conv1(images()))
    expected = nn.functional.max_pool2d(nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0)(x), 3, 2)
    torch.testing.assert_close(ours.stage1(ours.conv1(images())), expected)
    with pytest.raises(UserError, match=r"model_parallel: the windows of stage1.lrn cross the columns"):
        check_divisible(ours)
    check_divisible(network("model=alexnet_caffe", "model.lrn_cross_column=false"))


def test_grouped_linear_is_two_layers_side_by_side() -> None:
    layer = GroupedLinear(6, 4, 2).double()
    x = torch.randn(5, 6, dtype=torch.float64)
    halves = [
        nn.functional.linear(
            x[:, 3 * c : 3 * c + 3], layer.weight[2 * c : 2 * c + 2, :, 0], layer.bias[2 * c : 2 * c + 2]
        )  # type: ignore[index]
        for c in range(2)
    ]
    torch.testing.assert_close(layer(x), torch.cat(halves, 1))


@pytest.mark.parametrize("communication", [True, False])
def test_columns_meet_or_do_not(communication: bool) -> None:
    """A change in one column's maps after conv2 reaches the other column's half of fc7, or it does not."""
    ours = network("model.columns=2", f"model.cross_column={communication}")
    x = ours.stage2(ours.conv2(ours.stage1(ours.conv1(images(1))))).detach()
    units = []
    for change in (0.0, 3.0):
        y = x.clone()
        y[:, : y.shape[1] // 2] += change
        y = ours.pool5(ours.stage5(ours.conv5(ours.stage4(ours.conv4(ours.stage3(ours.conv3(y)))))))
        units.append(ours.fc7(ours.drop6(ours.stage6(ours.fc6(y.flatten(1))))))
    half = units[0].shape[1] // 2
    changed = (units[0] - units[1]).abs()
    assert changed[:, :half].max() > 1e-6
    assert (changed[:, half:].max() > 1e-9) == communication


def test_columns_that_do_not_meet_are_smaller() -> None:
    count = {
        c: sum(p.numel() for p in network("model.columns=2", f"model.cross_column={c}").parameters())
        for c in (True, False)
    }
    whole = network("model.columns=2")
    less = sum(layer.weight.numel() // 2 for layer in (whole.conv3, whole.fc6, whole.fc7))
    assert count[True] - count[False] == less


@pytest.mark.parametrize(
    ("activation", "zero"),
    [
        *((name, False) for name in ("relu", "leaky_relu", "elu", "gelu", "silu", "identity")),
        ("tanh", True),
        ("sigmoid", True),
    ],
)
def test_biases_follow_the_activation(activation: str, zero: bool) -> None:
    biases = network(f"model.activation={activation}").fc6.bias
    assert (biases == (0 if zero else 1)).all()
    assert network(f"model.activation={activation}", "model.init_bias=true").fc6.bias.eq(1).all()


def test_weights_follow_a_sigmoid() -> None:
    """To first order its layers are those of a linear network: f'(0) = 1/4, f(0) = 1/2."""
    ours, theirs = network("model.activation=sigmoid"), network("model.activation=tanh")
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        if not name.endswith("weight") or name == "conv1.weight":
            assert torch.equal(mine, other), name
            continue
        sums = mine.flatten(1).sum(1)
        assert sums.abs().max() < 1e-5, name
        centred = other - other.flatten(1).mean(1).view(-1, *[1] * (other.dim() - 1))
        assert torch.allclose(mine, 4 * centred, atol=1e-7), name
    plain = network("model.activation=sigmoid", "model.init_gain=2").fc6.weight
    assert torch.allclose(plain, 2 * theirs.fc6.weight)


def test_zero_biases() -> None:
    ours, theirs = network("model.init_bias=false"), network()
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        if name.endswith("bias"):
            assert not mine.any()
        else:
            assert torch.equal(mine, other), name
    assert theirs.fc6.bias.eq(1).all()
