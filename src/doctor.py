"""Check whether this machine is ready to train: python src/doctor.py [key=value ...], as for train.py."""

import alexnet.interruption  # noqa: F401  # isort: skip  (first: see there)
import sys

from omegaconf import DictConfig

from alexnet import cli
from alexnet.config import TrainConfig
from alexnet.config.reading import read_config


@cli.entry_point("doctor", TrainConfig, sweeps=False)
def main(raw: DictConfig) -> None:
    config = read_config(raw, TrainConfig)
    from alexnet.doctor.doctor import run_checks
    from alexnet.doctor.report import Report
    from alexnet.terminal import console

    report = Report(console)
    run_checks(config, report)
    report.conclude()
    if report.failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
