"""LRN against plain loops written from the paper's formula, in every form of its computation."""

import math
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from alexnet.models import lrn_compiled
from alexnet.models.lrn import (
    ASSUMED_CALLS,
    MIN_ELEMENTS_TO_COMPILE,
    LocalResponseNorm,
    SpatialResponseNorm,
    local_response_norm,
)
from alexnet.models.lrn_kernels import Window, lrn_reference

pytestmark = pytest.mark.filterwarnings("error:LRN could not be compiled")

FORMATS = [torch.contiguous_format, torch.channels_last]
FORMS = ["eager", "compiled"]


def plain_lrn(a: np.ndarray, n: int, k: float, alpha: float, beta: float) -> np.ndarray:
    """Paper §3.3, one activity at a time; `a` is (N, C, H, W)."""
    b = np.empty_like(a)
    maps = a.shape[1]
    for image, i, y, x in np.ndindex(*a.shape):
        total = 0.0
        for j in range(max(0, i - n // 2), min(maps - 1, i + n // 2) + 1):
            total += a[image, j, y, x] ** 2
        b[image, i, y, x] = a[image, i, y, x] / (k + alpha * total) ** beta
    return b


def activities(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return (60 * torch.randn(shape, dtype=torch.float64, generator=torch.manual_seed(seed))).to(dtype)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("maps", "n", "beta"), [(8, 5, 0.75), (3, 5, 0.75), (1, 5, 0.75), (7, 3, 0.5), (6, 1, 1.0)]
)
def test_is_the_papers_formula(maps: int, n: int, beta: float, form: str) -> None:
    a = activities(2, maps, 3, 4)
    expected = plain_lrn(a.numpy(), n, 2, 1e-4, beta)
    if form == "eager":
        once = lrn_reference(a.flatten(2), Window(n, 2, 1e-4, beta, 1)).view(a.shape)
        np.testing.assert_allclose(once.numpy(), expected, rtol=1e-12)
    for memory_format in FORMATS:
        a = a.contiguous(memory_format=memory_format)
        ours = local_response_norm(a, size=n, k=2, alpha=1e-4, beta=beta, compiled=form == "compiled")
        assert ours.stride() == a.stride()
        np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_windows_do_not_cross_columns(form: str) -> None:
    a = activities(2, 12, 3, 3)
    ours = local_response_norm(a, columns=2, compiled=form == "compiled").numpy()
    halves = [plain_lrn(half, 5, 2, 1e-4, 0.75) for half in np.split(a.numpy(), 2, axis=1)]
    np.testing.assert_allclose(ours, np.concatenate(halves, axis=1), rtol=1e-12)
    assert not np.allclose(ours, plain_lrn(a.numpy(), 5, 2, 1e-4, 0.75), rtol=1e-6)


@pytest.mark.parametrize("images", [0, 1, 2, 3, 5])
def test_any_number_of_images(images: int) -> None:
    """The compiled form leaves the first and the last to the eager one."""
    for side in (1, 2):
        a = activities(images, 8, side, side)
        ours = local_response_norm(a, compiled=True)
        np.testing.assert_allclose(ours.numpy(), plain_lrn(a.numpy(), 5, 2, 1e-4, 0.75), rtol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_chunk_by_chunk(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alexnet.models.lrn_kernels.CHUNK", 100)
    monkeypatch.setattr("alexnet.models.lrn_compiled.CHUNK", 100)
    a = activities(7, 8, 2, 3).requires_grad_()
    ours = local_response_norm(a, compiled=form == "compiled")
    expected = lrn_reference(a.flatten(2), Window(5, 2, 1e-4, 0.75, 1)).view(a.shape)
    torch.testing.assert_close(ours, expected)
    grad = activities(7, 8, 2, 3, seed=1)
    torch.testing.assert_close(torch.autograd.grad(ours, a, grad), torch.autograd.grad(expected, a, grad))


def test_torchs_module_divides_alpha_by_the_window() -> None:
    a = torch.randn(2, 16, 5, 5, generator=torch.Generator().manual_seed(0)) * 60
    torch.testing.assert_close(local_response_norm(a, alpha=2e-5), nn.LocalResponseNorm(5, 1e-4, 0.75, 2)(a))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("columns", [1, 2])
def test_gradient(columns: int, memory_format: torch.memory_format, form: str) -> None:
    a = activities(3, 8, 2, 3).contiguous(memory_format=memory_format).requires_grad_()
    compiled = form == "compiled"
    assert torch.autograd.gradcheck(lambda x: local_response_norm(x, columns=columns, compiled=compiled), a)


@pytest.mark.parametrize(
    ("form", "memory_format"),
    [
        *((form, memory_format) for form in FORMS if form != "compiled" for memory_format in FORMATS),
        ("compiled", torch.channels_last),
        pytest.param("compiled", torch.contiguous_format, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 1e-5), (torch.bfloat16, 2**-8)])
def test_rounds_once(dtype: torch.dtype, rtol: float, memory_format: torch.memory_format, form: str) -> None:
    """The result and the gradient are exact but for their own rounding: sums and powers are in float32."""
    a = activities(4, 96, 5, 5, dtype=dtype).contiguous(memory_format=memory_format).requires_grad_()
    grad = activities(4, 96, 5, 5, dtype=dtype, seed=1).contiguous(memory_format=memory_format)
    ours = local_response_norm(a, columns=2, compiled=form == "compiled")
    (slope,) = torch.autograd.grad(ours, a, grad)
    assert ours.dtype == slope.dtype == dtype
    wide = a.detach().double().requires_grad_()
    exact = lrn_reference(wide.flatten(2), Window(5, 2, 1e-4, 0.75, 2)).view(a.shape)
    (exact_slope,) = torch.autograd.grad(exact, wide, grad.double())
    torch.testing.assert_close(ours.double(), exact, rtol=rtol, atol=0)
    torch.testing.assert_close(slope.double(), exact_slope, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("form", FORMS)
def test_keeps_its_input_and_nothing_else(dtype: torch.dtype, form: str) -> None:
    kept: list[Tensor] = []
    a = activities(4, 16, 5, 5, dtype=dtype).contiguous(memory_format=torch.channels_last).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        local_response_norm(a, compiled=form == "compiled")
    assert [x.untyped_storage().data_ptr() for x in kept] == [a.untyped_storage().data_ptr()]
    assert sum(x.nbytes for x in kept) == a.nbytes


def test_one_compilation_serves_any_batch() -> None:
    def train(images: int) -> None:
        a = activities(images, 32, 4, 4, dtype=torch.float32).contiguous(memory_format=torch.channels_last)
        local_response_norm(a.requires_grad_().relu(), compiled=True).sum().backward()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(8)
        with torch.compiler.set_stance("fail_on_recompile"):
            train(5)
            train(13)


def test_a_broken_pixel_stays_alone() -> None:
    """Beyond the last map of a pixel the compiled form reads the next pixel's first."""
    a = activities(2, 8, 3, 3, dtype=torch.float32).contiguous(memory_format=torch.channels_last)
    a[0, :, 1, 1] = torch.tensor([math.nan, math.inf] * 4)
    ours = local_response_norm(a, compiled=True)
    clean = torch.ones(2, 3, 3, dtype=torch.bool)
    clean[0, 1, 1] = False
    assert ours.permute(0, 2, 3, 1)[clean].isfinite().all()


@pytest.fixture
def compiled_inputs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Elements of the inputs that are given to the compiled form."""
    seen: list[int] = []
    monkeypatch.setattr(lrn_compiled, "forward", lambda x, window: seen.append(x.numel()) or x)
    return seen


def test_large_inputs_are_compiled(compiled_inputs: list[int]) -> None:
    least = MIN_ELEMENTS_TO_COMPILE // ASSUMED_CALLS
    local_response_norm(torch.zeros(1, least // 64, 8, 8))
    local_response_norm(torch.zeros(1, least // 64 - 1, 8, 8))
    local_response_norm(torch.zeros(1, least // 64, 8, 8), compiled=False)
    assert compiled_inputs == []  # one image: there is nothing between its ends
    local_response_norm(torch.zeros(4, least // 256, 8, 8))
    assert compiled_inputs == [least]


def test_small_inputs_are_compiled_in_a_long_run(compiled_inputs: list[int]) -> None:
    layer, x = LocalResponseNorm(5, 2, 1e-4, 0.75), torch.zeros(4, 8, 8, 8)
    layer.compiled, layer.calls = None, MIN_ELEMENTS_TO_COMPILE / x.numel() - 1
    layer(x)
    assert compiled_inputs == []
    layer.calls += 1
    layer(x)
    assert compiled_inputs == [x.numel()]


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise RuntimeError("no g++ here\nat all")

    monkeypatch.setattr(lrn_compiled, "_compiled", missing)
    monkeypatch.setattr(lrn_compiled, "_failed", set())
    a = activities(3, 8, 4, 4).requires_grad_()
    with pytest.warns(UserWarning, match="LRN could not be compiled.*no g\\+\\+ here$") as caught:
        first = local_response_norm(a, compiled=True)
        second = local_response_norm(a, compiled=True)
        first.sum().backward()
    assert len(caught) == 1
    torch.testing.assert_close(first, local_response_norm(a, compiled=False))
    assert torch.equal(first, second)


def test_without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is not hidden, and the next batch is compiled for again."""

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 MiB")

    failed: set[object] = set()
    monkeypatch.setattr(lrn_compiled, "_compiled", full)
    monkeypatch.setattr(lrn_compiled, "_failed", failed)
    with pytest.raises(torch.OutOfMemoryError):
        local_response_norm(activities(3, 8, 4, 4), compiled=True)
    assert not failed


def test_inside_a_compiled_network() -> None:
    a = activities(3, 8, 4, 4).requires_grad_()
    whole = torch.compile(nn.Sequential(nn.ReLU(), _Norm()), fullgraph=True)(a)
    alone = local_response_norm(a.relu(), columns=2)
    torch.testing.assert_close(whole, alone)
    torch.testing.assert_close(
        torch.autograd.grad(whole.square().sum(), a), torch.autograd.grad(alone.square().sum(), a)
    )


class _Norm(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return local_response_norm(x, columns=2)


def test_spatial_norm_is_the_programs() -> None:
    a = np.random.default_rng(2).normal(0, 60, (1, 2, 6, 7))
    expected = np.empty_like(a)
    for image, i, y, x in np.ndindex(*a.shape):
        window = a[image, i, max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
        expected[image, i, y, x] = a[image, i, y, x] / (1 + 1e-3 / 25 * (window**2).sum()) ** 0.75
    np.testing.assert_allclose(SpatialResponseNorm()(torch.from_numpy(a)).numpy(), expected, rtol=1e-12)
