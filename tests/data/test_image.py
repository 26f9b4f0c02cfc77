"""Decoding: every kind of file that a class folder may hold."""

import signal
import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data.image import ImageError, decode_image
from alexnet.runs.signals import InterruptionError, interrupt_on_signals
from conftest import real_images, save_image


def read_image(path: Path, size: int) -> np.ndarray:
    return decode_image(path.read_bytes(), size)


def gradient(width: int, height: int) -> Image.Image:
    """Red grows to the right, green downwards."""
    x = np.linspace(0, 255, width)[None, :].repeat(height, 0)
    y = np.linspace(0, 255, height)[:, None].repeat(width, 1)
    return Image.fromarray(np.stack([x, y, np.full_like(x, 128)], -1).astype(np.uint8))


def test_is_the_resized_centre(tmp_path: Path) -> None:
    """As the paper has it: shorter side to size, then the centre square."""
    gradient(400, 300).save(tmp_path / "a.png")
    ours = read_image(tmp_path / "a.png", 64)
    resized = gradient(400, 300).resize((85, 64), Image.Resampling.BILINEAR)
    left = (85 - 64) / 2
    expected = np.asarray(resized)[:, round(left) : round(left) + 64].transpose(2, 0, 1)
    assert ours.shape == (3, 64, 64)
    assert ours.dtype == np.uint8
    assert np.abs(ours.astype(int) - expected.astype(int)).max() <= 3


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA", "LA", "1", "I;16", "RGB"])
def test_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    grey = gradient(90, 80).convert("L")
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    else:
        image = grey.convert(mode)
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    image.save(path)
    square = read_image(path, 32)
    expected = np.asarray(grey.resize((32, 32), Image.Resampling.BILINEAR, box=(5, 0, 85, 80)))
    tolerance = 130 if mode == "1" else 6
    for channel in square:
        assert np.abs(channel.astype(int) - expected.astype(int)).max() <= tolerance


def test_exif_rotation(tmp_path: Path) -> None:
    upright = gradient(80, 80)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise for viewing
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a.jpg", exif=exif, quality=95)
    upright.save(tmp_path / "b.jpg", quality=95)
    turned, expected = (read_image(tmp_path / name, 40).astype(int) for name in ("a.jpg", "b.jpg"))
    assert np.abs(turned - expected).max() <= 8


def test_one_pixel_and_a_sliver(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), (10, 200, 30)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", 16).reshape(3, -1).std(1).max() == 0
    gradient(20_000, 1).save(tmp_path / "b.png")
    assert read_image(tmp_path / "b.png", 16).shape == (3, 16, 16)


def test_png_named_jpeg(tmp_path: Path) -> None:
    gradient(50, 50).save(tmp_path / "a.JPEG", format="PNG")
    assert read_image(tmp_path / "a.JPEG", 16).shape == (3, 16, 16)


