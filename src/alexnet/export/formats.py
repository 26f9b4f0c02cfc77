"""The formats: how each is written, read again, and used."""

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from alexnet.choices import ExportFormat
from alexnet.errors import UserError
from alexnet.export import onnx_file, safetensors_file, torch_export_file
from alexnet.export.check import Run
from alexnet.export.source import Source


class Format(NamedTuple):
    """`write` writes a source with its description to a file, `load` makes a network of that file.

    `use` is what to type elsewhere, with the file for <file>; `packages` are those that are needed here.
    Without `mean_inside` the mean is to be subtracted from what goes in.
    """

    suffix: str
    packages: tuple[str, ...]
    mean_inside: bool
    write: Callable[[Source, dict[str, Any], Path], None]
    load: Callable[[Source, Path], Run]
    use: str


FORMATS = {
    ExportFormat.onnx: Format(
        ".onnx",
        ("onnx", "onnxscript", "onnxruntime"),
        True,
        onnx_file.write,
        onnx_file.load,
        'import onnxruntime; onnxruntime.InferenceSession("<file>").run(None, {"images": crops})[0]',
    ),
    ExportFormat.torch_export: Format(
        ".pt2",
        (),
        True,
        torch_export_file.write,
        torch_export_file.load,
        'import torch; torch.export.load("<file>").module()(crops)',
    ),
    ExportFormat.safetensors: Format(
        ".safetensors",
        ("safetensors",),
        False,
        safetensors_file.write,
        safetensors_file.load,
        'import safetensors.torch; safetensors.torch.load_file("<file>")  # with the mean to take off crops',
    ),
}


def check_packages(formats: Iterable[ExportFormat]) -> None:
    """Raise `UserError` where a package that a format needs is not installed."""
    for each in formats:
        if missing := [name for name in FORMATS[each].packages if find_spec(name) is None]:
            needed = ", ".join(missing)
            raise UserError(
                f"format={each.value} needs {needed}: install the extra export of pyproject.toml."
            )
