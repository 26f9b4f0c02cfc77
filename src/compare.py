"""Compare finished runs with a baseline: python src/compare.py study=<folder> ..."""

import alexnet.interruption  # noqa: F401  # isort: skip  (first: see there)
from pathlib import Path

from omegaconf import DictConfig

from alexnet import cli
from alexnet.config import CompareConfig
from alexnet.config.reading import read_config
from alexnet.paths import command_for
from alexnet.studies.folder import find_study


# `study` is a group of train.py, a folder here
@cli.entry_point("compare", CompareConfig, groups=False, sweeps=False)
def main(raw: DictConfig) -> None:
    config = read_config(raw, CompareConfig)
    if config.study is not None:
        config.study = str(find_study(Path(config.study).expanduser(), command_for("compare")))
    if config.results is not None:
        from alexnet.compare.results import write_results

        for page in write_results(config):
            print(f"Wrote  {page}")
        return
    from alexnet.compare.comparison import compare  # imports scipy and matplotlib: after the quick checks
    from alexnet.compare.display import print_address, print_comparison, print_run
    from alexnet.compare.report import write_report

    comparison = compare(config)
    folder = write_report(comparison, config)
    print_comparison(comparison, folder)
    if config.wandb_run:
        from alexnet.compare.wandb_run import track

        print_run(track(comparison, folder))
    if config.wandb:
        from alexnet.compare.wandb_report import publish

        print_address(publish(comparison), config)


if __name__ == "__main__":
    main()
