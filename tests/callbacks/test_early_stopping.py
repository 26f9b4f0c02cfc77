"""A run that no longer improves ends, and says why."""

from pathlib import Path

import pytest

from alexnet.training.fit import train
from conftest import SMALL, request_of

RUN = (*SMALL, "logger=csv", "trainer.max_epochs=5", "optimizer.lr=1e-20")
TOLD = "No lower val/top1_error in 1 validation: stopped."


@pytest.mark.parametrize(("patience", "epochs"), [("1", 2), ("null", 5)])
def test_early_stopping(
    tmp_path: Path, synthetic: tuple[str, ...], caplog: pytest.LogCaptureFixture, patience: str, epochs: int
) -> None:
    """At so low a rate no weight changes."""
    stopping = f"callbacks.early_stopping.patience={patience}"
    with caplog.at_level("INFO"):
        train(request_of(tmp_path / "run", *RUN, *synthetic, stopping))
    assert len((tmp_path / "run/metrics.csv").read_text().splitlines()) == 1 + epochs
    assert (TOLD in caplog.text) == (epochs < 5)
