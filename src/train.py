"""Train a network: python src/train.py [group=choice] [key=value] ..., see --help."""

from omegaconf import DictConfig

from alexnet import cli
from alexnet.config import TrainConfig


@cli.entry_point("train", TrainConfig)
def main(raw: DictConfig) -> float | None:
    config = cli.read_config(raw, TrainConfig)
    cli.check_study_is_swept(config.run_folder)
    from alexnet.data.places import check_there

    check_there(config.data)
    from alexnet.training.fit import train  # imports torch, which takes seconds: after the quick checks

    return train(config, cli.plain(raw), cli.typed_overrides(), shares_process=cli.shares_process())


if __name__ == "__main__":
    main()
