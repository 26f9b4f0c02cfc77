"""Variants of a benchmark: this program's step is that of training, the others' are what their names say."""

import os
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from alexnet.benchmark import measure, variants
from alexnet.benchmark.variants import (
    TITLES,
    TORCHVISION,
    build_step,
    check_measurable,
    choose_variants,
    flops_of_step,
    variant_config,
)
from alexnet.config import Compile, Variant
from alexnet.errors import UserError
from alexnet.models.lrn import LocalResponseNorm
from alexnet.optim.paper_sgd import PaperSGD
from conftest import benchmark_config, compose_config

CPU = torch.device("cpu")
SMALL = ("model.width=0.0625", "model.fc_units=[64,64]", "data.batch_size=2", "trainer.accelerator=cpu")


def build(variant: Variant, *overrides: str) -> variants._Built:
    builder = variants._build_ours if variant.value.startswith("ours") else variants._build_peer
    return builder(variant, benchmark_config(*SMALL, "classes=10", *overrides), CPU)


def lrn_layers(network: nn.Module) -> list[bool | None]:
    return [module.compiled for module in network.modules() if isinstance(module, LocalResponseNorm)]


def test_the_configuration_is_that_of_training() -> None:
    benchmark, training = benchmark_config(), compose_config()
    for key, value in vars(training).items():
        assert getattr(benchmark, key) == (replace(value, batch_size=128) if key == "data" else value), key


def test_only_alexnets_family_is_measured() -> None:
    with pytest.raises(UserError, match=r"model=resnet18: expected a network of the family alexnet"):
        benchmark_config("model=resnet18")


def test_every_variant_has_a_title() -> None:
    assert list(TITLES) == list(Variant)


def test_performance_options() -> None:
    """As `apply_performance_options` and the precision of training make it."""
    fast = build(Variant.ours, "trainer.precision=bf16-mixed")
    assert lrn_layers(fast.network) == [None, None]  # compiled where maps are large
    assert fast.network.conv2.weight.is_contiguous(memory_format=torch.channels_last)
    assert fast.network._compiled_call_impl is None
    assert isinstance(fast.optimizer, PaperSGD)
    assert fast.optimizer.param_groups[0]["fused"]
    with fast.precision.forward_context():
        assert torch.get_autocast_dtype("cpu") is torch.bfloat16
        assert torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize(
    ("variant", "given"), [(Variant.ours, ("performance=plain",)), (Variant.ours_plain, ())]
)
def test_plain(variant: Variant, given: tuple[str, ...]) -> None:
    plain = build(variant, *given)
    assert lrn_layers(plain.network) == [False, False]
    assert plain.network.conv2.weight.is_contiguous()
    with plain.precision.forward_context():
        assert not torch.is_autocast_enabled("cpu")
    assert variant_config(Variant.ours_plain, benchmark_config()) == benchmark_config("performance=plain")


@pytest.mark.slow
def test_compiled_whole() -> None:
    assert build(Variant.ours_compiled).network._compiled_call_impl is not None


def test_speed_is_left_to_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions of training are called, with what training gives them."""
    calls: dict[str, tuple[object, ...]] = {}

    def spy(name: str, real: Callable[..., object]) -> None:
        def called(*given: object) -> object:
            calls[name] = given
            return real(*given)

        monkeypatch.setattr(variants, name, called)

    spy("apply_performance_options", variants.apply_performance_options)
    spy("build_optimizer", variants.build_optimizer)
    spy("retain_malloc", lambda: None)  # or it would hold for the tests that follow in this process
    config = benchmark_config(*SMALL)
    network = variants._build_ours(Variant.ours, config, CPU).network
    assert calls["apply_performance_options"] == (network, config.performance, "cpu", config.strategy.name)
    assert calls["build_optimizer"] == (network, config.optimizer)
    assert "retain_malloc" in calls
    calls.clear()
    build(Variant.ours, "performance.retain_malloc=false")
    assert "retain_malloc" not in calls


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [
        ("32-true", torch.float32),
        ("bf16-mixed", torch.float32),
        ("bf16-true", torch.bfloat16),
        ("64-true", torch.float64),
    ],
)
def test_a_step_in_each_precision_learns(
    precision: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variants, "retain_malloc", lambda: None)
    built = []
    real = variants._build_ours
    monkeypatch.setattr(variants, "_build_ours", lambda *given: built.append(real(*given)) or built[0])
    step = build_step(Variant.ours, benchmark_config(*SMALL, "classes=10", f"trainer.precision={precision}"))
    (weight,) = (parameter for name, parameter in built[0].network.named_parameters() if name == "fc8.weight")
    before = weight.detach().clone()
    step()
    assert weight.dtype is dtype
    assert not torch.equal(weight, before)


def test_stock_modules_stand_for_ours() -> None:
    """The same network, of torch's modules alone: the same parameters, the same normalisation."""
    given = ("model.columns=1", "model.dropout=0")
    torch.manual_seed(0)
    stock = build(Variant.stock_float32, *given).network
    torch.manual_seed(0)
    ours = build(Variant.ours_plain, *given).network
    assert not lrn_layers(stock)
    images = torch.randn(2, 3, 227, 227)
    torch.testing.assert_close(stock(images), ours(images), rtol=1e-4, atol=1e-5)


