"""Decode a data set once, into a pack that training maps: python src/prepare.py data=... [key=value ...]"""

import alexnet.interruption  # noqa: F401  # isort: skip  (first: see there)
from omegaconf import DictConfig

from alexnet import cli
from alexnet.config import PrepareConfig
from alexnet.config.reading import read_config


@cli.entry_point("prepare", PrepareConfig)
def main(raw: DictConfig) -> None:
    config = read_config(raw, PrepareConfig)
    from alexnet.data.pack_writer import make_pack
    from alexnet.paths import command_for
    from alexnet.terminal import console

    pack = make_pack(config)
    size = sum(file.stat().st_size for file in pack.folder.iterdir())
    console.print(f"Pack      {pack.folder} ({pack.format.value}, {size / 1e9:,.2f} GB)", markup=False)
    console.print(f"Images    {len(pack.train.rows):,} for training, {len(pack.val.rows):,} for validation")
    for path, reason in list(pack.excluded.items())[:5]:
        console.print(f"Set aside {path}: {reason}", markup=False)
    if pack.excluded:
        console.print(
            f"Set aside {len(pack.excluded)} files in all, listed in {pack.folder / 'manifest.json'}",
            markup=False,
        )
    if config.data.pack is None:
        console.print("train.py uses the pack from now on, while data.root stays the same.")
    else:
        console.print(
            f"To train from it: {command_for('train')} ... data.pack={config.data.pack}", markup=False
        )


if __name__ == "__main__":
    main()
