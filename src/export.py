"""Export a trained network for other programs: python src/export.py run=<run folder> format=onnx."""

import alexnet.interruption  # noqa: F401  # isort: skip  (first: see there)
from omegaconf import DictConfig

from alexnet import cli
from alexnet.config import ExportConfig
from alexnet.config.reading import read_config


@cli.entry_point("export", ExportConfig, groups=False, sweeps=False)
def main(raw: DictConfig) -> None:
    config = read_config(raw, ExportConfig)
    from alexnet.export.export import export  # imports torch: after the quick checks

    export(config)


if __name__ == "__main__":
    main()
