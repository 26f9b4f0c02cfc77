"""Parquet files as Hugging Face's `datasets` writes them: a column of images, and one of labels."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alexnet.data.image_list import AS_STORED
from alexnet.data.parquet_pages import CODECS, import_pyarrow, list_values
from alexnet.data.samples import ArchiveContent, ArchiveForm, Sample
from alexnet.errors import UserError

LABEL_NAMES = ("label", "labels", "class", "cls", "target", "category")


def read_parquet(path: Path) -> ArchiveContent:
    """List the images of a file.

    The names of the classes are in its `huggingface` metadata. Raises `UserError` for a file without such
    columns, and for one that is damaged.
    """
    pyarrow = import_pyarrow()
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            return _read(path, file)
    except (OSError, LookupError, ValueError) as error:  # ValueError: pyarrow's own
        raise UserError(f"{path}: not a complete Parquet file ({error}). Download it again.") from error


def _read(path: Path, file: Any) -> ArchiveContent:
    features = _features(file.schema_arrow)
    image = _column(path, file.schema_arrow, features, "Image", ("image", "img"), _holds_bytes, "images")
    label = _column(path, file.schema_arrow, features, "ClassLabel", LABEL_NAMES, _holds_labels, "labels")
    bytes_path = f"{image}.bytes" if _is_struct(file.schema_arrow.field(image).type) else image
    metadata = file.metadata
    columns = [metadata.schema.column(number).path for number in range(metadata.num_columns)]
    names: list[str | None] = [None] * metadata.num_rows
    if f"{image}.path" in columns:
        rows = file.read(columns=[f"{image}.path"]).column(image).to_pylist()
        names = [row and row["path"] for row in rows]
    labels = file.read(columns=[label]).column(label).to_pylist()
    column, codec = columns.index(bytes_path), None
    if metadata.num_row_groups:
        codec = _codec(path, column, metadata)
    values = list_values(path, column, metadata, AS_STORED)
    samples = []
    for row, (name, number, value) in enumerate(zip(names, labels, values, strict=True)):
        if value is None:
            raise UserError(f"{path}: row {row} holds no image, but perhaps a path. Embed the images.")
        samples.append(Sample(name or None, number, value.offset, value.size, value.inner))
    class_names = features.get(label, {}).get("names")
    return ArchiveContent(samples, tuple(class_names) if class_names else None, codec)


def _features(schema: Any) -> dict[str, dict[str, Any]]:
    """Return the features by column that `datasets` has written into the schema; none where it has not."""
    text = (schema.metadata or {}).get(b"huggingface")
    features = json.loads(text).get("info", {}).get("features", {}) if text else {}
    return {name: feature for name, feature in features.items() if isinstance(feature, dict)}


def _column(
    path: Path,
    schema: Any,
    features: dict[str, dict[str, Any]],
    kind: str,
    usual: tuple[str, ...],
    suits: Callable[[Any], bool],
    what: str,
) -> str:
    """Return the only column of a kind of feature, or else that with a usual name, or the only one of images.

    Other numbers and texts may be anything, such as sizes and captions.
    """
    suitable = [name for name in schema.names if suits(schema.field(name).type)]
    declared = [name for name in suitable if features.get(name, {}).get("_type") == kind]
    named = [name for name in usual if name in suitable]
    for choice in (declared, named, suitable if kind == "Image" else []):
        if len(choice) == 1 or (choice is named and choice):
            return choice[0]
    listed = ", ".join(schema.names)
    problem = "several columns could be" if len(suitable) > 1 else "no column is known to be"
    raise UserError(f"{path}: {problem} the {what}: {listed}. Name one '{usual[0]}'.")


def _is_struct(kind: Any) -> bool:
    return import_pyarrow().types.is_struct(kind)


def _is_bytes(kind: Any) -> bool:
    types = import_pyarrow().types
    return types.is_binary(kind) or types.is_large_binary(kind)


def _holds_bytes(kind: Any) -> bool:
    return _is_bytes(kind) or (
        _is_struct(kind) and kind.get_field_index("bytes") >= 0 and _is_bytes(kind.field("bytes").type)
    )


def _holds_labels(kind: Any) -> bool:
    types = import_pyarrow().types
    return types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind)


def _codec(path: Path, column: int, metadata: Any) -> str | None:
    """Return pyarrow's name of the codec of a column. Raises `UserError` for one that is not read."""
    groups = range(metadata.num_row_groups)
    kinds = {metadata.row_group(group).column(column).compression for group in groups}
    unread = sorted(kinds - set(CODECS))
    if unread or len(kinds) > 1:
        raise UserError(
            f"{path}: images compressed with {', '.join(unread or sorted(kinds))} are not supported. Rewrite"
            f" it with one of {', '.join(map(str.lower, CODECS))}."
        )
    return CODECS[kinds.pop()]


PARQUET = ArchiveForm("Parquet files", ".parquet", lambda path: True, read_parquet)
