"""What hand-made features and a linear classifier make of the same images: python src/classical.py ..."""

from omegaconf import DictConfig

from alexnet import cli
from alexnet.config import ClassicalConfig
from alexnet.data.places import check_there


@cli.entry_point("classical", ClassicalConfig)
def main(raw: DictConfig) -> float:
    config = cli.read_config(raw, ClassicalConfig)
    check_there(config.data)
    from alexnet.classical.packages import check_installed

    check_installed()
    from alexnet.classical.run import run  # imports torch, which takes seconds: after the quick checks

    return run(config, cli.plain(raw), cli.typed_overrides())


if __name__ == "__main__":
    main()
