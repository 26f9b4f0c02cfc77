"""The base class of all configurations, the types of keys that hold paths, and range checks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from omegaconf import MISSING

from alexnet.errors import UserError


@dataclass(frozen=True)
class PathKey:
    """Marker of a key that holds a path: every character of its value belongs to the path.

    `several`: it may be a list of paths. `written`: the program writes there, so that it need not exist.
    """

    several: bool = False
    written: bool = False


InputPath = Annotated[str, PathKey()]
InputPaths = Annotated[Any, PathKey(several=True)]
OutputPath = Annotated[str, PathKey(written=True)]


def check(valid: bool, key: str, value: Any, expected: str) -> None:
    """Raise a `UserError` that names the key, its value and what was expected, unless `valid`."""
    if not valid:
        raise UserError(f"{key}={value}: expected {expected}.")


def check_fraction(key: str, value: float) -> None:
    """Check that a value is at least 0 and below 1."""
    check(0 <= value < 1, key, value, "a number from 0 to below 1")


def check_positive(key: str, value: float | None) -> None:
    """Check that a value is above 0 or None."""
    check(value is None or value > 0, key, value, "a number above 0")


class ValidatedConfig:
    """A configuration that checks its values when it is built."""

    required_methods: ClassVar[tuple[str, ...]] = ()  # of a base class of choices: what they override
    # keys as they are typed -> their names, where Hydra would take a key for a group of conf/
    typed_keys: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self) -> None:
        if MISSING not in vars(self).values():  # OmegaConf reads the schema from an unfilled instance
            self.check()

    def check(self) -> None:
        """Raise `UserError` for a value out of range."""


@dataclass
class ProgramConfig(ValidatedConfig):
    """Configuration of a program that works with networks, data or training.

    `extensions` are modules with choices of their own, see `alexnet.config.extensions`.
    """

    extensions: list[str] = field(default_factory=list, kw_only=True)
