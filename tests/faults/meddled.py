"""train.py with a fault in it: FAULT=<a function below> STEP=<when> python meddled.py <arguments>"""

import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from alexnet.training.module import ClassificationModule


def little_memory(module: ClassificationModule) -> float:
    """From now on no more memory than the process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + (1 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return 1.0


def lost_loss(module: ClassificationModule) -> float:
    """Of the last rank alone."""
    return float("nan") if module.global_rank == module.trainer.world_size - 1 else 1.0


def meddle(fault: Callable[[ClassificationModule], float], when: int) -> None:
    """Have the fault come with a step, whose loss is multiplied by what it returns."""
    step = ClassificationModule.training_step

    def training_step(module: ClassificationModule, batch: Any, batch_idx: int) -> Any:
        factor = fault(module) if module.global_step == when else 1.0
        return step(module, batch, batch_idx) * factor

    ClassificationModule.training_step = training_step  # type: ignore[method-assign]


if __name__ == "__main__":
    from train import main

    meddle(globals()[os.environ["FAULT"]], int(os.environ["STEP"]))
    main()  # sys.argv[0] stays this file, which Lightning starts for the other ranks
