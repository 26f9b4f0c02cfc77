"""The fast forms of a step give what the plain one gives."""

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter

from alexnet.hardware import retain_malloc
from alexnet.models.alexnet import AlexNet
from alexnet.models.lrn import LocalResponseNorm
from alexnet.training import fit
from alexnet.training.compile import apply_performance_options
from conftest import PROJECT, SMALL, compose_config, request_of

CLASSES = 7


def small_network(*overrides: str, accelerator: str = "cpu") -> AlexNet:
    """In float64, with a hundredth of the weights, accelerated as `overrides` say."""
    config = compose_config("model.width=0.125", "model.fc_units=[256,256]", "model.init=he", *overrides)
    torch.manual_seed(0)
    network = AlexNet(config.model, CLASSES).double()
    apply_performance_options(network, config.performance, accelerator, config.strategy.name)
    return network


def logits_and_gradients(network: AlexNet, images: Tensor, dropout_seeds: Tensor) -> list[Tensor]:
    network.zero_grad()
    logits = network(images, dropout_seeds)
    logits.square().sum().backward()
    return [logits, *(parameter.grad for parameter in network.parameters() if parameter.grad is not None)]


def batch(count: int) -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(count)
    images = torch.randn(count, 3, 227, 227, generator=draws, dtype=torch.float64)
    return images, torch.randint(2**32, (count,), generator=draws)


@pytest.mark.parametrize("overrides", [(), ("model.columns=2",), ("model=alexnet_2012",)])
def test_channels_last_changes_nothing_but_the_layout(overrides: tuple[str, ...]) -> None:
    plain, fast = small_network("performance=plain", *overrides), small_network(*overrides)
    assert fast.conv2.weight.is_contiguous(memory_format=torch.channels_last)
    assert plain.conv2.weight.is_contiguous()
    torch.testing.assert_close(fast.state_dict(), plain.state_dict(), rtol=0, atol=0)
    for one, other in zip(
        logits_and_gradients(fast, *batch(3)), logits_and_gradients(plain, *batch(3)), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("overrides", "expected"), [((), True), (("performance=plain",), False), (("model=alexnet_2012",), True)]
)
def test_the_first_layer_gets_images_in_its_own_layout(overrides: tuple[str, ...], expected: bool) -> None:
    """Converted once, or the backward pass would convert them again; also those of a copy, as EMA has."""
    network = copy.deepcopy(small_network(*overrides))
    seen = []
    network.conv1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images, dropout_seeds = batch(2)
    network(images, dropout_seeds)
    (given,) = seen
    assert given.is_contiguous(memory_format=torch.channels_last) is expected
    assert given.is_contiguous() is not expected


@pytest.mark.slow  # the compiler takes its time
def test_the_compiled_network_gives_the_same() -> None:
    """In training and evaluation, for the two sizes that an epoch's batches have; names stay."""
    plain, fast = small_network("performance=plain"), small_network("performance.compile=network")
    assert list(fast.state_dict()) == list(plain.state_dict())
    for count in (4, 3, 4):
        actual, expected = (logits_and_gradients(network, *batch(count)) for network in (fast, plain))
        for one, other in zip(actual, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)
    fast.eval(), plain.eval()
    torch.testing.assert_close(fast(batch(2)[0]), plain(batch(2)[0]), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("overrides", "accelerator", "network", "lrn"),
    [
        ((), "cpu", False, None),
        ((), "gpu", True, None),
        (("strategy=ddp",), "gpu", True, None),
        (("strategy=fsdp",), "gpu", False, None),
        (("performance.compile=network",), "cpu", True, None),
        (("performance.compile=lrn",), "gpu", False, None),
        (("performance.compile=none",), "gpu", False, False),
        (("performance=plain",), "gpu", False, False),
    ],
)
def test_what_is_compiled(
    overrides: tuple[str, ...], accelerator: str, network: bool, lrn: bool | None
) -> None:
    built = small_network(*overrides, accelerator=accelerator)
    assert (built._compiled_call_impl is not None) == network
    assert {m.compiled for m in built.modules() if isinstance(m, LocalResponseNorm)} == {lrn}


def test_the_batches_of_an_epoch_and_of_validation_need_two_compilations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One for training and one for evaluation, of whatever sizes; without the marks a third and fourth."""
    counter, compile_network = CompileCounter(), nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self, **_: compile_network(self, backend=counter))
    network = small_network("performance.compile=network", accelerator="gpu")
    for count in (4, 5, 4):
        network(*batch(count)).sum().backward()
    network.eval()
    for count in (6, 3):
        with torch.no_grad():
            network(batch(count)[0])
    assert counter.frame_count == 2


def test_a_run_is_the_same_run(tmp_path: Path, synthetic: tuple[str, ...]) -> None:
    """Two epochs in float32, with the switches and without."""
    rows = []
    for name in ("fast", "plain"):
        overrides = (*SMALL, *synthetic, "trainer.precision=32-true", "logger=csv", f"performance={name}")
        fit.train(request_of(tmp_path / name, *overrides))
        text = (tmp_path / name / "metrics.csv").read_text().splitlines()
        keys = text[0].split(",")
        rows.append([dict(zip(keys, line.split(","), strict=True)) for line in text[1:]])
    for fast, plain in zip(*rows, strict=True):
        assert float(fast["peak_memory_mb"]) > 100
        for key in ("train/loss", "train/top1_error", "val/loss", "val/top1_error"):
            assert float(fast[key]) == pytest.approx(float(plain[key]), rel=1e-4), key


def test_a_checkpoint_does_not_show_the_layout(tmp_path: Path, synthetic: tuple[str, ...]) -> None:
    """Other strategies read it in plain memory order; the run itself continues in its own."""
    fit.train(request_of(tmp_path / "run", *SMALL, *synthetic, "logger=csv", "trainer.max_epochs=1"))
    stored = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    velocities = [entry["momentum_buffer"] for entry in stored["optimizer_states"][0]["state"].values()]
    assert all(tensor.is_contiguous() for tensor in (*stored["state_dict"].values(), *velocities))
    best = torch.load(tmp_path / "run/checkpoints/best.ckpt", weights_only=True)
    assert all(tensor.is_contiguous() for tensor in best["state_dict"].values())


def test_subnormal_numbers_are_flushed(
    tmp_path: Path, synthetic: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    subnormal = torch.full((64,), 1e-40)
    in_training: list[bool] = []

    def build(request: Any) -> None:
        in_training.append(bool((subnormal * 1).any()))
        raise InterruptedError

    monkeypatch.setattr(fit, "build_components", build)
    with pytest.raises(InterruptedError):
        fit.train(request_of(tmp_path / "run", *SMALL, *synthetic))
    assert in_training == [False]
    assert (subnormal * 1).all()


def test_subnormal_numbers_are_flushed_by_all_threads() -> None:
    code = """
import torch
from alexnet.hardware import flush_subnormals
torch.set_num_threads(4)
with flush_subnormals():
    assert not (torch.full((1 << 20,), 1e-40) * 1).any()
"""
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT / "src", check=True)


@pytest.mark.parametrize(("name", "kept"), [("fast", True), ("plain", False)])
def test_memory_is_kept_on_request(
    name: str, kept: bool, tmp_path: Path, synthetic: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[bool] = []
    monkeypatch.setattr(fit, "retain_malloc", lambda: called.append(retain_malloc()))
    monkeypatch.setattr(fit, "build_components", lambda request: (_ for _ in ()).throw(InterruptedError))
    with pytest.raises(InterruptedError):
        fit.train(request_of(tmp_path / "run", *SMALL, *synthetic, f"performance={name}"))
    assert bool(called) == kept
