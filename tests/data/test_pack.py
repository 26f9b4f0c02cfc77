"""Packs hold what the files hold, survive a kill, and are refused where they are damaged."""

import errno
import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alexnet.config import DataConfig, PackFormat, PrepareConfig
from alexnet.data import pack_writer
from alexnet.data.dataset import ImageDataset, PackedDataset
from alexnet.data.image import UNREADABLE, decode_image
from alexnet.data.image_list import ImageList
from alexnet.data.in_memory import InMemoryDataset
from alexnet.data.loading import ImageData, load_image_data
from alexnet.data.locations import pack_folder
from alexnet.data.pack_reader import Pack, open_pack
from alexnet.data.pack_writer import make_pack
from alexnet.errors import UserError
from conftest import PROJECT, compose_config, save_image


def config(root: Path, *overrides: str) -> DataConfig:
    typed = ("data=folder", f"data.root={root}", f"data.cache={root.parent}/cache", "data.resize_size=32")
    return compose_config(*typed, "data.max_unreadable=0.2", *overrides).data


def made(data: DataConfig, packed: PackFormat = PackFormat.raw, quality: int = 90) -> Pack:
    return make_pack(PrepareConfig(data, packed, quality))


def read_all(images: ImageDataset) -> tuple[np.ndarray, list[int]]:
    out = np.empty((len(images), 3, 32, 32), np.uint8)
    return out, [images.read(index, out[index]) for index in range(len(images))]


@pytest.fixture
def bad_tree(image_tree: Path) -> Path:
    (image_tree / "train/cat/cat2.jpg").write_bytes(b"")
    (image_tree / "val/dog/dog0.jpg").write_text("no image")
    (image_tree / "train/dog/notes.txt").write_text("x")
    return image_tree


def both(bad_tree: Path, packed: PackFormat) -> tuple[ImageData, ImageData]:
    settings = config(bad_tree)
    files = load_image_data(settings)
    folder = made(settings, packed).folder
    data = load_image_data(settings)
    assert data.origin == f"{packed.value} pack {folder}"
    return files, data


@pytest.mark.parametrize("packed", PackFormat)
def test_holds_what_the_files_hold(bad_tree: Path, packed: PackFormat) -> None:
    files, data = both(bad_tree, packed)
    assert data.classes == files.classes
    assert data.fingerprint == files.fingerprint + ("-jpeg90" if packed is PackFormat.jpeg else "")
    assert (data.excluded, data.unreadable) == (files.excluded, files.unreadable)
    assert data.unreadable == 2
    for name in ("mean", "eigenvectors", "eigenvalues"):
        np.testing.assert_array_equal(getattr(data.statistics, name), getattr(files.statistics, name))
    for packed_split, split in ((data.train, files.train), (data.val, files.val)):
        (pixels, labels), (expected, same) = read_all(packed_split), read_all(split)
        assert labels == same
        assert [packed_split.path(i) for i in range(len(split))] == [split.path(i) for i in range(len(split))]
        if packed is PackFormat.raw:
            np.testing.assert_array_equal(pixels, expected)
        else:
            assert 0 < np.abs(pixels.astype(int) - expected).mean() < 4


@pytest.mark.parametrize("packed", PackFormat)
def test_in_memory(bad_tree: Path, packed: PackFormat) -> None:
    """The pack's images, and those of another pack in its place."""
    settings = config(bad_tree, "data.in_memory=true")
    for quality in (90, 50):
        pack = made(settings, packed, quality)
        expected, data = PackedDataset(pack.train), load_image_data(settings).train
        assert isinstance(data, InMemoryDataset)
        np.testing.assert_array_equal(data.pixels, read_all(expected)[0])
        assert read_all(data)[1] == expected.labels.tolist()
        shutil.rmtree(pack.folder)


def test_jpeg_quality(bad_tree: Path) -> None:
    """What is stored is a JPEG file of its own: the better, the larger and the nearer."""
    sizes, errors = [], []
    for quality in (30, 95):
        pack = made(config(bad_tree, f"data.pack={bad_tree.parent}/{quality}"), PackFormat.jpeg, quality)
        assert pack.train.ends is not None
        first = bytes(pack.train.images[: pack.train.ends[0]])
        original = decode_image((bad_tree / "train/cat/cat0.jpg").read_bytes(), 32)
        errors.append(np.abs(decode_image(first, 32).astype(int) - original).mean())
        sizes.append(int(pack.train.ends[-1]))
    assert sizes[0] < sizes[1]
    assert errors[0] > errors[1]


