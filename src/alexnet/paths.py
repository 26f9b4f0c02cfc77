"""Where this checkout is."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
CONF = PROJECT / "conf"


def absolute(path: str | Path) -> Path:
    """From the root on, with the user's home for ~. Links stay, but for those that a `..` follows: what is
    above a link is not what its name says.
    """
    full = Path(path).expanduser().absolute()
    return full.resolve() if ".." in full.parts else full
