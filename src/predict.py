"""Predict the classes of images: python src/predict.py run=<run folder> images=<file, folder or pattern>."""

import alexnet.interruption  # noqa: F401  # isort: skip  (first: see there)
from omegaconf import DictConfig

from alexnet import cli
from alexnet.config import PredictConfig
from alexnet.config.reading import read_config


@cli.entry_point("predict", PredictConfig, groups=False, sweeps=False)
def main(raw: DictConfig) -> None:
    config = read_config(raw, PredictConfig)
    from alexnet.prediction import predict  # imports torch: after the quick checks

    predict(config)


if __name__ == "__main__":
    main()