def test_manifest_and_statistics_say_what_is_inside(bad_tree: Path) -> None:
    folder = made(config(bad_tree)).folder
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["images"] == {"train": 12, "val": 6}
    assert manifest["excluded"]["train/cat/cat2.jpg"] == "empty file"
    assert manifest["excluded"]["train/dog/notes.txt"] == "not an image by its name"
    assert (manifest["classes"], manifest["class_names"]) == (["cat", "dog"], ["cat", "dog"])
    assert sorted(path.name for path in folder.iterdir()) == [
        "manifest.json",
        "statistics.npz",
        *(f"{split}_{kind}.npy" for split in ("train", "val") for kind in ("images", "labels", "names")),
    ]
    images, labels = (np.load(folder / f"train_{kind}.npy") for kind in ("images", "labels"))
    kept = images[labels >= 0].astype(np.float64)
    with np.load(folder / "statistics.npz") as arrays:
        np.testing.assert_allclose(arrays["mean"], kept.mean(0), rtol=1e-6)
        np.testing.assert_allclose(arrays["channel_means"], kept.mean((0, 2, 3)), rtol=1e-5)
        pixels = kept.transpose(1, 0, 2, 3).reshape(3, -1)
        vectors, deviations = arrays["eigenvectors"].astype(np.float64), arrays["standard_deviations"]
        np.testing.assert_allclose((vectors.T @ pixels).std(1), deviations, rtol=1e-4)


def test_a_missing_pack(image_tree: Path) -> None:
    with pytest.raises(UserError, match=r"data.pack=/nowhere: there is no pack"):
        load_image_data(config(image_tree, "data.pack=/nowhere"))


def test_each_setting_has_its_own(image_tree: Path) -> None:
    folders = {
        pack_folder(config(image_tree, *overrides))
        for overrides in ([], ["data.resize_size=64"], ["data.val_fraction=0.2"], ["data.name=other"])
    }
    assert len(folders) == 4
    assert pack_folder(config(image_tree, "data.pack=/somewhere")) == Path("/somewhere")


def test_another_format_in_the_same_place(image_tree: Path) -> None:
    made(config(image_tree))
    assert made(config(image_tree)).format is PackFormat.raw
    with pytest.raises(UserError, match="already holds a pack of format raw"):
        made(config(image_tree), PackFormat.jpeg)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}


