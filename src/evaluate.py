"""Evaluate trained networks: python src/evaluate.py run=<run folder>, or run=[<several>] as an ensemble."""

import alexnet.interruption  # noqa: F401  # isort: skip  (first: see there)
from omegaconf import DictConfig

from alexnet import cli
from alexnet.config import EvaluateConfig
from alexnet.config.reading import read_config


@cli.entry_point("evaluate", EvaluateConfig, sweeps=False)
def main(raw: DictConfig) -> None:
    config = read_config(raw, EvaluateConfig)
    from alexnet.evaluation.evaluate import evaluate  # imports torch: after the quick checks

    evaluate(config)


if __name__ == "__main__":
    main()
