"""The folders of this checkout, and absolute paths."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
CONF = PROJECT / "conf"


def absolute(path: str | Path) -> Path:
    """Return an absolute path, with ~ expanded.

    Symbolic links are kept, unless the path contains `..`: the parent of a link's target is not the link's.
    """
    full = Path(path).expanduser().absolute()
    return full.resolve() if ".." in full.parts else full
