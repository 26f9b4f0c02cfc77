"""LRN against plain loops written from the paper's formula."""

import numpy as np
import pytest
import torch
from torch import nn

from alexnet.model.lrn import SpatialResponseNorm, local_response_norm


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


@pytest.mark.parametrize(
    ("maps", "n", "beta"), [(8, 5, 0.75), (3, 5, 0.75), (1, 5, 0.75), (7, 3, 0.5), (6, 1, 1.0)]
)
def test_is_the_papers_formula(maps: int, n: int, beta: float) -> None:
    a = np.random.default_rng(0).normal(0, 60, (2, maps, 3, 4))
    ours = local_response_norm(torch.from_numpy(a), size=n, k=2, alpha=1e-4, beta=beta)
    np.testing.assert_allclose(ours.numpy(), plain_lrn(a, n, 2, 1e-4, beta), rtol=1e-12)


def test_windows_do_not_cross_columns() -> None:
    a = np.random.default_rng(1).normal(0, 60, (2, 12, 3, 3))
    ours = local_response_norm(torch.from_numpy(a), columns=2).numpy()
    halves = [plain_lrn(half, 5, 2, 1e-4, 0.75) for half in np.split(a, 2, axis=1)]
    np.testing.assert_allclose(ours, np.concatenate(halves, axis=1), rtol=1e-12)
    assert not np.allclose(ours, plain_lrn(a, 5, 2, 1e-4, 0.75), rtol=1e-6)


def test_torchs_module_divides_alpha_by_the_window() -> None:
    a = torch.randn(2, 16, 5, 5, generator=torch.Generator().manual_seed(0)) * 60
    torch.testing.assert_close(local_response_norm(a, alpha=2e-5), nn.LocalResponseNorm(5, 1e-4, 0.75, 2)(a))


@pytest.mark.parametrize("columns", [1, 2])
def test_gradient(columns: int) -> None:
    a = (torch.randn(2, 8, 2, 3, dtype=torch.float64) * 50).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: local_response_norm(x, columns=columns), a)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_memory_formats_and_half_precision(memory_format: torch.memory_format) -> None:
    a = (torch.randn(2, 8, 6, 6) * 60).contiguous(memory_format=memory_format)
    exact = local_response_norm(a.double(), columns=2)
    torch.testing.assert_close(local_response_norm(a, columns=2), exact.float())
    half = local_response_norm(a.bfloat16(), columns=2)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.double(), exact, rtol=2e-2, atol=1e-2)


def test_spatial_norm_is_the_programs() -> None:
    a = np.random.default_rng(2).normal(0, 60, (1, 2, 6, 7))
    expected = np.empty_like(a)
    for image, i, y, x in np.ndindex(*a.shape):
        window = a[image, i, max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
        expected[image, i, y, x] = a[image, i, y, x] / (1 + 1e-3 / 25 * (window**2).sum()) ** 0.75
    np.testing.assert_allclose(SpatialResponseNorm()(torch.from_numpy(a)).numpy(), expected, rtol=1e-12)