@pytest.mark.parametrize("packed", PackFormat)
@pytest.mark.parametrize("survived", [1, 7, 13, 17])
def test_resumes_after_a_kill(
    bad_tree: Path, monkeypatch: pytest.MonkeyPatch, packed: PackFormat, survived: int
) -> None:
    monkeypatch.setattr(pack_writer, "CHUNK", 2)
    monkeypatch.setattr(pack_writer, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(pack_writer.os, "cpu_count", lambda: 1)  # so that it is known what a kill leaves
    whole = made(config(bad_tree, f"data.pack={bad_tree.parent}/whole"), packed)
    settings = config(bad_tree, f"data.pack={bad_tree.parent}/stopped")
    real, read = ImageList.decode, []

    def dying(images: ImageList, index: int, size: int, *inspect: Any) -> np.ndarray:
        if len(read) >= survived:
            raise KeyboardInterrupt
        read.append(index)
        return real(images, index, size, *inspect)

    monkeypatch.setattr(ImageList, "decode", dying)
    with pytest.raises(KeyboardInterrupt):
        made(settings, packed)
    assert not pack_folder(settings).exists()
    with pytest.raises(UserError, match="there is no pack"):
        load_image_data(settings)

    again: list[str] = []

    def counting(images: ImageList, index: int, size: int, *inspect: Any) -> np.ndarray:
        again.append(images.path(index))
        return real(images, index, size, *inspect)

    monkeypatch.setattr(ImageList, "decode", counting)
    stopped = made(settings, packed)
    assert len(again) == len(set(again))
    assert len(again) == 18 - survived // 2 * 2  # whole chunks are kept
    assert contents(stopped.folder) == contents(whole.folder)
    assert stopped.excluded == whole.excluded


@pytest.mark.slow
def test_a_real_kill(image_tree: Path) -> None:
    """kill -9 by the process itself while it packs; then the command once more."""
    folder = image_tree.parent / "pack"
    program = f"""
        import os, signal, sys, time
        sys.path[:0] = [{str(PROJECT / "src")!r}]
        from pathlib import Path
        from alexnet.data import pack_writer
        pack_writer.CHUNK, pack_writer.SAVE_SECONDS = 2, 0.0
        real = pack_writer.ImageList.decode
        progress = Path("{folder}.partial/train_progress.npz")
        def dying(images, index, size, *inspect):
            if index == 9:
                while pack_writer._Progress.load(progress, 256).done < 8:  # all rows before it
                    time.sleep(0.05)
                os.kill(os.getpid(), signal.SIGKILL)
            return real(images, index, size, *inspect)
        pack_writer.ImageList.decode = dying
        sys.argv = ["prepare.py", "data=folder", "data.root={image_tree}", "data.pack={folder}"]
        sys.argv += ["data.cache={image_tree.parent}/cache"]
        import prepare
        prepare.main()
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == -9, done.stderr
    assert not folder.exists()
    left = folder.with_name("pack.partial")
    assert (left / "train_progress.npz").is_file()
    settings = config(image_tree, f"data.pack={folder}", "data.resize_size=256")
    whole = made(config(image_tree, f"data.pack={image_tree.parent}/whole", "data.resize_size=256"))
    assert contents(made(settings).folder) == contents(whole.folder)
    assert not left.exists()


def test_begins_again_where_the_data_has_changed(image_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config(image_tree)

    def dying(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pack_writer, "_write_statistics", dying)
    with pytest.raises(KeyboardInterrupt):
        made(settings)
    monkeypatch.undo()
    save_image(image_tree / "train/cat/new.jpg", np.random.default_rng(5))
    assert len(made(settings).train.rows) == 13


def test_images_that_have_changed_since(image_tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = config(image_tree)
    folder = made(settings).folder
    (image_tree / "train/cat/cat1.jpg").unlink()
    with pytest.raises(UserError, match="have changed since they were packed"):
        load_image_data(settings)
    load_image_data(config(image_tree, f"data.pack={folder}"))  # asked for by name: reported, not refused
    assert "have changed since they were packed. " in capsys.readouterr().out


def test_a_pack_stands_without_its_files_and_anywhere(image_tree: Path) -> None:
    settings = config(image_tree)
    folder = made(settings).folder
    expected, labels = read_all(load_image_data(settings).train)
    image_tree.rename(image_tree.with_name("moved"))
    assert load_image_data(settings).origin == f"raw pack {folder}"
    copy = folder.rename(image_tree.with_name("copy"))
    pixels, same = read_all(load_image_data(config(Path("/nowhere"), f"data.pack={copy}")).train)
    np.testing.assert_array_equal(pixels, expected)
    assert same == labels


@pytest.mark.parametrize("name", ["train_labels.npy", "val_names.npy", "train_images.npy", "statistics.npz"])
def test_an_empty_file_in_a_pack(image_tree: Path, name: str) -> None:
    folder = made(config(image_tree)).folder
    (folder / name).write_bytes(b"")
    with pytest.raises(UserError, match=r"^.*: not a complete pack \(.+\)\. Give another data\.pack.*$"):
        open_pack(folder)


@pytest.mark.parametrize("harm", ["list", "classes", "root", "seen"])
def test_a_manifest_that_is_a_list_or_lacks_a_key(image_tree: Path, harm: str) -> None:
    folder = made(config(image_tree)).folder
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.pop(harm, None)
    (folder / "manifest.json").write_text(json.dumps([manifest] if harm == "list" else manifest))
    with pytest.raises(UserError, match=rf"^.*: not a complete pack \(.*{harm}.*\)\. Give another.*$"):
        open_pack(folder)


@pytest.mark.parametrize("harm", ["truncate", "manifest", "labels", "version", "statistics", "jpegs"])
def test_a_damaged_pack_is_refused(image_tree: Path, harm: str) -> None:
    folder = made(config(image_tree), PackFormat.jpeg if harm == "jpegs" else PackFormat.raw).folder
    if harm in ("truncate", "jpegs"):
        images = folder / ("train_images.npy" if harm == "truncate" else "train_images.jpegs")
        images.write_bytes(images.read_bytes()[:-100])
    elif harm == "manifest":
        (folder / "manifest.json").write_text("{")
    elif harm == "labels":
        np.save(folder / "val_labels.npy", np.zeros(3, np.int64))
    elif harm == "statistics":
        (folder / "statistics.npz").write_bytes((folder / "statistics.npz").read_bytes()[:200])
    else:
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps(manifest | {"version": 99}))
    with pytest.raises(UserError, match="not a complete pack"):
        open_pack(folder)


@pytest.mark.parametrize("packed", PackFormat)
def test_a_pack_that_is_harmed_while_it_is_open(image_tree: Path, packed: PackFormat) -> None:
    made(config(image_tree), packed)
    data = load_image_data(config(image_tree))
    images = data.train
    with images.split.file.open("r+b") as file:  # type: ignore[attr-defined]
        file.truncate(200)
    out = np.empty((3, 32, 32), np.uint8)
    assert images.read(11, out) == UNREADABLE
    assert set(data.newly_unreadable()) == {"train/dog/dog5.jpg"}


def test_too_little_disk(image_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = pack_writer.shutil.disk_usage(image_tree)
    monkeypatch.setattr(pack_writer.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(UserError, match=r"The pack needs .* GB .*data.pack=.*format=jpeg"):
        made(config(image_tree))


def test_a_disk_that_fills_up_during_a_write(image_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a write ends early, without an error."""
    real = pack_writer.os.pwrite
    monkeypatch.setattr(
        pack_writer.os, "pwrite", lambda file, pixels, offset: real(file, pixels[:-1], offset)
    )
    expected = r"train_images\.npy: No space left on device\. .* the same command continues it\.$"
    with pytest.raises(UserError, match=expected) as raised:
        made(config(image_tree))
    assert isinstance(raised.value.__cause__, OSError)
    assert raised.value.__cause__.errno == errno.ENOSPC


def test_a_class_of_bad_files(image_tree: Path) -> None:
    for path in (image_tree / "train/cat").iterdir():
        path.write_bytes(b"")
    with pytest.raises(UserError, match="Class 'cat'"):
        made(config(image_tree))


def test_too_many_bad_files(bad_tree: Path) -> None:
    """All are listed first; once so many are allowed, what was decoded is used."""
    settings = config(bad_tree, "data.max_unreadable=0.1")
    with pytest.raises(UserError, match=r"2 of 18 images \(11%\).*All are listed in (.*\.csv)") as refused:
        made(settings)
    named = Path(str(refused.value).partition("listed in ")[2].partition(".csv")[0] + ".csv").read_text()
    assert "train/cat/cat2.jpg,empty file" in named
    assert "val/dog/dog0.jpg,cannot identify image file" in named
    with pytest.raises(UserError, match="2 of 18 images"):  # from the files as well
        load_image_data(settings)
    settings.max_unreadable = 0.12
    assert len(made(settings).train.rows) == 11


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the process's memory from /proc")
def test_a_million_images_open_at_once(tmp_path: Path) -> None:
    """The size of ImageNet: in under a second, its index in under 200 MB (sparse files, 252 GB by name)."""
    train, val, size = 1_281_167, 50_000, 256
    for name, count in (("train", train), ("val", val)):
        shape = (count, 3, size, size)
        np.lib.format.open_memmap(tmp_path / f"{name}_images.npy", "w+", np.uint8, shape)
        np.save(tmp_path / f"{name}_labels.npy", np.arange(count, dtype=np.int64) % 1000)
        names = np.array([f"ILSVRC2012_img_train.tar/n00000000/n00000000_{i}.JPEG" for i in range(1000)], "S")
        np.save(tmp_path / f"{name}_names.npy", np.resize(names, count))
    np.savez(
        tmp_path / "statistics.npz",
        mean=np.zeros((3, size, size), np.float32),
        eigenvectors=np.eye(3),
        eigenvalues=np.ones(3),
    )
    manifest = {
        "version": pack_writer.PACK_VERSION,
        "format": "raw",
        "val_source": "",
        "held_out": False,
        "damaged": {},
        "images": {"train": train, "val": val},
    }
    manifest |= {"classes": [str(i) for i in range(1000)], "excluded": {}, "unreadable": 0}
    manifest |= {"fingerprint": "0", "root": "/nowhere", "seen": {}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    program = f"""
        import sys, time
        sys.path[:0] = [{str(PROJECT / "src")!r}]
        from pathlib import Path
        import numpy as np
        from alexnet.data.dataset import PackedDataset
        from alexnet.data.sampling import GlobalBatchSampler
        from alexnet.data.pack_reader import open_pack
        def memory():
            return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
        before, began = memory(), time.perf_counter()
        pack = open_pack(Path({str(tmp_path)!r}))
        images = PackedDataset(pack.train)
        seconds, opened = time.perf_counter() - began, memory() - before
        out = np.empty((3, {size}, {size}), np.uint8)
        assert images.read({train - 1}, out) == {(train - 1) % 1000} and out.sum() == 0
        assert images.path(1) == "ILSVRC2012_img_train.tar/n00000000/n00000000_1.JPEG"
        print(seconds, opened, memory() - before)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    seconds, opened, read = map(float, done.stdout.split())
    print(f"opened in {seconds:.3f} s, index {opened:.0f} MB, with a read {read:.0f} MB")
    assert 10 < opened <= read < 200
