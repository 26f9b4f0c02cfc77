"""Train a network: python src/train.py [group=choice] [key=value] ..., see --help."""

from omegaconf import DictConfig

from alexnet import cli
from alexnet.config import TrainConfig
from alexnet.data.places import check_there
from alexnet.run.request import Request
from alexnet.run.resume import continued, previous_run


@cli.entry_point("train", TrainConfig)
def main(raw: DictConfig) -> float | None:
    config = cli.read_config(raw, TrainConfig)
    cli.check_study_is_swept(config.run_folder)
    resolved, overrides = cli.plain(raw), cli.typed_overrides()
    previous = previous_run(resolved)
    if previous is not None:
        resolved = continued(previous, resolved, overrides)
        config = cli.read_saved(resolved, TrainConfig, previous / "config.yaml")
    check_there(config.data)
    from alexnet.training.fit import train  # imports torch, which takes seconds: after the quick checks

    return train(Request(config, resolved, overrides, previous), shares_process=cli.shares_process())


if __name__ == "__main__":
    main()
