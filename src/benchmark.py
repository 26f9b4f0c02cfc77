"""Measure how fast a training step is: python src/benchmark.py [key=value ...], as for train.py."""

import alexnet.interruption  # noqa: F401  # isort: skip  (first: see there)
from omegaconf import DictConfig

from alexnet import cli
from alexnet.config import BenchmarkConfig
from alexnet.config.reading import read_config, to_plain_dict


@cli.entry_point("benchmark", BenchmarkConfig, sweeps=False)
def main(raw: DictConfig) -> None:
    config = read_config(raw, BenchmarkConfig)
    from alexnet.benchmark.benchmark import run_benchmark  # imports torch: after the quick checks

    run_benchmark(config, to_plain_dict(raw))


if __name__ == "__main__":
    main()
