"""The wheel holds all that is needed, and its command runs the programs without the checkout."""

import os
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

from conftest import PROJECT, SMALL

PROGRAMS = {path.name for path in (PROJECT / "src").glob("*.py")}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist."""
    folder = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path) -> Path:
    """What pip would put into site-packages."""
    (wheel,) = built.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(built / "site-packages")
    return built / "site-packages"


def run(installed: Path, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command `alexnet` in `folder`."""
    code = "import sys; from alexnet.command import main; sys.argv[0] = 'alexnet'; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def files_in(folder: Path) -> set[Path]:
    """The files in a folder, relative to it; no caches."""
    return {
        path.relative_to(folder) for path in folder.rglob("*.*") if path.is_file() and path.suffix != ".pyc"
    }


def test_the_wheel_holds_packages_configuration_and_programs(installed: Path) -> None:
    """And nothing else."""
    expected = {Path(f"alexnet/conf/{file}") for file in files_in(PROJECT / "conf")}
    expected |= {Path(f"alexnet/programs/{name}") for name in PROGRAMS}
    for package in ("alexnet", "hydra_plugins"):
        expected |= {package / file for file in files_in(PROJECT / "src" / package)}
    found = files_in(installed)
    assert {file for file in found if f"alexnet_lab-{version()}.dist-info" not in file.parts} == expected


def version() -> str:
    return str(tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"])


def test_the_metadata(built: Path) -> None:
    """What pip and PyPI show; a list of files made by the build itself."""
    (wheel,) = built.glob("*.whl")
    with ZipFile(wheel) as archive:
        folder = f"alexnet_lab-{version()}.dist-info"
        metadata = archive.read(f"{folder}/METADATA").decode()
        assert f"{folder}/licenses/LICENSE" in archive.namelist()
    for line in (f"Version: {version()}", "License-Expression: MIT", "Author: The AlexNet Lab authors"):
        assert f"\n{line}\n" in metadata
    assert "# AlexNet Lab" in metadata  # the README, below the headers


def test_the_sdist_holds_what_git_does(built: Path) -> None:
    """The package with its configuration, and the pages about it; nothing that was left lying about."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {str(Path(*Path(name).parts[1:])) for name in archive.getnames()}
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "src", "conf"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    expected = set(tracked.stdout.split()) | {"PKG-INFO", ".gitignore", "pyproject.toml", "LICENSE"}
    assert names == expected | {"README.md", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md"}


def test_the_sdist_builds_the_wheel(built: Path, tmp_path: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "again")]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (first,), (again,) = built.glob("*.whl"), (tmp_path / "again").glob("*.whl")
    with ZipFile(first) as one, ZipFile(again) as other:
        assert sorted(one.namelist()) == sorted(other.namelist())


def test_the_command(installed: Path, tmp_path: Path) -> None:
    usage = run(installed, tmp_path, "--help").stdout
    assert "  train        Train a network.\n" in usage
    assert run(installed, tmp_path, "--version").stdout == f"AlexNet Lab {version()}\n"
    assert all(f"  {Path(name).stem}" in usage for name in PROGRAMS)
    assert run(installed, tmp_path).stdout == usage
    mistaken = run(installed, tmp_path, "trian")
    assert (mistaken.returncode, len(mistaken.stderr.splitlines())) == (1, 1)
    assert "Did you mean train?" in mistaken.stderr
    mistaken = run(installed, tmp_path, "train", "model.lnr=false")
    assert mistaken.stderr.startswith("Error: model.lnr: there is no such key. Did you mean lrn?")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_trains_sweeps_and_compares_in_the_current_folder(installed: Path, tmp_path: Path) -> None:
    data = ("data.synthetic.train_images=40", "data.synthetic.val_images=20", "data.batch_size=20")
    small = (*SMALL, *data, "logger=csv", "trainer.max_epochs=1")
    done = run(installed, tmp_path, "train", *small)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "outputs/runs").iterdir()
    assert "alexnet train -m study=history" in done.stdout or "alexnet train model.lrn=false" in done.stdout
    swept = run(installed, tmp_path, "train", "-m", *small, "model.lrn=true,false", "trainer.devices=2")
    assert swept.returncode == 0, swept.stderr
    assert len(list((tmp_path / "outputs/sweeps").rglob("result.json"))) == 2
    evaluated = run(installed, tmp_path, "evaluate", f"run={folder}", "accelerator=cpu")
    assert evaluated.returncode == 0, evaluated.stderr
    ready = run(installed, tmp_path, "doctor", *small)
    assert "FAILED" not in ready.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"data", "outputs"}
