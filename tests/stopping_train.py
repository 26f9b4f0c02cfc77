"""train.py with a signal sent to one of its ranks in one of its training steps.

    STOP=<rank>,<step>,<signal> python tests/stopping_train.py <override> ...

Ranks and steps count from 0 and 1. The signal goes to the process of that rank alone.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

SRC = Path(__file__).resolve().parents[1] / "src"
sys.path[:0] = [str(SRC)]

import train  # noqa: E402
from alexnet.training.module import ClassificationModule  # noqa: E402

rank, step, name = os.environ["STOP"].split(",")
training_step = ClassificationModule.training_step
steps = 0


def stopped_step(module: ClassificationModule, batch: Any, batch_idx: int) -> Any:
    global steps
    steps += 1
    if steps == int(step) and module.global_rank == int(rank):
        os.kill(os.getpid(), signal.Signals[name])
    return training_step(module, batch, batch_idx)


ClassificationModule.training_step = stopped_step  # type: ignore[method-assign]

if __name__ == "__main__":
    train.main()
