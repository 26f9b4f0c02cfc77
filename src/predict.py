"""What does a trained network see? python src/predict.py run=<run folder> images=<file, folder or pattern>"""

from omegaconf import DictConfig

from alexnet import cli
from alexnet.config import PredictConfig


@cli.entry_point("predict", PredictConfig, groups=False, sweeps=False)
def main(raw: DictConfig) -> None:
    config = cli.read_config(raw, PredictConfig)
    from alexnet.prediction.predict import predict  # imports torch: after the quick checks

    predict(config)


if __name__ == "__main__":
    main()
