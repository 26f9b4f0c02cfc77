"""WebDataset's shards: tars of <key>.jpg and <key>.cls, as of timm/imagenet-1k-wds."""

import json
import os
import tarfile
from itertools import islice
from pathlib import Path
from typing import Any

from alexnet.data.image_list import NOT_AN_IMAGE
from alexnet.data.samples import ArchiveContent, ArchiveForm, Label, Sample
from alexnet.data.tars import tar_error, tar_files
from alexnet.data.walk import HIDDEN, is_hidden, is_image
from alexnet.errors import UserError

LABEL_ENDINGS = ("cls", "json")
LABEL_KEYS = ("label", "cls", "class_id", "class")  # in a .json without a .cls beside it
PEEKED = 8  # members by which a tar is known as a shard
MOST_LABEL_BYTES = 1_000_000


def is_shard(path: Path) -> bool:
    """Return whether a tar is a shard: one of its first members is the label of another."""
    try:
        with tarfile.open(path, "r:") as tar:
            names = [member.name for member in islice(tar, PEEKED)]
    except (tarfile.TarError, OSError):
        return False
    labels = {_key(name) for name in names if _ending(name) in LABEL_ENDINGS}
    return any(_key(name) in labels for name in names if is_image(name))


def read_shard(path: Path) -> ArchiveContent:
    """List the images of a shard. Raises `UserError` for a damaged one, and for images without a label."""
    images: dict[str, Sample] = {}
    labels: dict[str, Label | None] = {}
    described: dict[str, Label | None] = {}
    others: dict[str, str] = {}
    hidden: dict[str, str] = {}
    try:
        with tarfile.open(path, "r:") as tar, path.open("rb", buffering=0) as file:
            for member, offset in tar_files(tar):
                key, ending = _key(member.name), _ending(member.name)
                if any(map(is_hidden, member.name.split("/")[:-1])):
                    hidden[member.name] = HIDDEN
                elif is_image(member.name):
                    if key in images:
                        raise UserError(f"{path}: {images[key].name} and {member.name} have the same key.")
                    images[key] = Sample(member.name, None, offset, member.size)
                elif ending in LABEL_ENDINGS and member.size <= MOST_LABEL_BYTES:
                    into = labels if ending == "cls" else described
                    text = os.pread(file.fileno(), member.size, offset).decode(errors="backslashreplace")
                    try:
                        into[key] = _read_label(text.strip(), ending)
                    except ValueError as error:
                        raise UserError(f"{path}: {member.name} is no JSON ({error}).") from error
                else:
                    others[key] = member.name
    except (tarfile.TarError, OSError, ValueError) as error:
        raise tar_error(path, error) from error
    samples = [sample._replace(label=labels.get(key, described.get(key))) for key, sample in images.items()]
    left_out = {name: NOT_AN_IMAGE for key, name in others.items() if key not in images}
    return ArchiveContent(samples, left_out=hidden | left_out)


def _read_label(text: str, ending: str) -> Label | None:
    if ending == "json":
        content = json.loads(text)
        given: Any = content if isinstance(content, dict) else {}
        return next((given[key] for key in LABEL_KEYS if isinstance(given.get(key), int | str)), None)
    return int(text) if text.removeprefix("-").isdecimal() else text or None


def _key(name: str) -> str:
    """Return what the members of a sample have in common: the path up to the first dot of the file name."""
    folder, slash, file = name.removeprefix("./").rpartition("/")
    return folder + slash + file.partition(".")[0]


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].removeprefix(".").lower()  # noqa: PTH122 - a Path for each is slow


SHARDS = ArchiveForm("WebDataset shards", ".tar", is_shard, read_shard)
