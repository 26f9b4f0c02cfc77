"""The survey's statistics against numpy, its list of bad files, its cache."""

from pathlib import Path

import numpy as np
import pytest

from alexnet.data import scan as survey_module
from alexnet.data.folders import Walk, list_folders
from alexnet.data.image_list import ImageList
from alexnet.data.scan import DatasetScan, scan_images
from alexnet.errors import UserError


def made(images: ImageList, cache: Path, workers: int = 2) -> DatasetScan:
    cache.mkdir(exist_ok=True)
    return scan_images(images, 32, cache, workers, "Reading")


def test_statistics(image_tree: Path, tmp_path: Path) -> None:
    images, _ = list_folders(Walk(image_tree), 0.1)
    found = made(images, tmp_path)
    squares = np.stack([images.square(row, 32) for row in range(len(images))]).astype(np.float64)
    np.testing.assert_allclose(found.statistics.mean, squares.mean(0), rtol=1e-6)
    pixels = squares.transpose(1, 0, 2, 3).reshape(3, -1)
    covariance = np.cov(pixels, bias=True)
    vectors = found.statistics.eigenvectors.astype(np.float64)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(
        vectors * found.statistics.eigenvalues @ vectors.T, covariance, rtol=1e-4, atol=1e-2
    )
    assert list(found.statistics.eigenvalues) == sorted(found.statistics.eigenvalues, reverse=True)


def test_does_not_depend_on_the_threads(image_tree: Path, tmp_path: Path) -> None:
    images, _ = list_folders(Walk(image_tree), 0.1)
    one, four = made(images, tmp_path / "a", 1), made(images, tmp_path / "b", 4)
    np.testing.assert_array_equal(one.statistics.mean, four.statistics.mean)
    np.testing.assert_array_equal(one.statistics.eigenvalues, four.statistics.eigenvalues)


def test_bad_files_are_named_with_their_reason(image_tree: Path, tmp_path: Path) -> None:
    (image_tree / "train/cat/cat0.jpg").write_bytes(b"")
    (image_tree / "train/dog/dog1.jpg").write_text("no image")
    images, _ = list_folders(Walk(image_tree), 0.1)
    found = made(images, tmp_path)
    assert {images.path(row) for row in found.unreadable} == {"train/cat/cat0.jpg", "train/dog/dog1.jpg"}
    assert all(found.unreadable.values())


def test_cache_notices_a_change(image_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    real = survey_module._scan
    monkeypatch.setattr(survey_module, "_scan", lambda *args: passes.append(1) or real(*args))
    images, _ = list_folders(Walk(image_tree), 0.1)
    first, again = made(images, tmp_path), made(images, tmp_path)
    assert len(passes) == 1
    np.testing.assert_array_equal(first.statistics.mean, again.statistics.mean)
    assert first.unreadable == again.unreadable
    (image_tree / "train/cat/cat0.jpg").write_bytes(b"")
    assert made(list_folders(Walk(image_tree), 0.1)[0], tmp_path).unreadable
    assert len(passes) == 2


def test_no_readable_image(image_tree: Path, tmp_path: Path) -> None:
    images, _ = list_folders(Walk(image_tree), 0.1)
    for row in range(len(images)):
        (images.root / images.path(row)).write_bytes(b"")
    with pytest.raises(UserError, match="none of 12 files is a readable image"):
        made(images, tmp_path)