def test_a_network_without_lrn_has_a_stock_form() -> None:
    network = build(Variant.stock_float32, "model.lrn=false").network
    assert network(torch.zeros(1, 3, 227, 227)).shape == (1, 10)


def test_variants_without_new_information_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variants, "resolve_precision", lambda trainer: "bf16-mixed")
    all_variants = set(Variant)
    for given, without in (
        ((), set()),
        (("performance=plain",), {Variant.ours_plain}),
        (("model.lrn=false",), {Variant.ours_plain}),
        (("performance.compile=network",), {Variant.ours_compiled}),
    ):
        assert set(choose_variants(benchmark_config(*SMALL, *given))) == all_variants - without, given
    monkeypatch.setattr(variants, "resolve_precision", lambda trainer: "32-true")
    here = choose_variants(benchmark_config(*SMALL))
    assert set(here) == {*list(Variant)[:4], Variant.torchvision_float32}
    asked = benchmark_config(*SMALL, "variants=[stock_bfloat16,ours,ours]")
    assert choose_variants(asked) == [Variant.stock_bfloat16, Variant.ours]


@pytest.mark.parametrize(("bfloat16", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
@pytest.mark.parametrize("variant", [Variant.ours, Variant.stock_float32])
def test_the_product_beside_a_step_is_of_a_native_type(
    variant: Variant, bfloat16: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere bfloat16 is emulated: a product of two matrices of side 4096 takes minutes."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": bfloat16})
    multiplied: list[torch.dtype] = []

    def product_rate(side: int, dtype: torch.dtype, device: torch.device, seconds: float) -> float:
        multiplied.append(dtype)
        return 1e9

    monkeypatch.setattr(measure, "product_rate", product_rate)
    monkeypatch.setattr(measure, "build_step", lambda *_: lambda: None)
    measure.measure(variant, benchmark_config(*SMALL, "trainer.accelerator=cpu"), profiled=False)
    assert multiplied == [dtype]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("trainer.devices=2", "a step is measured on one device"),
        ("strategy=fsdp", "strategy=fsdp: a step is measured on one device"),
        ("trainer.precision=16-mixed", "where train.py takes bf16-mixed"),
    ],
)
def test_configurations_that_are_refused(given: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        check_measurable(benchmark_config(*SMALL, given))


@pytest.mark.parametrize(("columns", "millions"), [(1, 1135.3), (2, 724.4)])
def test_operations_of_a_step(columns: int, millions: float) -> None:
    """Multiply-adds of an image's forward pass, counted by hand from the paper's §3.5."""
    config = benchmark_config(f"model.columns={columns}", "data.batch_size=2")
    conv1 = 55 * 55 * 96 * 11 * 11 * 3
    for variant in Variant:
        if variant not in TORCHVISION:
            assert flops_of_step(variant, config) / 2 / 2 == pytest.approx(3e6 * millions - conv1, rel=1e-4)


def test_operations_of_torchvisions_step() -> None:
    """By hand from its source: 64, 192, 384, 256, 256 maps of 55, 27, 13, 13, 13 squared."""
    conv1 = 55**2 * 64 * 121 * 3
    others = 27**2 * 192 * 25 * 64 + 13**2 * 9 * (384 * 192 + 256 * 384 + 256 * 256)
    forward = conv1 + others + 9216 * 4096 + 4096 * 4096 + 4096 * 1000
    for variant in TORCHVISION:
        assert flops_of_step(variant, benchmark_config("data.batch_size=3")) == 2 * 3 * (3 * forward - conv1)


def test_compile_of_the_whole_is_auto_s_choice_on_a_gpu() -> None:
    config = benchmark_config()
    assert variants.resolve_compile(config.performance, "gpu", config.strategy.name) is Compile.network
    assert variants.resolve_compile(config.performance, "cpu", config.strategy.name) is Compile.lrn


@pytest.mark.parametrize("deterministic", [False, True])
def test_deterministic_products_have_their_workspace(
    deterministic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Lightning's trainer gives it to them: without, they raise on CUDA."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "unset")
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda _: None)
    build(Variant.ours, f"trainer.deterministic={deterministic}")
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == (":4096:8" if deterministic else "unset")
