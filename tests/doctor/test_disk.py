"""Full disks, slow disks, and folders that cannot be written."""

import os
from pathlib import Path

import pytest

from alexnet.doctor import capacity
from alexnet.doctor.capacity import (
    MARGIN,
    DiskUse,
    ResourceEstimate,
    assess_write_speed,
    check_disk_space,
    check_write_speed,
    estimate_disk_use,
    scratch_folder,
)
from alexnet.doctor.report import Status
from alexnet.errors import UserError
from conftest import compose_config

ESTIMATE = ResourceEstimate(weights=250_000_000, memory=0)


@pytest.mark.parametrize(
    ("overrides", "checkpoints"),
    [
        ((), 1.25e9),  # last.ckpt twice, while a new one is written, and best.ckpt
        (("callbacks.checkpoint.best=false",), 1e9),
        (("callbacks.checkpoint.last=false",), 0.5e9),
        (("callbacks.checkpoint.last=false", "callbacks.checkpoint.best=false"), 0),
    ],
)
def test_what_a_run_writes(overrides: tuple[str, ...], checkpoints: float) -> None:
    outputs, cache = estimate_disk_use(compose_config(*overrides), ESTIMATE, 1_000_000, download=False)
    assert (outputs.key, outputs.bytes) == ("outputs", checkpoints + MARGIN)
    assert cache.key == "data.cache"
    assert 0.1e9 < cache.bytes < 0.5e9  # lists of a million images


def test_a_download_needs_room_too(tmp_path: Path) -> None:
    (tmp_path / "imagenette").mkdir()
    config = compose_config("data=imagenette", f"data.root={tmp_path / 'imagenette'}")
    *_, data = estimate_disk_use(config, ESTIMATE, 0, download=True)
    assert (data.key, data.path.name) == ("data.root", "imagenette")
    assert data.bytes > 6e8


def test_room(tmp_path: Path) -> None:
    """Folders on one filesystem need room together, also those that are not there yet."""
    spaces = [DiskUse("outputs", tmp_path / "a/b", 2e9), DiskUse("data.cache", tmp_path, 1e9)]
    (enough,) = check_disk_space(spaces, lambda _: 3.1e9)
    assert (enough.status, enough.message) == (
        Status.ok,
        "3.1 GB free for outputs and data.cache, about 3.0 GB needed",
    )
    (short,) = check_disk_space(spaces, lambda _: 2.9e9)
    assert short.status is Status.failed
    assert "outputs=<folder>, data.cache=<folder>" in short.advice
    assert "callbacks.checkpoint.last=false" in short.advice


def test_filesystems_are_distinguished(tmp_path: Path) -> None:
    elsewhere = Path("/proc/self")
    if elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("only one filesystem")
    spaces = [DiskUse("outputs", tmp_path, 2e9), DiskUse("data.cache", elsewhere, 1e9)]
    one, other = check_disk_space(spaces, lambda folder: 1.5e9)
    assert (one.status, other.status) == (Status.failed, Status.ok)


def test_free_space_is_the_filesystem_s(tmp_path: Path) -> None:
    status = os.statvfs(tmp_path)
    (finding,) = check_disk_space([DiskUse("outputs", tmp_path / "new", 1)])
    free = float(finding.message.split(" GB free")[0])
    assert free == pytest.approx(status.f_bavail * status.f_frsize / 1e9, abs=1)


def test_writing(tmp_path: Path) -> None:
    (finding,) = check_write_speed(tmp_path, ESTIMATE)
    assert finding.message.startswith("64 MB written at ")
    assert (tmp_path / "written").stat().st_size == 64_000_000


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(capacity.os, "fsync", full)
    with pytest.raises(UserError, match=r"64 MB cannot be written \(No space left on device\)"):
        list(check_write_speed(tmp_path, ESTIMATE))


def test_a_slow_disk() -> None:
    assert assess_write_speed(100e6, ESTIMATE).status is Status.ok
    slow = assess_write_speed(10e6, ESTIMATE)
    assert slow.status is Status.warning
    assert "last.ckpt takes 50.0 s an epoch" in slow.message


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    outputs = tmp_path / "a" / "b"
    with scratch_folder(outputs) as scratch:
        (scratch / "file").touch()
        assert scratch.parent == outputs
    assert list(tmp_path.iterdir()) == []
    outputs.mkdir(parents=True)
    with scratch_folder(outputs):
        (outputs / "of a run").touch()
    assert [path.name for path in outputs.iterdir()] == ["of a run"]


def test_outputs_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "outputs").touch()
    for outputs in (tmp_path / "outputs", tmp_path / "outputs" / "inside"):
        with (
            pytest.raises(UserError, match=r"no folder can be made there \(.+\). Give another: outputs="),
            scratch_folder(outputs),
        ):
            pass
    assert (tmp_path / "outputs").is_file()
