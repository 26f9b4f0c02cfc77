"""Versions that are too old, missing or known to be bad are named; malware is not imported."""

import re
from importlib.metadata import version

import pytest
import torchvision

from alexnet.doctor.doctor import (
    check_torchvision,
    check_versions,
    installed_versions,
    is_safe_to_import,
    read_requirements,
)
from alexnet.doctor.report import Finding, Status
from conftest import PROJECT

# newer than anything that pyproject.toml asks for, less what it rules out
GOOD = {package.name: "1000" for package in read_requirements().packages}
GOOD |= {"hydra-core": "1.3.8", "omegaconf": "2.3.1", "torch": "2.11.0+cu128"}


def check(python: str = "3.12.1", **other: str | None) -> list[Finding]:
    changed = {name.replace("_", "-"): version for name, version in other.items()}
    installed = {name: version for name, version in (GOOD | changed).items() if version is not None}
    return list(check_versions(python, installed, read_requirements()))


def test_this_environment_is_well() -> None:
    installed = installed_versions()
    (finding,) = check_versions("3.11.0", installed, read_requirements())
    assert finding.status is Status.ok
    assert f"lightning {version('lightning')}" in finding.message
    assert is_safe_to_import(installed)


def test_good_versions() -> None:
    (finding,) = check()
    assert finding.status is Status.ok
    assert finding.message.startswith("Python 3.12.1, torch 2.11.0+cu128, ")
    assert check(wandb=None)[0].status is Status.ok  # whether it is needed is not for here


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"python": "3.10.9"}, "Python 3.10.9: >=3.11 is needed"),
        ({"torch": "2.4.1"}, "torch 2.4.1: >=2.11 is needed"),
        ({"torch": "2.11.0rc1"}, "torch 2.11.0rc1: >=2.11 is needed"),
        ({"omegaconf": "3.0"}, "omegaconf 3.0: ~=2.3 is needed"),
        ({"torchmetrics": None}, "torchmetrics is not installed"),
        ({"lightning": "2.6.1"}, "lightning 2.6.1: checkpoints can execute code, CVE-2026-58659"),
        ({"lightning": "2.6.5"}, "CVE-2026-58659"),
        ({"lightning": "2.6.2"}, "lightning 2.6.2: malware, GHSA-w37p-236h-pfx3"),
        ({"lightning": "2.6.3"}, "malware"),
        ({"hydra_core": "1.3.2"}, "hydra-core 1.3.2: a configuration can call anything"),
    ],
)
def test_bad_versions(changed: dict[str, str | None], expected: str) -> None:
    (finding,) = check(**changed)
    assert finding.status is Status.failed
    assert expected in finding.message
    assert "make setup" in finding.advice
    assert ("change every password" in finding.advice) == ("malware" in expected)


def test_every_problem_has_its_line() -> None:
    assert len(check(torch="2.4", lightning="2.6.3", wandb="0.1")) == 3


def test_malware_is_not_imported() -> None:
    assert is_safe_to_import(GOOD | {"lightning": "2.6.5"})
    assert not is_safe_to_import(GOOD | {"lightning": "2.6.3"})


def test_minimums_stand_in_pyproject_alone() -> None:
    source = (PROJECT / "src/alexnet/doctor/doctor.py").read_text()
    assert not re.search(r"2\.11|0\.26|2\.6\.6", source)


def test_torchvision_fits_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = check_torchvision()
    assert finding.status is Status.ok

    def missing(*_args: object) -> None:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(torchvision.ops, "nms", missing)
    (finding,) = check_torchvision()
    assert finding.status is Status.failed
    assert finding.message.endswith("operator torchvision::nms does not exist")
