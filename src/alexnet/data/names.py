"""Many names as one block of bytes."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

CHUNK = 8_192  # names gathered at a time: the indices of their bytes take many times the memory of the bytes


class Names:
    """Byte strings by index, of which a million take their own bytes and eight more each.

    `blob` holds them one after the other; that of row i ends before `ends[i]`.
    """

    def __init__(self, blob: NDArray[np.uint8], ends: NDArray[np.int64]) -> None:
        self.blob, self.ends = blob, ends

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: int) -> bytes:
        start = self.ends[row - 1] if row else 0
        return self.blob[start : self.ends[row]].tobytes()

    def __iter__(self) -> Iterator[bytes]:
        return map(self.__getitem__, range(len(self)))

    def select(self, rows: NDArray[np.int64]) -> "Names":
        """Return some of the names, in the order of `rows`."""
        starts = np.concatenate([np.zeros(1, np.int64), self.ends[:-1]]) if len(self) else self.ends
        lengths = (self.ends - starts)[rows]
        ends = np.cumsum(lengths)
        blob = np.empty(int(ends[-1]) if len(ends) else 0, np.uint8)
        for first in range(0, len(rows), CHUNK):
            part = slice(first, first + CHUNK)
            begin = int(ends[first] - lengths[first])
            # for each byte of the result: how far it moves, and where it is
            shift = np.repeat(starts[rows[part]] - (ends[part] - lengths[part]), lengths[part])
            end = begin + len(shift)
            blob[begin:end] = self.blob[np.arange(begin, end) + shift]
        return Names(blob, ends)
