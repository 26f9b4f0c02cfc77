"""What the files of an export are made of."""

from dataclasses import dataclass
from functools import cached_property

from torch.export import ExportedProgram

from alexnet.export.from_pixels import capture
from alexnet.run.trained import Trained


@dataclass(frozen=True)
class Source:
    """A trained network, and as a graph, which is captured once for all formats that hold one.

    `opset` is the version of ONNX's operators that is asked for; None: torch's choice.
    """

    trained: Trained
    opset: int | None = None

    @cached_property
    def program(self) -> ExportedProgram:
        return capture(self.trained)
