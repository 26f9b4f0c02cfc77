"""The version of this project, which stands in pyproject.toml alone."""

import tomllib
from importlib.metadata import version

from alexnet.paths import CONF, SOURCES

DISTRIBUTION = "alexnet-lab"


def read_version() -> str:
    """Return the version of the code that is imported.

    In a checkout it is that of pyproject.toml: the metadata of installed packages may be of another copy.
    """
    if CONF.is_relative_to(SOURCES):  # installed: conf/ is inside the package
        return version(DISTRIBUTION)
    text = (SOURCES.parent / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["version"])
