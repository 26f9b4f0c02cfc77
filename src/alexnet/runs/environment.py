"""The environment of a run: code, packages, hardware."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import distributions
from typing import Any

import torch

from alexnet.config.extensions import loaded_extensions
from alexnet.hardware import cpu_model
from alexnet.paths import PROJECT


def describe_environment(fingerprints: dict[str, str]) -> dict[str, Any]:
    """Return the content of environment.json, without environment variables, which may be secret."""
    return {
        "git": {
            "commit": _git("rev-parse", "HEAD"),
            "diff": _git("diff", "HEAD"),
            "untracked": (_git("ls-files", "--others", "--exclude-standard") or "").splitlines(),
        },
        "python": platform.python_version(),
        "packages": _installed_packages(),
        "platform": platform.platform(),
        "cpu": {"model": cpu_model(), "cores": os.cpu_count(), "threads": torch.get_num_threads()},
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "cuda": torch.version.cuda,
        "extensions": loaded_extensions(),
        **fingerprints,
    }


@cache  # a file is read for each package
def _installed_packages() -> dict[str, str]:
    """Return the version of each installed package, in the order of their names."""
    versions = [(str(package.metadata["Name"]), package.version) for package in distributions()]
    return dict(sorted(versions, key=lambda version: version[0].lower()))


def _git(*arguments: str) -> str | None:
    command = ["git", *arguments]
    try:
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None  # no git, or not a checkout
    return done.stdout.decode(errors="backslashreplace").strip()  # a diff may hold any encoding
