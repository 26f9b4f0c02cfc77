"""Train a network: python src/train.py [group=choice] [key=value] ..., see --help."""

from omegaconf import DictConfig

from alexnet import cli
from alexnet.config import TrainConfig


@cli.entry_point("train", TrainConfig)
def main(raw: DictConfig) -> float | None:
    config = cli.read_config(raw, TrainConfig)
    from alexnet.training.fit import train  # torch takes seconds to import; --help does not need it

    return train(config, cli.plain(raw), cli.typed_overrides(), in_sweep=cli.in_sweep())


if __name__ == "__main__":
    main()
