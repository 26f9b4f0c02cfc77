"""All checks in order, and those of installed packages, which are done before any of them is imported."""

import platform
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import distribution, distributions

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from alexnet.config import TrainConfig
from alexnet.doctor.report import Finding, Report, failed, ok
from alexnet.errors import first_line
from alexnet.paths import SOURCES


def run_checks(config: TrainConfig, report: Report) -> None:
    """Check all that training with this configuration needs."""
    installed, required = installed_versions(), read_requirements()
    report.check("versions", lambda: check_versions(platform.python_version(), installed, required))
    if not report.attempt("versions", lambda: is_safe_to_import(installed)):
        return
    report.check("torchvision", check_torchvision)
    if (run_torch_checks := report.attempt("packages", _import_torch_checks)) is not None:
        run_torch_checks(config, report)


def _import_torch_checks() -> Callable[[TrainConfig, Report], None]:
    from alexnet.doctor.checks import run_torch_checks

    return run_torch_checks


OPTIONAL = ("wandb",)  # `alexnet.doctor.connectivity` reports it if it is needed and missing
SHOWN = ("torch", "torchvision", "lightning", "torchmetrics", "hydra-core", "omegaconf", "wandb")
INSTALL_ADVICE = "Install what requirements.lock pins: make setup."
MALWARE_ADVICE = (
    "Nothing else was checked, because importing it would run it. Install requirements.lock (make setup),"
    " then change every password, key and token that this machine holds."
)


@dataclass(frozen=True)
class KnownBad:
    """Versions of a package that must not be used."""

    package: str
    versions: SpecifierSet
    reason: str
    malicious: bool = False


# the first entry that matches is reported
KNOWN_BAD = (
    KnownBad("lightning", SpecifierSet("==2.6.2"), "malware, GHSA-w37p-236h-pfx3", malicious=True),
    KnownBad("lightning", SpecifierSet("==2.6.3"), "malware, GHSA-w37p-236h-pfx3", malicious=True),
    KnownBad("lightning", SpecifierSet("<=2.6.5"), "checkpoints can execute code, CVE-2026-58659"),
    KnownBad("hydra-core", SpecifierSet("<1.3.4"), "a configuration can call anything"),
)


@dataclass(frozen=True)
class Requirements:
    """Python and packages that pyproject.toml requires."""

    python: SpecifierSet
    packages: tuple[Requirement, ...]


def read_requirements() -> Requirements:
    """Return the requirements of this checkout's pyproject.toml, or of the installed package."""
    file = SOURCES.parent / "pyproject.toml"
    if file.is_file():
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        python, dependencies = project["requires-python"], project["dependencies"]
    else:
        package = distribution("alexnet-lab")
        python, dependencies = package.metadata["Requires-Python"], package.requires or []
    packages = map(Requirement, dependencies)
    return Requirements(
        SpecifierSet(python),
        tuple(package for package in packages if package.marker is None or package.marker.evaluate()),
    )


def installed_versions() -> dict[str, str]:
    """Return versions by package name; of a package that is installed twice, the one that is imported."""
    versions: dict[str, str] = {}
    for package in distributions():
        if name := package.metadata["Name"]:  # the remains of a broken installation have none
            versions.setdefault(canonicalize_name(name), package.version)
    return versions


def check_versions(python: str, installed: Mapping[str, str], required: Requirements) -> Iterator[Finding]:
    """Report each package that is missing, too old or known to be bad; otherwise the versions in one line."""
    problems = list(_problems(python, installed, required))
    yield from problems
    if not problems:
        versions = [f"{name} {installed[name]}" for name in SHOWN if name in installed]
        yield ok("versions", ", ".join((f"Python {python}", *versions)))


def is_safe_to_import(installed: Mapping[str, str]) -> bool:
    """Return whether no installed version is known to be malicious."""
    matches = (_known_bad(name, version) for name, version in installed.items())
    return not any(match.malicious for match in matches if match)


def check_torchvision() -> Iterator[Finding]:
    """Check that torchvision's compiled parts work with this torch, and read JPEG files."""
    try:
        import torch
        import torchvision
        from torchvision.io import decode_jpeg, encode_jpeg
        from torchvision.ops import nms

        image = torch.zeros(3, 16, 16, dtype=torch.uint8)
        same_shape = decode_jpeg(encode_jpeg(image)).shape == image.shape
        kept = nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 2), torch.tensor([0.5, 1.0]), 0.5).tolist()
        if not same_shape or kept != [1]:
            raise RuntimeError("wrong results")
    except (ImportError, OSError, RuntimeError) as error:
        message = f"not built for this torch: {first_line(error)}"
        yield failed("torchvision", message, INSTALL_ADVICE)
        return
    yield ok("torchvision", f"{torchvision.__version__} works with torch {torch.__version__}")


def _problems(python: str, installed: Mapping[str, str], required: Requirements) -> Iterator[Finding]:
    if not required.python.contains(python, prereleases=True):
        advice = "Rebuild the environment with a newer one: make setup PYTHON=python3.12."
        yield failed("versions", f"Python {python}: {required.python} is needed", advice)
    for package in required.packages:
        version = installed.get(package.name)
        if version is None:
            if package.name not in OPTIONAL:
                yield failed("versions", f"{package.name} is not installed", INSTALL_ADVICE)
        elif known := _known_bad(package.name, version):
            advice = MALWARE_ADVICE if known.malicious else INSTALL_ADVICE
            yield failed("versions", f"{package.name} {version}: {known.reason}", advice)
        elif not package.specifier.contains(version, prereleases=True):
            yield failed(
                "versions", f"{package.name} {version}: {package.specifier} is needed", INSTALL_ADVICE
            )


def _known_bad(name: str, version: str) -> KnownBad | None:
    candidates = (known for known in KNOWN_BAD if known.package == name)
    return next((known for known in candidates if known.versions.contains(version, prereleases=True)), None)
