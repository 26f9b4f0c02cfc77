"""Trains to a configuration's end, from a checkpoint if not None: go_on.py <made> <from> <override> ..."""

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT / "src")]

from hydra import compose, initialize_config_dir  # noqa: E402

from alexnet import cli  # noqa: E402
from alexnet.config import TrainConfig  # noqa: E402
from alexnet.training import fit  # noqa: E402


def main(made: str, checkpoint: str, *overrides: str) -> None:
    cli.register("train", TrainConfig)
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        raw = compose("train", list(overrides))
    config = cli.read_config(raw, TrainConfig)
    parts = fit._build(config, cli.plain(raw))
    trainer = fit._trainer(config, [], False)
    start = None if checkpoint == "None" else checkpoint
    trainer.fit(parts.module, parts.datamodule, ckpt_path=start, weights_only=True)
    trainer.save_checkpoint(made)


if __name__ == "__main__":
    main(*sys.argv[1:])
