"""Files that decode although they are damaged: found, named, counted, and set aside if asked for."""

import os
import subprocess
import sys
import zlib
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.config import DataConfig, PackFormat, PrepareConfig
from alexnet.data.damage import DamageDetector, png_damage
from alexnet.data.folders import list_folders
from alexnet.data.image import decode_image
from alexnet.data.loading import load_image_data
from alexnet.data.pack_writer import make_pack
from alexnet.data.scan import scan_images
from alexnet.data.walk import Walk
from alexnet.errors import UserError
from conftest import PROJECT, compose_config, save_image

SIZE = 32


def noise(width: int = 96, height: int = 80, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def jpeg(image: Image.Image, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def flip_bits(data: bytes, seed: int = 0) -> bytes:
    """Flip a bit in each of 40 bytes of the second half, without new markers; the file ends as before."""
    rng, changed = np.random.default_rng(seed), bytearray(data)
    for place in rng.integers(len(data) // 2, len(data) - 16, 40):
        if 0xFF not in (data[place - 1], data[place], data[place] ^ 1):
            changed[place] ^= 1
    return bytes(changed)


def damaged_png(image: Image.Image) -> bytes:
    """A pixel changed, and the data compressed anew, under the checksum of before."""
    file = BytesIO()
    image.save(file, "PNG")
    data = file.getvalue()
    start = data.index(b"IDAT") - 4
    length = int.from_bytes(data[start : start + 4])
    lines = bytearray(zlib.decompress(data[start + 8 : start + 8 + length]))
    lines[100] ^= 1
    packed = zlib.compress(bytes(lines))
    rest = data[start + 8 + length :]  # the old checksum, and what follows
    return data[:start] + len(packed).to_bytes(4) + b"IDAT" + packed + rest


@pytest.fixture
def tree(image_tree: Path) -> Path:
    """One damaged file of each kind; and intact ones beside them."""
    for name, data in (
        ("cat/cat1.jpg", flip_bits(jpeg(noise(seed=1)))),
        ("cat/cat2.jpg", flip_bits(jpeg(noise(seed=3), progressive=True), 3)),
        ("dog/dog1.jpg", flip_bits(jpeg(noise(600, 500, seed=3)))),  # decoded by Pillow, on a coarser grid
        ("dog/dog2.jpg", damaged_png(noise(seed=4))),
        ("dog/dog3.jpg", jpeg(noise(600, 500, seed=3))),
    ):
        (image_tree / "train" / name).write_bytes(data)
        decode_image(data, SIZE)
    return image_tree


DAMAGED = {f"train/{name}.jpg" for name in ("cat/cat1", "cat/cat2", "dog/dog1", "dog/dog2")}


def config(tree: Path, *overrides: str) -> DataConfig:
    given = (f"data.root={tree}", f"data.cache={tree.parent}/cache", f"data.resize_size={SIZE}")
    return compose_config("data=folder", *given, *overrides).data


def test_they_are_named_counted_and_used(tree: Path, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()  # what the fixture decoded
    data = load_image_data(config(tree))
    shown = capfd.readouterr()
    assert set(data.damaged) == DAMAGED
    assert data.damaged["train/dog/dog2.jpg"] == "the checksum of its IDAT chunk is wrong"
    for name in ("cat/cat1", "cat/cat2", "dog/dog1"):
        assert data.damaged[f"train/{name}.jpg"].startswith("Corrupt JPEG data: ")
    assert (len(data.train), data.unreadable, data.excluded) == (12, 0, {})
    assert "4 images decode although their files are damaged, such as train/" in shown.out
    assert "data.exclude_damaged=true" in shown.out
    assert shown.err == ""  # no warning without a name
    (names,) = (tree.parent / "cache/scans").glob("*.damaged.csv")
    assert {line.partition(",")[0] for line in names.read_text().splitlines()[1:]} == DAMAGED
    again = load_image_data(config(tree))  # from the cache
    assert again.damaged == data.damaged
    np.testing.assert_array_equal(again.statistics.mean, data.statistics.mean)


def test_they_are_set_aside_if_asked_for(tree: Path) -> None:
    """The images, statistics and fingerprint are those without them; from files and from a pack."""
    asked = config(tree, "data.exclude_damaged=true", "data.max_unreadable=0.5")
    files = load_image_data(asked)
    pack = make_pack(PrepareConfig(asked, PackFormat.raw, 90))
    packed = load_image_data(asked)
    for name in DAMAGED:
        (tree / name).unlink()
    without = load_image_data(config(tree, f"data.cache={tree.parent}/other"))
    assert packed.origin == f"raw pack {pack.folder}"
    for data in (files, packed):
        assert set(data.excluded) == DAMAGED
        assert (len(data.train), data.unreadable, data.damaged) == (8, 4, {})
        assert data.fingerprint == without.fingerprint
        for ours, expected in zip(data.statistics, without.statistics, strict=True):
            np.testing.assert_array_equal(ours, expected)


@pytest.fixture
def interrupted(tree: Path) -> DataConfig:
    """Of a pack without damaged images, begun: it ends after all images are packed, as too many are."""
    few = config(tree, "data.exclude_damaged=true", "data.max_unreadable=0.01", f"data.pack={tree.parent}/p")
    with pytest.raises(UserError, match=r"data\.max_unreadable"):
        make_pack(PrepareConfig(few, PackFormat.raw, 90))
    return few


def test_packing_that_was_interrupted_sets_them_aside_once(interrupted: DataConfig) -> None:
    enough = replace(interrupted, max_unreadable=0.5)
    make_pack(PrepareConfig(enough, PackFormat.raw, 90))
    packed, files = load_image_data(enough), load_image_data(replace(enough, pack=None))
    assert len(packed.train) == len(files.train) == 8
    for ours, expected in zip(packed.statistics, files.statistics, strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_packing_that_was_interrupted_is_not_continued_for_other_images(interrupted: DataConfig) -> None:
    every = replace(interrupted, exclude_damaged=False)
    make_pack(PrepareConfig(every, PackFormat.raw, 90))
    assert len(load_image_data(every).train) == 12


def test_a_pack_names_them(tree: Path) -> None:
    asked = config(tree)
    files = load_image_data(asked)
    make_pack(PrepareConfig(asked, PackFormat.raw, 90))
    packed = load_image_data(asked)
    assert packed.damaged == files.damaged
    assert len(packed.train) == 12
    np.testing.assert_array_equal(packed.statistics.mean, files.statistics.mean)


def test_a_pack_of_intact_images_is_another(tree: Path) -> None:
    from alexnet.data.locations import pack_folder

    asked = config(tree)
    assert pack_folder(asked) != pack_folder(replace(asked, exclude_damaged=True))


@pytest.mark.parametrize("workers", [1, 4])
def test_whichever_thread_is_decoding(tree: Path, workers: int) -> None:
    """Only the damaged files are named, not those that other threads were decoding meanwhile."""
    for index in range(40):
        save_image(tree / f"train/cat/more{index}.jpg", np.random.default_rng(index), (120, 100))
    train, _ = list_folders(Walk(tree), 0.1)
    cache = tree.parent / f"cache{workers}"
    cache.mkdir()
    scan = scan_images(train, SIZE, cache, workers, "Reading")
    assert {train.path(row) for row in scan.damaged} == DAMAGED


def test_other_messages_reach_the_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    with DamageDetector():
        os.write(2, b"Corrupt JPEG data: bad Huffman code\nsomething else\n")
        os.write(2, b"and more\n")
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "something else\nand more\nafterwards\n"


def test_png_checksums() -> None:
    """Of intact files, cut ones, and ones with something appended: no damage by checksum."""
    file = BytesIO()
    noise().save(file, "PNG")
    data = file.getvalue()
    for intact in (data, data[:-30], data + b"more", jpeg(noise())):
        assert png_damage(intact) is None
    assert png_damage(damaged_png(noise())) == "the checksum of its IDAT chunk is wrong"
    assert png_damage(data[:-5] + b"\0" + data[-4:]) is not None


@pytest.mark.slow
def test_without_a_standard_error() -> None:
    """As of a program that runs in the background: nothing is printed, nothing fails."""
    program = (
        "import os; os.close(2); from alexnet.data.damage import DamageDetector\nwith DamageDetector(): pass"
    )
    command = [sys.executable, "-c", program]
    assert (
        subprocess.run(command, env=os.environ | {"PYTHONPATH": str(PROJECT / "src")}, check=False).returncode
        == 0
    )
