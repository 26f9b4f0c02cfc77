"""How fast is a training step here? python src/benchmark.py, then [key=value] ... as for train.py."""

from omegaconf import DictConfig

from alexnet import cli
from alexnet.config import BenchmarkConfig, TrainConfig

cli.register("train", TrainConfig)  # conf/benchmark.yaml builds on conf/train.yaml


@cli.entry_point("benchmark", BenchmarkConfig, sweeps=False)
def main(raw: DictConfig) -> None:
    config = cli.read_config(raw, BenchmarkConfig)
    from alexnet.benchmark.benchmark import run_benchmark  # imports torch: after the quick checks

    run_benchmark(config, cli.plain(raw))


if __name__ == "__main__":
    main()
