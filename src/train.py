"""Train a network: python src/train.py [group=choice] [key=value] ..., see --help."""

import alexnet.interruption  # noqa: F401  # isort: skip  (first: see there)
from omegaconf import DictConfig

from alexnet import cli
from alexnet.config import TrainConfig
from alexnet.config.reading import read_config, read_saved, to_plain_dict
from alexnet.data.locations import require_data
from alexnet.runs.launcher import check_processes
from alexnet.runs.resume import merge_resume_config, previous_run
from alexnet.training.request import TrainRequest


@cli.entry_point("train", TrainConfig, ranks=True)
def main(raw: DictConfig) -> float | None:
    config = read_config(raw, TrainConfig)
    cli.check_study_is_swept(config.run_folder)
    resolved, overrides = to_plain_dict(raw), cli.typed_overrides()
    previous = previous_run(resolved)
    if previous is not None:
        resolved = merge_resume_config(previous, resolved, overrides)
        config = read_saved(resolved, TrainConfig, previous / "config.yaml")
    check_processes(config.trainer.devices, config.trainer.num_nodes)
    require_data(config.data)
    from alexnet.training.fit import train  # imports torch, which takes seconds: after the quick checks

    return train(TrainRequest(config, resolved, overrides, previous), shares_process=cli.shares_process())


if __name__ == "__main__":
    main()
