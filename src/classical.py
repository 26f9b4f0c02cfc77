"""Fit a linear classifier to hand-made features: python src/classical.py [key=value] ..."""

from omegaconf import DictConfig

from alexnet import cli
from alexnet.config import ClassicalConfig
from alexnet.config.reading import read_config, to_plain_dict
from alexnet.data.locations import require_data


@cli.entry_point("classical", ClassicalConfig)
def main(raw: DictConfig) -> float:
    config = read_config(raw, ClassicalConfig)
    require_data(config.data)
    from alexnet.classical import check_installed

    check_installed()
    from alexnet.classical.run import run  # imports torch, which takes seconds: after the quick checks

    return run(config, to_plain_dict(raw), cli.typed_overrides())


if __name__ == "__main__":
    main()
