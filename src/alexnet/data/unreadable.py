"""How many images may be missing before a run is no longer what it says it is."""

import csv
import io
from pathlib import Path

from alexnet.errors import UserError


def check_unreadable(
    unreadable: dict[str, str],
    images: int,
    most: float,
    place: str,
    *,
    earlier: int = 0,
    names: Path | None = None,
) -> None:
    """Raise `UserError` where more than the share `most` of `images` cannot be read.

    `unreadable` maps paths to reasons; all of them are written to the file `names` first. `earlier`
    is how many more were set aside before.
    """
    count = len(unreadable) + earlier
    if not unreadable or count <= most * images:
        return
    if names is not None:
        names.write_text(reasons_table(unreadable), encoding="utf-8", errors="surrogateescape", newline="")
    path, reason = next(iter(unreadable.items()))
    listed = f" All are named in {names}." if names and len(unreadable) > 1 else ""
    share = count / images
    raise UserError(
        f"{place}: {count:,} of {images:,} images ({100 * share:.2g}%) cannot be read, more than"
        f" data.max_unreadable={most:g}. One is {path}: {reason}.{listed} Mend or remove them, or allow"
        f" so many: data.max_unreadable={_above(share)}."
    )


def reasons_table(reasons: dict[str, str]) -> str:
    """The text of a CSV file: each file that was set aside, and why."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("file", "reason"))
    writer.writerows(sorted(reasons.items()))
    return text.getvalue()


def _above(share: float) -> str:
    """A round number not below a share."""
    for digits in range(1, 6):
        if (rounded := round(share + 0.5 * 10**-digits, digits)) <= 2 * share:
            return f"{min(rounded, 1):g}"
    return "1"
