"""All checks in order, those of the packages first: nothing is imported before it is known to be harmless."""

import platform
from collections.abc import Callable

from alexnet.config import TrainConfig
from alexnet.doctor.report import Report
from alexnet.doctor.versions import (
    check_torchvision,
    check_versions,
    installed_versions,
    may_be_imported,
    read_requirements,
)


def examine(config: TrainConfig, report: Report) -> None:
    """Check all that training with this configuration needs."""
    installed, required = installed_versions(), read_requirements()
    report.check("versions", lambda: check_versions(platform.python_version(), installed, required))
    if not report.attempt("versions", lambda: may_be_imported(installed)):
        return
    report.check("torchvision", check_torchvision)
    if (examine_readiness := report.attempt("packages", _import_the_rest)) is not None:
        examine_readiness(config, report)


def _import_the_rest() -> Callable[[TrainConfig, Report], None]:
    from alexnet.doctor.readiness import examine_readiness

    return examine_readiness
