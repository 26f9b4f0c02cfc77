"""The scan's statistics against numpy, its list of bad files, its cache."""

from pathlib import Path

import numpy as np
import pytest

from alexnet.data import scan as scan_module
from alexnet.data.folders import list_folders
from alexnet.data.image_list import ImageList
from alexnet.data.scan import DatasetScan, cached_scan, scan_images
from alexnet.data.walk import Walk
from alexnet.errors import UserError


def scanned(images: ImageList, cache: Path, workers: int = 2) -> DatasetScan:
    cache.mkdir(exist_ok=True)
    return scan_images(images, 32, cache, workers, "Reading")


def test_statistics(image_tree: Path, tmp_path: Path) -> None:
    images, _ = list_folders(Walk(image_tree), 0.1)
    scan = scanned(images, tmp_path)
    stack = np.stack([images.decode(row, 32) for row in range(len(images))]).astype(np.float64)
    np.testing.assert_allclose(scan.statistics.mean, stack.mean(0), rtol=1e-6)
    pixels = stack.transpose(1, 0, 2, 3).reshape(3, -1)
    covariance = np.cov(pixels, bias=True)
    vectors = scan.statistics.eigenvectors.astype(np.float64)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(
        vectors * scan.statistics.eigenvalues @ vectors.T, covariance, rtol=1e-4, atol=1e-2
    )
    assert list(scan.statistics.eigenvalues) == sorted(scan.statistics.eigenvalues, reverse=True)


def test_does_not_depend_on_the_threads(image_tree: Path, tmp_path: Path) -> None:
    images, _ = list_folders(Walk(image_tree), 0.1)
    one, four = scanned(images, tmp_path / "a", 1), scanned(images, tmp_path / "b", 4)
    np.testing.assert_array_equal(one.statistics.mean, four.statistics.mean)
    np.testing.assert_array_equal(one.statistics.eigenvalues, four.statistics.eigenvalues)


def test_bad_files_are_named_with_their_reason(image_tree: Path, tmp_path: Path) -> None:
    (image_tree / "train/cat/cat0.jpg").write_bytes(b"")
    (image_tree / "train/dog/dog1.jpg").write_text("no image")
    images, _ = list_folders(Walk(image_tree), 0.1)
    scan = scanned(images, tmp_path)
    assert {images.path(row) for row in scan.unreadable} == {"train/cat/cat0.jpg", "train/dog/dog1.jpg"}
    assert all(scan.unreadable.values())


def test_cache_notices_a_change(image_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scans = []
    real = scan_module._scan
    monkeypatch.setattr(scan_module, "_scan", lambda *args: scans.append(1) or real(*args))
    images, _ = list_folders(Walk(image_tree), 0.1)
    first, again = scanned(images, tmp_path), scanned(images, tmp_path)
    assert len(scans) == 1
    np.testing.assert_array_equal(first.statistics.mean, again.statistics.mean)
    assert first.unreadable == again.unreadable
    (image_tree / "train/cat/cat0.jpg").write_bytes(b"")
    assert scanned(list_folders(Walk(image_tree), 0.1)[0], tmp_path).unreadable
    assert len(scans) == 2


@pytest.mark.parametrize("left", [0, 200, -100])
def test_a_damaged_scan_is_repeated(image_tree: Path, tmp_path: Path, left: int) -> None:
    images, _ = list_folders(Walk(image_tree), 0.1)
    first = scanned(images, tmp_path / "cache")
    (stored,) = (tmp_path / "cache").glob("*.npz")
    whole = stored.read_bytes()
    stored.write_bytes(whole[:left])
    assert cached_scan(images, 32, tmp_path / "cache") is None
    again = scanned(images, tmp_path / "cache")
    np.testing.assert_array_equal(again.statistics.mean, first.statistics.mean)
    assert stored.read_bytes() == whole


def test_no_readable_image(image_tree: Path, tmp_path: Path) -> None:
    images, _ = list_folders(Walk(image_tree), 0.1)
    for row in range(len(images)):
        (images.root / images.path(row)).write_bytes(b"")
    with pytest.raises(UserError, match="none of 12 files is a readable image"):
        scanned(images, tmp_path)
