"""What all forms of archives have in common: their images, before they are part of a list."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from alexnet.data.image_list import AS_STORED

Label = int | str  # a number, or the name of a class


class Sample(NamedTuple):
    """An image in an archive, at `offset`; in Parquet files perhaps at `inner` of a compressed page there.

    `label` is None where there is none, `name` where the archive does not name its images.
    """

    name: str | None
    label: Label | None
    offset: int
    size: int
    inner: int = AS_STORED

    @property
    def is_labelled(self) -> bool:
        """Return whether there is a label: a number below 0, as `datasets` writes it, is none."""
        return self.label is not None and (isinstance(self.label, str) or self.label >= 0)


class ArchiveContent(NamedTuple):
    """The images of an archive, in its order, and the names of the classes by number where it has them.

    `codec` is that of the pages of a Parquet file. `left_out` maps what is left out to the reason.
    """

    samples: list[Sample]
    class_names: tuple[str, ...] | None = None
    codec: str | None = None
    left_out: Mapping[str, str] = MappingProxyType({})


class ArchiveForm(NamedTuple):
    """A form of archives, by the ending of their names.

    `matches` tells whether a file of this ending is one; `read` lists its images, and raises `UserError` for
    a damaged one.
    """

    title: str
    ending: str
    matches: Callable[[Path], bool]
    read: Callable[[Path], ArchiveContent]
