"""float32 is float32: no program leaves it to torch to round the inputs of convolutions."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from alexnet.benchmark import measure
from alexnet.config import ValCrops
from alexnet.hardware import ieee_float32
from alexnet.inspection import inspect
from alexnet.runs import trained_model
from alexnet.training import fit


class Looked(Exception):  # noqa: N818
    """The function has been reached that would compute."""


def flags() -> tuple[bool, bool]:
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


def look(*_: object, **__: object) -> None:
    raise Looked(flags())


@pytest.fixture(params=[(False, True), (True, True), (True, False)])
def before(request: pytest.FixtureRequest) -> Iterator[tuple[bool, bool]]:
    """What this process has been told before; the first is torch's own."""
    stored = flags()
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = request.param
    yield request.param
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = stored


@pytest.mark.parametrize(
    ("module", "replaced", "function", "arguments"),
    [
        (fit, "log_to_terminal", fit.train, 1),
        (measure, "device_of", measure.measure, 2),
        (measure, "build_step", measure.step_seconds, 1),
        (inspect, "log_to_terminal", inspect.inspect_run, 1),
        (trained_model, "__name__", trained_model.probabilities_by_crops, 4),
    ],
)
def test_all_that_computes(
    module: Any,
    replaced: str,
    function: Callable[..., object],
    arguments: int,
    before: tuple[bool, bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, replaced, look, raising=False)
    given: list[Any] = [Model(), torch.zeros(1), [ValCrops.ten], torch.device("cpu")][:arguments]
    named = {"profiled": False} if function is measure.measure else {}
    with pytest.raises(Looked) as looked:
        function(*given, **named)
    assert looked.value.args == ((False, False),)
    assert flags() == before


class Model:
    """A network with its crops, as far as it is asked for before it computes."""

    config = trainer = None

    @property
    def network(self) -> Any:
        return look()


def test_what_was_set_before_is_set_again(before: tuple[bool, bool]) -> None:
    with ieee_float32():
        assert flags() == (False, False)
    assert flags() == before