def test_real_photographs(tmp_path: Path) -> None:
    """Every 30th of Imagenette's files, grey ones among them, against a plain resize by Pillow."""
    with tarfile.open(real_images() / "imagenette2-224.tar.gz") as archive:
        members = [m for m in archive if m.name.endswith(".JPEG")][::30]
        archive.extractall(tmp_path, members=members, filter="data")
    paths = sorted(tmp_path.rglob("*.JPEG"))
    modes = set()
    for path in paths:
        with Image.open(path) as image:
            modes.add(image.mode)
            plain = np.asarray(image.convert("RGB").resize((256, 256), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(read_image(path, 256), plain.transpose(2, 0, 1))
    assert len(paths) == 447
    assert modes == {"RGB", "L"}


def test_broken_files_give_a_reason(tmp_path: Path) -> None:
    save_image(tmp_path / "whole.jpg", np.random.default_rng(0), (200, 200))
    whole = (tmp_path / "whole.jpg").read_bytes()
    broken = {
        "truncated.jpg": whole[: len(whole) // 2],
        "empty.jpg": b"",
        "text.jpg": b"this is not an image",
        "half_a_header.png": b"\x89PNG\r\n\x1a\n\x00",
    }
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ImageError, match=r"\w"):
            read_image(tmp_path / name, 16)
    with pytest.raises(ImageError, match=r"cannot identify image file$"):
        read_image(tmp_path / "text.jpg", 16)


def photograph(width: int, height: int) -> Image.Image:
    """Smooth shapes and some grain."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(float)
    return Image.fromarray((smooth + rng.normal(0, 6, smooth.shape)).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("size", [(2048, 1600), (1300, 4100), (900, 700)])
def test_large_jpegs_are_decoded_on_a_coarser_grid(
    tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As good as decoding every pixel, and that is not done where it can be helped."""
    photograph(*size).save(tmp_path / "a.jpg", quality=92)
    grids = []
    real = Image.Image.load
    monkeypatch.setattr(Image.Image, "load", lambda image: grids.append(image.size) or real(image))
    ours = read_image(tmp_path / "a.jpg", 128).astype(int)
    assert min(grids[0]) <= min(size) / 2
    assert min(grids[0]) >= 2 * 128
    monkeypatch.undo()
    with Image.open(tmp_path / "a.jpg") as image:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        box = (left, top, left + side, top + side)
        plain = np.asarray(image.resize((128, 128), Image.Resampling.BILINEAR, box=box)).transpose(2, 0, 1)
    difference = np.abs(ours - plain)
    assert difference.mean() < 1
    assert np.quantile(difference, 0.999) < 8


@pytest.mark.parametrize("kind", ["baseline", "progressive", "grey", "exif", "comment"])
def test_plain_jpegs_do_not_need_pillow(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fast decoder reads them, to the same pixels."""
    image = photograph(300, 256).convert("L" if kind == "grey" else "RGB")
    exif = Image.Exif()
    exif[0x010E] = "a long description " * 200
    more = {
        "progressive": {"progressive": True},
        "exif": {"exif": exif},
        "comment": {"comment": b"\xff\xc0" * 50},
    }
    image.save(tmp_path / "a.jpg", quality=90, **more.get(kind, {}))
    with Image.open(tmp_path / "a.jpg") as again:
        pixels = np.asarray(again.convert("RGB"))[:, 22:278].transpose(2, 0, 1)
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("Pillow was asked"))
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg", 256), pixels)


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    """Wherever a JPEG is cut off, but for its last bytes, it is not taken for whole."""
    photograph(160, 120).save(tmp_path / "a.jpg", quality=80)
    whole = (tmp_path / "a.jpg").read_bytes()
    for length in range(0, len(whole) - 16, 97):
        with pytest.raises(ImageError):
            decode_image(whole[:length], 64)
    decode_image(whole, 64)


@pytest.mark.parametrize("progressive", [False, True])
def test_more_pixels_than_pillow_allows(progressive: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded on a coarser grid, unless that would take the memory of all of them."""
    file = BytesIO()
    photograph(1600, 1200).save(file, "JPEG", quality=92, progressive=progressive)
    expected = decode_image(file.getvalue(), 64)
    bitmap = BytesIO()
    photograph(1600, 1200).save(bitmap, "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200_000)  # a fifth of a megapixel stands for 89
    if progressive:
        with pytest.raises(ImageError, match="exceeds limit"):
            decode_image(file.getvalue(), 64)
    else:
        np.testing.assert_array_equal(decode_image(file.getvalue(), 64), expected)
        with pytest.raises(ImageError, match="480,000 pixels to decode, which would fill the memory"):
            decode_image(file.getvalue(), 300)
    with pytest.raises(ImageError, match="exceeds limit"):
        decode_image(bitmap.getvalue(), 64)


def test_a_signal_is_not_taken_for_a_damaged_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "open", lambda *_: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(InterruptionError, match="SIGTERM"), interrupt_on_signals():
        decode_image(b"not a JPEG file", 16)
