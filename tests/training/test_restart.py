"""A stopped epoch goes on with the images that it had not yet seen, each as it would have looked."""

from pathlib import Path

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn

from alexnet.data.datamodule import ImageDataModule
from alexnet.data.dataset import load_image_data
from conftest import compose_config

EPOCHS, BATCHES = 3, 3


class Watcher(lightning.LightningModule):
    """Learns from average colours, and remembers the batches that it was given."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(3, 2)
        self.seen: list[Tensor] = []

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels, _ = batch
        self.seen.append(images.clone())
        return nn.functional.cross_entropy(self.linear(images.mean((2, 3)) / 100), labels)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def run(root: Path, checkpoints: Path, workers: int, resume: Path | None = None) -> Watcher:
    config = compose_config(
        "data=folder", f"data.root={root}", f"data.cache={root.parent}/cache", "data.batch_size=4"
    ).data
    watcher = Watcher()
    trainer = lightning.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        callbacks=[ModelCheckpoint(checkpoints, "{step}", every_n_train_steps=1, save_top_k=-1)],
    )
    data = ImageDataModule(load_image_data(config), config, crop=200, seed=0, workers=workers)
    trainer.fit(watcher, data, ckpt_path=resume, weights_only=True)
    return watcher


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.filterwarnings("error:You're resuming from a checkpoint that ended before")
def test_goes_on_in_the_middle_of_an_epoch(image_tree: Path, tmp_path: Path, workers: int) -> None:
    whole = run(image_tree, tmp_path / "whole", workers)
    assert len(whole.seen) == EPOCHS * BATCHES
    for done in range(1, EPOCHS * BATCHES):
        resume = tmp_path / f"whole/step={done}.ckpt"
        rest = run(image_tree, tmp_path / f"rest{done}", workers, resume)
        assert len(rest.seen) == len(whole.seen) - done, f"stopped after {done} batches"
        for ours, expected in zip(rest.seen, whole.seen[done:], strict=True):
            assert torch.equal(ours, expected), f"stopped after {done} batches"
        assert torch.equal(rest.linear.weight, whole.linear.weight)
