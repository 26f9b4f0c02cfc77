"""Export formats: ONNX, torch.export and safetensors."""

import json
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from alexnet.config import ExportFormat
from alexnet.errors import UserError
from alexnet.export.pixel_model import BATCH, IMAGES, LOGITS, ExportSource, FromPixels, as_strings
from alexnet.export.verify import ExportedNetwork
from alexnet.models.build import build_network

TALKATIVE = ("torch.onnx", "onnxscript", "onnx_ir")
ERRORS = 3  # ONNX Runtime's number for the severity


def write_onnx(source: ExportSource, description: dict[str, Any], path: Path) -> None:
    """Write `path`, with its description among the model's properties. ONNX's checker accepts it.

    One file up to ONNX's limit of 2 GB; beyond the weights are in `<path>.data`. Raises `UserError` where
    torch cannot express the network in the operators that are asked for.
    """
    import onnx

    with _quiet():
        try:
            program = torch.onnx.export(
                source.program,
                input_names=[IMAGES],
                output_names=[LOGITS],
                dynamic_shapes={IMAGES: {0: BATCH}},
                opset_version=source.opset,
                dynamo=True,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            reason = str(error).strip().partition("\n")[0]
            raise UserError(f"format=onnx: torch cannot express this network in ONNX ({reason}).") from error
        assert program is not None
        written = program.model.opset_imports[""]
        if source.opset not in (None, written):
            raise UserError(
                f"opset={source.opset}: torch {torch.__version__} cannot write it. Leave opset out."
            )
        program.model.metadata_props.update(as_strings(description))
        program.save(path, external_data=None)
        onnx.checker.check_model(path, full_check=True)


def load_onnx(source: ExportSource, path: Path) -> ExportedNetwork:
    """The network in a file, run by ONNX Runtime on the CPU."""
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(crops: Tensor) -> Tensor:
        (logits,) = session.run([LOGITS], {IMAGES: crops.numpy()})
        return torch.from_numpy(logits)

    return run


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's notes on its own workings are of no use to who exports."""
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


DESCRIPTION = "description.json"  # among the file's extra files


def write_torch_export(source: ExportSource, description: dict[str, Any], path: Path) -> None:
    """Write `path`, with its description as an extra file."""
    torch.export.save(source.program, path, extra_files={DESCRIPTION: json.dumps(description)})


def load_torch_export(source: ExportSource, path: Path) -> ExportedNetwork:
    """The network in a file."""
    return torch.export.load(path).module()


MEAN = "mean"  # (3, size, size), to be subtracted from crops


def write_safetensors(source: ExportSource, description: dict[str, Any], path: Path) -> None:
    """Write `path`, with its description as the file's metadata."""
    from safetensors.torch import save

    trained = source.trained
    tensors = trained.network.state_dict() | {MEAN: trained.crops.mean.float()}
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    # save_file would let nobody but the owner read it
    path.write_bytes(save(contiguous, metadata=as_strings(description)))


def load_safetensors(source: ExportSource, path: Path) -> ExportedNetwork:
    """A network built anew, with the weights of a file."""
    from safetensors.torch import load_file

    weights: dict[str, Tensor] = load_file(path)
    mean = weights.pop(MEAN)
    network = build_network(source.trained.network.config, source.trained.network.classes)
    network.load_state_dict(weights)
    return FromPixels(network.eval(), mean)


class Format(NamedTuple):
    """`write` writes a source with its description to a file, `load` makes a network of that file.

    `use` is what to type elsewhere, with the file for <file>; `packages` are those that are needed here.
    Without `mean_inside` the mean is to be subtracted from what goes in.
    """

    suffix: str
    packages: tuple[str, ...]
    mean_inside: bool
    write: Callable[[ExportSource, dict[str, Any], Path], None]
    load: Callable[[ExportSource, Path], ExportedNetwork]
    use: str


FORMATS = {
    ExportFormat.onnx: Format(
        ".onnx",
        ("onnx", "onnxscript", "onnxruntime"),
        True,
        write_onnx,
        load_onnx,
        'import onnxruntime; onnxruntime.InferenceSession("<file>").run(None, {"images": crops})[0]',
    ),
    ExportFormat.torch_export: Format(
        ".pt2",
        (),
        True,
        write_torch_export,
        load_torch_export,
        'import torch; torch.export.load("<file>").module()(crops)',
    ),
    ExportFormat.safetensors: Format(
        ".safetensors",
        ("safetensors",),
        False,
        write_safetensors,
        load_safetensors,
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
