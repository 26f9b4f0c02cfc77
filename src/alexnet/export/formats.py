"""Export formats: ONNX, torch.export, safetensors, and a folder for the Hugging Face hub."""

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
from alexnet.errors import UserError, first_line
from alexnet.export.hub import load_hub, write_hub
from alexnet.export.pixel_model import BATCH_DIM, INPUT_NAME, OUTPUT_NAME, PixelModel, as_strings, capture
from alexnet.export.verify import ExportedNetwork
from alexnet.models.build import build_network
from alexnet.runs.trained_model import TrainedModel


class Format(NamedTuple):
    """An export format.

    `write` writes a network with its description to a file; its last argument is the version of ONNX's
    operators, None for torch's choice. `load` loads that file, given the network that was exported. `use` is
    the code that runs it elsewhere, with <file> in place of the path. `packages` are those that writing
    and loading need. `mean_inside` says whether the exported network subtracts the mean itself. `is_folder`:
    it is a folder of files, not a file.
    """

    suffix: str
    packages: tuple[str, ...]
    mean_inside: bool
    write: Callable[[TrainedModel, dict[str, Any], Path, int | None], None]
    load: Callable[[TrainedModel, Path], ExportedNetwork]
    use: str
    is_folder: bool = False


def check_packages(formats: Iterable[ExportFormat]) -> None:
    """Raise `UserError` where a package that a format needs is not installed."""
    for kind in formats:
        if missing := [name for name in FORMATS[kind].packages if find_spec(name) is None]:
            needed = ", ".join(missing)
            raise UserError(
                f"format={kind.value} needs {needed}: install the extra export of pyproject.toml."
            )


# ONNX

VERBOSE_LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir")
SEVERITY_ERROR = 3  # ONNX Runtime's number


def write_onnx(trained: TrainedModel, description: dict[str, Any], path: Path, opset: int | None) -> None:
    """Write an ONNX file, with the description as properties of the model, and check it with ONNX's checker.

    Weights over ONNX's limit of 2 GB are in `<path>.data`. Raises `UserError` where torch cannot express
    the network in the operators of `opset`.
    """
    import onnx

    with _quiet_exporter():
        try:
            program = torch.onnx.export(
                capture(trained),
                input_names=[INPUT_NAME],
                output_names=[OUTPUT_NAME],
                dynamic_shapes={INPUT_NAME: {0: BATCH_DIM}},
                opset_version=opset,
                dynamo=True,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise UserError(
                f"format=onnx: torch cannot express this network in ONNX ({first_line(error)})."
            ) from error
        assert program is not None
        if opset not in (None, program.model.opset_imports[""]):
            raise UserError(f"opset={opset}: torch {torch.__version__} cannot write it. Leave opset out.")
        program.model.metadata_props.update(as_strings(description))
        program.save(path, external_data=None)
        onnx.checker.check_model(path, full_check=True)


def load_onnx(trained: TrainedModel, path: Path) -> ExportedNetwork:
    """Load an ONNX file into ONNX Runtime, on the CPU."""
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.log_severity_level = SEVERITY_ERROR
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(crops: Tensor) -> Tensor:
        (logits,) = session.run([OUTPUT_NAME], {INPUT_NAME: crops.numpy()})
        return torch.from_numpy(logits)

    return run


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence the exporter's warnings about its internals, which are of no use to its caller."""
    loggers = [logging.getLogger(name) for name in VERBOSE_LOGGERS]
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


# torch.export

DESCRIPTION_FILE = "description.json"  # among the extra files


def write_torch_export(
    trained: TrainedModel, description: dict[str, Any], path: Path, opset: int | None
) -> None:
    """Write a torch.export file, with the description as an extra file. `opset` does not apply."""
    torch.export.save(capture(trained), path, extra_files={DESCRIPTION_FILE: json.dumps(description)})


def load_torch_export(trained: TrainedModel, path: Path) -> ExportedNetwork:
    """Load a torch.export file."""
    with warnings.catch_warnings():  # torch 2.11's about buffers of its own
        warnings.filterwarnings("ignore", "The given buffer is not writable", UserWarning)
        return torch.export.load(path).module()


# safetensors

MEAN_KEY = "mean"  # of the tensor (3, size, size) to be subtracted from crops


def write_safetensors(
    trained: TrainedModel, description: dict[str, Any], path: Path, opset: int | None
) -> None:
    """Write the weights and the mean, with the description as metadata. `opset` does not apply."""
    from safetensors.torch import save

    tensors = trained.network.state_dict() | {MEAN_KEY: trained.crops.mean.float()}
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    # save_file would make the file readable by its owner only
    path.write_bytes(save(contiguous, metadata=as_strings(description)))


def load_safetensors(trained: TrainedModel, path: Path) -> ExportedNetwork:
    """Build the network anew and load its weights from a safetensors file."""
    from safetensors.torch import load_file

    weights: dict[str, Tensor] = load_file(path)
    mean = weights.pop(MEAN_KEY)
    network = build_network(trained.network.config, trained.network.classes)
    network.load_state_dict(weights)
    return PixelModel(network.eval(), mean)


FORMATS = {
    ExportFormat.onnx: Format(
        suffix=".onnx",
        packages=("onnx", "onnxscript", "onnxruntime"),
        mean_inside=True,
        write=write_onnx,
        load=load_onnx,
        use='import onnxruntime; onnxruntime.InferenceSession("<file>").run(None, {"images": crops})[0]',
    ),
    ExportFormat.torch_export: Format(
        suffix=".pt2",
        packages=(),
        mean_inside=True,
        write=write_torch_export,
        load=load_torch_export,
        use='import torch; torch.export.load("<file>").module()(crops)',
    ),
    ExportFormat.safetensors: Format(
        suffix=".safetensors",
        packages=("safetensors",),
        mean_inside=False,
        write=write_safetensors,
        load=load_safetensors,
        use='import safetensors.torch; safetensors.torch.load_file("<file>")'
        "  # includes the mean to subtract from crops",
    ),
    ExportFormat.hub: Format(
        suffix="_hub",
        packages=("safetensors",),
        mean_inside=True,
        write=write_hub,
        load=load_hub,
        use="hf upload <your name>/<its name> <file>  # to publish it; README.md there is its card",
        is_folder=True,
    ),
}
