"""The LightningModule: a network, its loss, its errors and its update rule."""

from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import ReduceLROnPlateau

from alexnet.config import OptimizerConfig, SchedulerConfig
from alexnet.data.image import UNREADABLE
from alexnet.distributed.collectives import all_gather_object, data_parallel_group
from alexnet.distributed.parallelize import parallelize
from alexnet.metrics import MIN_CLASSES_FOR_TOP5, SplitMetrics
from alexnet.models.base import mean_over_crops
from alexnet.optim.optimizers import (
    apply_freezing,
    build_optimizer,
    contiguous,
    to_module_order,
    use_fused_step,
)
from alexnet.optim.schedules import build_scheduler
from alexnet.runs.checkpoint_io import FORMAT


class ClassificationModule(LightningModule):
    """Train a classifier by the mean cross-entropy over the global batch (paper §3.5).

    Logs train/loss, train/top1_error, val/loss, val/top1_error and val/top5_error once per epoch, errors in
    percent. The training error is a running average over the epoch, of augmented images under dropout.
    `record`, plain data, goes into every checkpoint as `config`.
    """

    def __init__(
        self,
        network: nn.Module,
        classes: int,
        optimizer: OptimizerConfig,
        scheduler: SchedulerConfig,
        record: dict[str, Any],
    ) -> None:
        super().__init__()
        self.record = record
        self.network = network
        self.classes = classes
        self._parallelized = False
        self._counted: list[dict[str, dict[str, Tensor]]] = []
        self.optimizer, self.scheduler = optimizer, scheduler
        self.train_metrics = SplitMetrics("train", {1})
        self.val_metrics = SplitMetrics("val", {1, 5} if classes >= MIN_CLASSES_FOR_TOP5 else {1})

    def configure_model(self) -> None:
        """Divide the network among the devices, once, if the strategy does."""
        if self.device_mesh is None or self._parallelized:
            return
        parallelize(self.network, self.device_mesh)
        for metric in (*self.train_metrics.values(), *self.val_metrics.values()):
            metric.process_group = self.device_mesh["data_parallel"].get_group()
        self._parallelized = True

    def forward(self, images: Tensor, *dropout_seeds: Tensor) -> Tensor:
        return self.network(images, *dropout_seeds)

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels, dropout_seeds = batch
        logits = self(images, dropout_seeds)
        losses = functional.cross_entropy(logits, labels, reduction="none", ignore_index=UNREADABLE)
        self.train_metrics.count(losses.detach(), logits.detach(), labels)
        loss = losses.sum() * self._share_of_sum(len(labels))
        self.log("train/step_loss", loss.detach(), on_step=True)
        return loss

    def _share_of_sum(self, samples: int) -> Tensor | float:
        """Return the factor from a replica's sum of losses to its part of the global batch's mean.

        DDP and FSDP average the replicas' gradients. If their shares differ in size, that average is the
        global batch's only if each is weighted by its number of samples.
        """
        copies = data_parallel_group(self.trainer)
        if copies.count == 1:
            return 1 / samples
        own = torch.tensor(float(samples), device=self.device)
        return copies.count / self.trainer.strategy.reduce(own, copies.group, reduce_op="sum")

    def on_train_start(self) -> None:
        use_fused_step(self.trainer.optimizers[0])

    def on_train_epoch_start(self) -> None:
        apply_freezing(self.trainer.optimizers[0], self.current_epoch / (self.trainer.max_epochs or 1))
        self._restore_counts()
        self.log_dict(self.train_metrics, on_step=False, on_epoch=True)  # computed when the epoch ends

    def _restore_counts(self) -> None:
        """Restore the metrics of the part of the epoch that was done when the run was stopped."""
        counted, self._counted = self._counted, []
        copies = data_parallel_group(self.trainer)
        if len(counted) == copies.count:
            counted = [counted[copies.rank]]
        elif copies.rank > 0:
            counted = []  # another number of copies than before: the first one takes all
        for states in counted:
            self.train_metrics.add(states)

    def on_validation_epoch_start(self) -> None:
        self.val_metrics.reset()  # a validation may have been stopped
        self.log_dict(self.val_metrics, on_step=False, on_epoch=True)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, labels = batch
        logits = self(images) if images.ndim == 4 else self._mean_over_crops(images)
        losses = functional.cross_entropy(logits, labels, reduction="none", ignore_index=UNREADABLE)
        self.val_metrics.count(losses, logits, labels)

    def _mean_over_crops(self, images: Tensor) -> Tensor:
        """Return the logarithm of the mean probabilities over crops (N, crops, 3, H, W) (paper §4.1)."""
        probabilities = [self(crop).float().softmax(1) for crop in images.unbind(1)]  # one by one: memory
        return mean_over_crops(probabilities).log()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["config"] = self.record
        checkpoint["state_dict"] = contiguous(checkpoint["state_dict"])
        if "optimizer_states" not in checkpoint:  # weights to use, not to resume from
            del checkpoint["loops"]
            return
        checkpoint["format"] = FORMAT
        by_copy = all_gather_object((data_parallel_group(self.trainer).rank, self.train_metrics.states()))
        checkpoint["train_metrics"] = [states for _, states in sorted(dict(by_copy).items())]
        if self.device_mesh is None:  # else they are already in this order
            (state,) = checkpoint["optimizer_states"]
            checkpoint["optimizer_states"] = [to_module_order(self, self.trainer.optimizers[0], state)]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._counted = checkpoint["train_metrics"]

    def configure_optimizers(self) -> Any:
        optimizer = build_optimizer(self.network, self.optimizer)
        schedule = build_scheduler(optimizer, self.scheduler, self.trainer.max_epochs or 1)
        if schedule is None:
            return optimizer
        stepped: dict[str, Any] = {"scheduler": schedule, "interval": "epoch"}
        if isinstance(schedule, ReduceLROnPlateau):
            stepped |= {"monitor": "val/top1_error", "frequency": self.trainer.check_val_every_n_epoch}
        return {"optimizer": optimizer, "lr_scheduler": stepped}
