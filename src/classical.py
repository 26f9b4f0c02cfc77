"""Fit a linear classifier to hand-made features: python src/classical.py [key=value] ..."""

import alexnet.interruption  # noqa: F401  # isort: skip  (first: see there)
from omegaconf import DictConfig

from alexnet import cli
from alexnet.config import ClassicalConfig
from alexnet.config.reading import read_config, to_plain_dict
from alexnet.data.locations import require_data
from alexnet.paths import absolute
from alexnet.studies.folder import require_study


@cli.entry_point("classical", ClassicalConfig)
def main(raw: DictConfig) -> float:
    config = read_config(raw, ClassicalConfig)
    if config.study_folder is not None:
        require_study(absolute(config.study_folder))
    require_data(config.data)
    from alexnet.classical import check_installed

    check_installed()
    from alexnet.classical.run import run  # imports torch, which takes seconds: after the quick checks

    return run(config, to_plain_dict(raw), cli.typed_overrides())


if __name__ == "__main__":
    main()
