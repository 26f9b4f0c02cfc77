"""Is this machine ready to train? python src/doctor.py, then the same [key=value] ... as for train.py."""

import sys

from omegaconf import DictConfig

from alexnet import cli
from alexnet.config import TrainConfig

cli.register("train", TrainConfig)  # conf/doctor.yaml builds on conf/train.yaml


@cli.entry_point("doctor", TrainConfig, sweeps=False)
def main(raw: DictConfig) -> None:
    config = cli.read_config(raw, TrainConfig)
    from alexnet.doctor.examination import examine
    from alexnet.doctor.report import Report
    from alexnet.progress import console

    report = Report(console)
    examine(config, report)
    report.conclude()
    if report.failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
