"""A network as an ONNX file, by torch's exporter; run by ONNX Runtime."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alexnet.errors import UserError
from alexnet.export.check import Run
from alexnet.export.description import as_strings
from alexnet.export.from_pixels import BATCH, IMAGES, LOGITS
from alexnet.export.source import Source

TALKATIVE = ("torch.onnx", "onnxscript", "onnx_ir")
ERRORS = 3  # ONNX Runtime's number for the severity


def write(source: Source, description: dict[str, Any], path: Path) -> None:
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


def load(source: Source, path: Path) -> Run:
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
