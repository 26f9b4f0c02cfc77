"""Inspect the layers and features of a trained network: python src/inspect_run.py run=<run folder>."""

import alexnet.interruption  # noqa: F401  # isort: skip  (first: see there)
from omegaconf import DictConfig

from alexnet import cli
from alexnet.config import InspectConfig
from alexnet.config.reading import read_config


@cli.entry_point("inspect_run", InspectConfig, groups=False, sweeps=False)
def main(raw: DictConfig) -> None:
    config = read_config(raw, InspectConfig)
    from alexnet.inspection.inspect import inspect_run  # imports torch: after the quick checks

    inspect_run(config)


if __name__ == "__main__":
    main()
