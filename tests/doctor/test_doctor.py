"""`python src/doctor.py` as a user runs it."""

import os
import runpy
import subprocess
import sys
from contextlib import nullcontext
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from alexnet.doctor import doctor
from alexnet.doctor.doctor import run_checks
from alexnet.doctor.report import Finding, Report, Status
from conftest import PROJECT, SMALL, Train, compose_config


def test_ready(train: Train, synthetic: tuple[str, ...]) -> None:
    """With the keys of a run on two devices, from another directory; nothing is left behind."""
    done = train(*SMALL, *synthetic, "trainer.devices=2", program="doctor.py")
    assert (done.status, done.err) == (0, ""), done.out
    lines = done.out.splitlines()
    assert [line.split()[1] for line in lines[:-2]] == [
        *("versions", "torchvision", "machine", "devices", "cpu", "compiler", "data", "sample", "network"),
        *("memory", "disk", "writing", "checkpoint", "distributed", "W&B"),
    ]
    assert all(line.startswith("ok  ") for line in lines[:-2])
    assert lines[-1] == "Ready."
    assert "61 training and 31 validation images of 10 classes" in done.out
    assert "2 processes over gloo" in done.out
    assert "not logged in" in done.out
    assert not done.outputs.exists()


def test_mistakes_in_one_line(train: Train) -> None:
    done = train("-m", "seed=0,1", program="doctor.py")
    assert (done.status, done.out) == (1, "")
    assert done.err == "Error: doctor.py takes one configuration at a time. Leave -m out.\n"


@pytest.mark.parametrize(("status", "code"), [(Status.ok, 0), (Status.warning, 0), (Status.failed, 1)])
def test_exit_status(monkeypatch: pytest.MonkeyPatch, status: Status, code: int) -> None:
    """Whatever the checks say: only a failure fails."""
    monkeypatch.setattr(doctor, "run_checks", lambda _, report: report.add(Finding("x", status, "seen")))
    monkeypatch.setattr(sys, "argv", ["doctor.py"])
    with pytest.raises(SystemExit) if code else nullcontext() as raised:
        runpy.run_path(str(PROJECT / "src/doctor.py"), run_name="__main__")
    assert raised is None or raised.value.code == code


def examined(*overrides: str) -> list[str]:
    """The lines of a report that is made in this process, less the compiler's, which takes its time."""
    shown = StringIO()
    report = Report(Console(file=shown, soft_wrap=True))
    run_checks(compose_config(*SMALL, "logger=csv", "performance.compile=none", *overrides), report)
    report.conclude()
    return shown.getvalue().splitlines()


def test_not_ready(image_tree: Path, tmp_path: Path) -> None:
    """Each problem has its line, and none of them ends the rest."""
    (image_tree / "train/cat/cat1.jpg").write_bytes(b"no image")
    (tmp_path / "outputs").write_text("a file")
    lines = examined(
        *("data=folder", f"data.root={image_tree}", f"data.cache={tmp_path}/cache", "trainer.devices=2"),
        *("data.batch_size=3", f"outputs={tmp_path}/outputs"),
    )
    devices, sample, outputs = [line for line in lines if line.startswith("FAILED")]
    assert "data.batch_size=3: the global batch does not divide evenly over 2 devices." in devices
    assert "Unreadable: train/cat/cat1.jpg:" in sample
    assert "no folder can be made there" in outputs
    assert lines[-1].startswith("3 of ")
    assert (tmp_path / "outputs").read_text() == "a file"


def test_data_that_is_not_there(tmp_path: Path) -> None:
    lines = examined("data=folder", f"data.root={tmp_path}/none", f"outputs={tmp_path}/outputs")
    (data,) = [line for line in lines if line.startswith("FAILED")]
    assert data == f"FAILED  data         data.root={tmp_path}/none: there is no such folder."
    assert any("1,000 classes, assumed while the data is missing" in line for line in lines)


def test_a_crop_larger_than_the_images(image_tree: Path, tmp_path: Path) -> None:
    """What train.py refuses is refused here."""
    given = ("data=folder", f"data.root={image_tree}", f"data.cache={tmp_path}/cache", "data.resize_size=64")
    lines = examined(*given, f"outputs={tmp_path}/outputs")
    (network,) = [line for line in lines if line.startswith("FAILED")]
    assert "model.image_size=227: larger than data.resize_size=64." in network


def test_malware_ends_it_before_it_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = doctor.installed_versions() | {"lightning": "2.6.3"}
    monkeypatch.setattr(doctor, "installed_versions", lambda: installed)
    first, advice, _, last = examined()
    assert "lightning 2.6.3: malware" in first
    assert "Nothing else was checked" in advice
    assert last == "1 of 1 checks failed."


def test_packages_are_judged_before_they_are_imported() -> None:
    code = "import sys, alexnet.doctor.doctor; sys.exit(bool({'torch', 'lightning'} & set(sys.modules)))"
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
