"""The folders of configuration, programs and user files, in a checkout or an installed package."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_INSTALLED = (_PACKAGE / "conf").is_dir()

SOURCES = _PACKAGE.parent  # the folder from which the package is imported
CONF = _PACKAGE / "conf" if _INSTALLED else SOURCES.parent / "conf"
PROGRAMS = _PACKAGE / "programs" if _INSTALLED else SOURCES
# data and outputs are in the checkout, wherever a program is started; without one, in the current folder
PROJECT = Path.cwd() if _INSTALLED else SOURCES.parent


def command_for(program: str) -> str:
    """Return what a user types to start a program."""
    return f"alexnet {program}" if _INSTALLED else f"python src/{program}.py"


def absolute(path: str | Path) -> Path:
    """Return an absolute path, with ~ expanded.

    Symbolic links are kept, unless the path contains `..`: the parent of a link's target is not the link's.
    """
    full = Path(path).expanduser().absolute()
    return full.resolve() if ".." in full.parts else full
