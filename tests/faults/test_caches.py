"""Caches and packs: of another version, made by several programs, on a disk that becomes read-only."""

import hashlib
import io
import os
import tarfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision
from disk import read_only
from hydra import compose, initialize_config_dir

from alexnet.config import PrepareConfig
from alexnet.config.reading import read_config
from alexnet.data import locks, pack_writer
from alexnet.data.fetching import ensure_fetched
from alexnet.data.loading import open_data
from alexnet.data.locks import exclusive
from alexnet.data.pack_writer import make_pack
from alexnet.errors import UserError
from alexnet.files import load_npz, save_npz
from conftest import PROJECT, save_image


def prepare_config(*overrides: str) -> PrepareConfig:
    """conf/prepare.yaml with overrides, as prepare.py reads it."""
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        return read_config(compose("prepare", list(overrides)), PrepareConfig)


@pytest.fixture
def config(image_tree: Path) -> PrepareConfig:
    """Settled images, which are listed only once, and a pack at <folder of the images>/../pack."""
    for path in (image_tree, *image_tree.rglob("*")):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    folder = image_tree.parent
    return prepare_config(
        "data=folder", f"data.root={image_tree}", f"data.cache={folder}/cache", f"data.pack={folder}/pack"
    )


@pytest.mark.parametrize("kind", ["lists", "scans"])
def test_a_cache_of_another_version(config: PrepareConfig, kind: str) -> None:
    """Whatever it lacks, it is made again, and then is what it was before."""
    config.data.pack = None
    expected = open_data(config.data).fingerprint()
    caches = list((Path(config.data.cache) / kind).glob("*.npz"))
    assert caches
    for path in caches:
        arrays, notes = load_npz(path)
        lacking = [(arrays, {key: notes[key] for key in notes if key != lost}) for lost in notes]
        lacking += [({key: arrays[key] for key in arrays if key != lost}, notes) for lost in arrays]
        for fewer_arrays, fewer_notes in (*lacking, (arrays, None), (arrays, [])):
            save_npz(path, fewer_arrays, fewer_notes)
            assert open_data(config.data).fingerprint() == expected
            again, notes_again = load_npz(path)
            assert (again.keys(), notes_again) == (arrays.keys(), notes)


@pytest.mark.parametrize("harm", ["plan", "progress"])
def test_an_unfinished_pack_of_another_version(
    config: PrepareConfig, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    """It is begun again; a damaged one, too."""
    partial = Path(f"{config.data.pack}.partial")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pack_writer, "_write_statistics", _stop)
        make_pack(config)
    if harm == "plan":
        (partial / "plan.json").write_text("{")
    else:
        arrays, notes = load_npz(partial / "train_progress.npz")
        del notes["suspects"]
        save_npz(partial / "train_progress.npz", arrays, notes)
    pack = make_pack(config)
    assert (len(pack.train.rows), len(pack.val.rows)) == (12, 6)
    assert not partial.exists()


def _stop(*_: Any) -> None:
    raise KeyboardInterrupt


def test_several_programs_make_the_same_pack(config: PrepareConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """One makes it, the others wait for it."""
    make, made = pack_writer._make, []

    def counting(*arguments: Any) -> None:
        made.append(threading.get_ident())
        make(*arguments)

    monkeypatch.setattr(pack_writer, "_make", counting)
    with ThreadPoolExecutor(4) as pool:
        packs = list(pool.map(make_pack, [config] * 4))
    assert len(made) == 1
    assert len({pack.fingerprint for pack in packs}) == 1


def test_waiting_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """But not where the other is done soon."""
    monkeypatch.setattr(locks, "NOTICE_SECONDS", 0.1)
    order = []

    def second() -> None:
        with exclusive(tmp_path / "lock", "the pack x", "data.pack"):
            order.append("second")

    with ThreadPoolExecutor(1) as pool:
        with exclusive(tmp_path / "lock", "the pack x", "data.pack"):
            waiting = pool.submit(second)
            while "Waiting" not in capsys.readouterr().out:
                time.sleep(0.01)
            order.append("first")
        waiting.result()
    assert order == ["first", "second"]
    second()
    assert capsys.readouterr().out == ""


def test_a_read_only_disk(config: PrepareConfig, tmp_path: Path) -> None:
    """What is to be made on it is told in a line; what is there is used."""
    disk = tmp_path / "disk"
    disk.mkdir()
    synthetic = prepare_config("data=synthetic", f"data.root={disk}").data
    config.data.pack = str(disk / "pack")
    with read_only(disk) as reason:
        for make in (lambda: make_pack(config), lambda: ensure_fetched(synthetic, 1)):
            with pytest.raises(UserError) as refused:
                make()
            assert str(refused.value).startswith(f"Cannot write to {disk}: {reason}. Give another folder: ")
    made = make_pack(config)
    with read_only(disk):
        assert make_pack(config).fingerprint == made.fingerprint
        assert open_data(config.data).fingerprint() == made.fingerprint


def test_a_disk_that_becomes_read_only(config: PrepareConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a pack: the same command continues it once the disk can be written to."""
    write, decoded = pack_writer._write_statistics, []
    monkeypatch.setattr(pack_writer, "_write_statistics", _remounted)
    with pytest.raises(UserError, match=r"Read-only file system\. .* the same command continues it\.$"):
        make_pack(config)
    monkeypatch.setattr(pack_writer, "_write_statistics", write)
    decode = pack_writer.DamageDetector.decode

    def counting(*arguments: Any) -> Any:
        decoded.append(arguments)
        return decode(*arguments)

    monkeypatch.setattr(pack_writer.DamageDetector, "decode", counting)
    assert len(make_pack(config).train.rows) == 12
    assert len(decoded) == 6  # those for training were kept


def _remounted(*_: Any) -> None:
    raise OSError(30, "Read-only file system")


@contextmanager
def served(whole: bytes, cut: threading.Event) -> Iterator[str]:
    """A server of one file, of which only half arrives while `cut` is set."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(whole)))
            self.end_headers()
            self.wfile.write(whole[: len(whole) // 2] if cut.is_set() else whole)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/imagenette2-320.tgz"
        server.shutdown()
        thread.join()


def test_an_interrupted_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an archive is told from a whole one, and downloaded again."""
    save_image(tmp_path / "made/imagenette2-320/train/n01440764/a.JPEG", np.random.default_rng(0))
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        archive.add(tmp_path / "made", ".")
    whole, root, cut = content.getvalue(), tmp_path / "data", threading.Event()
    root.mkdir()
    cut.set()
    settings = prepare_config("data=imagenette", f"data.root={root}").data
    with served(whole, cut) as url:
        archives = {"320px": (url, hashlib.md5(whole).hexdigest())}
        monkeypatch.setattr(torchvision.datasets.Imagenette, "_ARCHIVES", archives)
        with pytest.raises(UserError, match=r"Imagenette is not in .* and could not be downloaded"):
            ensure_fetched(settings, 1)
        assert settings.find(root) is None
        cut.clear()
        folder = ensure_fetched(settings, 1)
    assert [path.name for path in folder.rglob("*.JPEG")] == ["a.JPEG"]
    assert {path.name for path in root.iterdir()} <= {folder.name, ".lock"}
