"""All checks in order; those of installed packages first, before any of them is imported."""

import platform
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import distributions

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from alexnet.config import TrainConfig
from alexnet.doctor.report import Finding, Report, failed, ok
from alexnet.paths import PROJECT


def run_checks(config: TrainConfig, report: Report) -> None:
    """Check all that training with this configuration needs."""
    installed, required = installed_versions(), read_requirements()
    report.check("versions", lambda: check_versions(platform.python_version(), installed, required))
    if not report.attempt("versions", lambda: may_be_imported(installed)):
        return
    report.check("torchvision", check_torchvision)
    if (examine_readiness := report.attempt("packages", _import_the_rest)) is not None:
        examine_readiness(config, report)


def _import_the_rest() -> Callable[[TrainConfig, Report], None]:
    from alexnet.doctor.checks import run_torch_checks

    return run_torch_checks


OPTIONAL = ("wandb",)  # whether it is needed, and missing, says `alexnet.doctor.connectivity`
SHOWN = ("torch", "torchvision", "lightning", "torchmetrics", "hydra-core", "omegaconf", "wandb")
MEND = "Install what requirements.lock names: make setup."
CLEAN_UP = (
    "Nothing else was checked, as importing it runs it. Install requirements.lock (make setup), then"
    " change every password, key and token that this machine holds."
)


@dataclass(frozen=True)
class KnownBad:
    """Versions of a package that must not be used."""

    package: str
    versions: SpecifierSet
    reason: str
    malicious: bool = False


# the first that fits is told
KNOWN_BAD = (
    KnownBad("lightning", SpecifierSet("==2.6.2"), "malware, GHSA-w37p-236h-pfx3", malicious=True),
    KnownBad("lightning", SpecifierSet("==2.6.3"), "malware, GHSA-w37p-236h-pfx3", malicious=True),
    KnownBad("lightning", SpecifierSet("<=2.6.5"), "checkpoints can execute code, CVE-2026-58659"),
    KnownBad("hydra-core", SpecifierSet("<1.3.4"), "a configuration can call anything"),
)


@dataclass(frozen=True)
class Requirements:
    """What pyproject.toml asks for."""

    python: SpecifierSet
    packages: tuple[Requirement, ...]


def read_requirements() -> Requirements:
    """From this checkout's pyproject.toml."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    packages = map(Requirement, project["dependencies"])
    return Requirements(
        SpecifierSet(project["requires-python"]),
        tuple(package for package in packages if package.marker is None or package.marker.evaluate()),
    )


def installed_versions() -> dict[str, str]:
    """Version by name; of a package that is there twice, the one that is imported."""
    found: dict[str, str] = {}
    for distribution in distributions():
        if name := distribution.metadata["Name"]:  # what a broken installation leaves has none
            found.setdefault(canonicalize_name(name), distribution.version)
    return found


def check_versions(python: str, installed: Mapping[str, str], required: Requirements) -> Iterator[Finding]:
    """A line for each package that is missing, too old or known to be bad, or one for all of them."""
    problems = list(_problems(python, installed, required))
    yield from problems
    if not problems:
        versions = [f"{name} {installed[name]}" for name in SHOWN if name in installed]
        yield ok("versions", ", ".join((f"Python {python}", *versions)))


def may_be_imported(installed: Mapping[str, str]) -> bool:
    """Whether nothing is known to be malicious."""
    bad = (_known_bad(name, version) for name, version in installed.items())
    return not any(known.malicious for known in bad if known)


def check_torchvision() -> Iterator[Finding]:
    """Whether torchvision's compiled parts are made for this torch, and read JPEG files."""
    try:
        import torch
        import torchvision
        from torchvision.io import decode_jpeg, encode_jpeg
        from torchvision.ops import nms

        square = torch.zeros(3, 16, 16, dtype=torch.uint8)
        same = decode_jpeg(encode_jpeg(square)).shape == square.shape
        kept = nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 2), torch.tensor([0.5, 1.0]), 0.5).tolist()
        if not same or kept != [1]:
            raise RuntimeError("wrong results")
    except (ImportError, OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        yield failed("torchvision", f"it and torch are not compiled for each other: {reason}", MEND)
        return
    yield ok("torchvision", f"{torchvision.__version__} works with torch {torch.__version__}")


def _problems(python: str, installed: Mapping[str, str], required: Requirements) -> Iterator[Finding]:
    if not required.python.contains(python, prereleases=True):
        advice = "Make the environment again with a newer one: make setup PYTHON=python3.12."
        yield failed("versions", f"Python {python}: {required.python} is needed", advice)
    for package in required.packages:
        version = installed.get(package.name)
        if version is None:
            if package.name not in OPTIONAL:
                yield failed("versions", f"{package.name} is not installed", MEND)
        elif known := _known_bad(package.name, version):
            advice = CLEAN_UP if known.malicious else MEND
            yield failed("versions", f"{package.name} {version}: {known.reason}", advice)
        elif not package.specifier.contains(version, prereleases=True):
            yield failed("versions", f"{package.name} {version}: {package.specifier} is needed", MEND)


def _known_bad(name: str, version: str) -> KnownBad | None:
    fitting = (known for known in KNOWN_BAD if known.package == name)
    return next((known for known in fitting if known.versions.contains(version, prereleases=True)), None)
