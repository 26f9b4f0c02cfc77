"""The data is counted and sampled; what is bad about it is named."""

import os
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10, Imagenette

from alexnet.config import DataConfig, PackFormat, PrepareConfig
from alexnet.data.image_list import ImageList
from alexnet.data.loading import load_image_data, open_data
from alexnet.data.pack_writer import make_pack
from alexnet.data.sources.cifar10 import CIFAR10Config
from alexnet.data.sources.imagenette import ImagenetteConfig
from alexnet.doctor import data as data_check
from alexnet.doctor.data import check_counts, check_download, check_sample, needs_download
from alexnet.doctor.report import Finding, Status
from alexnet.errors import UserError
from conftest import compose_config, save_image


@pytest.fixture
def config(image_tree: Path, tmp_path: Path) -> DataConfig:
    return compose_config(
        "data=folder", f"data.root={image_tree}", f"data.cache={tmp_path}/cache", "data.resize_size=32"
    ).data


def sample(config: DataConfig, workers: int = 2) -> Finding:
    (finding,) = check_sample(config, open_data(config, scan=False), workers)
    return finding


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def test_counts(config: DataConfig) -> None:
    assert not needs_download(config)
    (finding,) = check_counts(config, open_data(config, scan=False))
    assert finding.status is Status.ok
    assert "12 training and 6 validation images of 2 classes, from files in" in finding.message


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_good_sample(config: DataConfig, workers: int) -> None:
    finding = sample(config, workers)
    assert finding.status is Status.ok
    assert finding.message.startswith("18 of 18 images read, ")
    assert "the first training run decodes all once" in finding.message


def test_after_the_first_training(config: DataConfig, image_tree: Path) -> None:
    damage(image_tree / "train/cat/cat0.jpg")
    config.max_unreadable = 0.5
    assert sample(config).status is Status.warning
    load_image_data(config)
    opened = open_data(config, scan=False)
    assert "; 1 set aside" in next(check_counts(config, opened)).message
    finding = sample(config)
    assert finding.status is Status.ok
    assert finding.message.startswith("17 of 17 images read, ")
    assert "decodes" not in finding.message
    config.max_unreadable = 0.001
    with pytest.raises(UserError, match=r"1 of 18 images .* cannot be read"):
        open_data(config, scan=False)


def test_from_a_pack(config: DataConfig, image_tree: Path) -> None:
    pack = make_pack(PrepareConfig(config, PackFormat.raw, 90))
    (finding,) = check_counts(config, open_data(config, scan=False))
    assert f"12 training and 6 validation images of 2 classes, from raw pack {pack.folder}" in finding.message
    good = sample(config)
    assert (good.status, good.message[:21]) == (Status.ok, "18 of 18 images read,")
    assert "decodes" not in good.message
    opened = open_data(config, scan=False)
    os.truncate(pack.val.file, 1000)
    (bad,) = check_sample(config, opened, 2)
    assert bad.status is Status.failed
    assert "12 of 18 images read" in bad.message
    assert "the pack is truncated; and 3 more" in bad.message


def test_bad_files_are_named(config: DataConfig, image_tree: Path) -> None:
    damage(image_tree / "train/cat/cat3.jpg")
    damage(image_tree / "val/dog/dog1.jpg")
    finding = sample(config)
    assert finding.status is Status.failed  # of 18 images none may be bad
    assert "16 of 18 images read" in finding.message
    assert "Unreadable: train/cat/cat3.jpg: " in finding.message
    assert "; val/dog/dog1.jpg: " in finding.message
    assert "data.max_unreadable=0.001" in finding.advice
    config.max_unreadable = 0.2
    assert sample(config).status is Status.warning


@pytest.mark.parametrize(
    ("bad", "status"), [(1, Status.warning), (2, Status.warning), (3, Status.failed), (40, Status.failed)]
)
def test_a_sample_stands_for_the_whole(config: DataConfig, bad: int, status: Status) -> None:
    """Of 100,000 images 100 may be bad: three in a sample of 200 are too many by chance alone."""

    class Many:
        def __len__(self) -> int:
            return 100_000

    unreadable = {f"{number}.jpg": "cut off" for number in range(bad)}
    finding = data_check._assess_unreadable(config, Many(), unreadable, 200, "read")  # type: ignore[arg-type]
    assert finding.status is status
    assert ("and 37 more" in finding.message) == (bad == 40)


def test_a_slow_disk_does_not_hold_it_up(config: DataConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_check, "SAMPLE_SECONDS", 0.0)
    assert sample(config).message.startswith("1 of 1 images read")


def test_a_huge_data_set_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cat", "dog"):
        save_image(tmp_path / "images" / name / "0.jpg", np.random.default_rng(0))
        for index in range(1, 300):
            (tmp_path / "images" / name / f"{index}.jpg").symlink_to("0.jpg")
    given = ("data=folder", f"data.root={tmp_path}/images", f"data.cache={tmp_path}/cache")
    config = compose_config(*given, "data.resize_size=32").data
    read = []
    real = ImageList.decode
    monkeypatch.setattr(ImageList, "decode", lambda self, *given: read.append(given) or real(self, *given))
    assert sample(config).status is Status.ok
    assert len(read) == 200
    first = sorted(read)
    read.clear()
    sample(config)
    assert sorted(read) == first  # always the same


def test_missing_data_is_reported_as_by_train(tmp_path: Path) -> None:
    for given, expected in (
        (("data=folder", f"data.root={tmp_path}/none"), "there is no such folder"),
        ((f"data.pack={tmp_path}/none",), "there is no pack"),
    ):
        with pytest.raises(UserError, match=expected):
            needs_download(compose_config(*given).data)


def test_what_has_to_be_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = compose_config("data=imagenette", f"data.root={tmp_path}").data
    assert needs_download(config)
    monkeypatch.setattr(data_check, "check_reachable", lambda url, seconds: None)
    (finding,) = check_download(config)
    assert finding.status is Status.warning
    assert "340 MB" in finding.message

    def unreachable(url: str, seconds: float) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(data_check, "check_reachable", unreachable)
    with pytest.raises(UserError, match=r"could not be downloaded .*no route to host.*Put a copy"):
        list(check_download(config))
    assert list(tmp_path.iterdir()) == []


def test_downloads_are_torchvisions() -> None:
    cifar10, imagenette = CIFAR10Config.download, ImagenetteConfig.download
    assert (cifar10.url, cifar10.unpacked) == (CIFAR10.url, CIFAR10.base_folder)
    assert imagenette.url == Imagenette._ARCHIVES["320px"][0]
    assert imagenette.url.endswith(f"/{imagenette.unpacked}.tgz")


def test_torchvisions_copy_is_not_downloaded_again(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    assert not needs_download(compose_config("data=cifar10", f"data.root={tmp_path}").data)
