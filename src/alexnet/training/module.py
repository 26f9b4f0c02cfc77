"""The LightningModule: a network, its loss, its errors and its update rule."""

import warnings
from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.nn.functional import one_hot
from torch.optim.lr_scheduler import LinearLR, LRScheduler, ReduceLROnPlateau

from alexnet.config import LossConfig, OptimizerConfig, SchedulerConfig
from alexnet.data.image import UNREADABLE
from alexnet.distributed.collectives import all_gather_object, data_parallel_group
from alexnet.distributed.parallelize import parallelize
from alexnet.errors import UserError
from alexnet.metrics.split import SplitMetrics
from alexnet.models.base import mean_over_crops
from alexnet.models.batch_norm import synchronize_batch_norm
from alexnet.optim.optimizers import (
    apply_freezing,
    build_optimizer,
    contiguous,
    to_module_order,
    use_fused_step,
)
from alexnet.runs.checkpoint_io import FORMAT
from alexnet.runs.teacher import Teacher


class ClassificationModule(LightningModule):
    """Train a classifier by the mean loss over the global batch.

    Logs the metrics of both splits once per epoch, such as train/loss and val/top1_error, errors in percent.
    The training error is a running average over the epoch, of augmented images under dropout; an image that
    is mixed of two has the label of the larger part. `record`, plain data, goes into every checkpoint as
    `config`; `teacher`, if the loss has one, into none.
    """

    def __init__(
        self,
        network: nn.Module,
        classes: int,
        optimizer: OptimizerConfig,
        scheduler: SchedulerConfig,
        loss: LossConfig,
        record: dict[str, Any],
        teacher: Teacher | None = None,
    ) -> None:
        super().__init__()
        self.record = record
        self.network = network
        self.classes = classes
        self._parallelized = False
        self._counted: list[dict[str, dict[str, Any]]] = []
        self._saved_epochs: int | None = None  # trainer.max_epochs of the checkpoint
        self.optimizer, self.scheduler = optimizer, scheduler
        self.loss = loss.build(classes)
        self.teacher = teacher
        self.train_metrics = SplitMetrics("train", classes)
        self.val_metrics = SplitMetrics("val", classes)

    @property
    def chance_loss(self) -> float:
        """The loss of a network for which all classes are equally probable; of a teacher, one is certain."""
        logits = torch.zeros(1, self.classes)
        label = torch.zeros(1, dtype=torch.int64)
        certain = () if self.teacher is None else (1e4 * one_hot(label, self.classes),)
        return float(self.loss(logits, label, *certain).mean())

    def configure_model(self) -> None:
        """Divide the network among the devices, once, if the strategy does."""
        if self.device_mesh is None or self._parallelized:
            return
        parallelize(self.network, self.device_mesh)
        for metrics in (self.train_metrics, self.val_metrics):
            self.share_metrics(metrics)
        self._parallelized = True

    def share_metrics(self, metrics: SplitMetrics) -> None:
        """Let metrics sum over the copies of the network, where several devices hold one."""
        if self.device_mesh is not None:
            for metric in metrics.values():
                metric.process_group = self.device_mesh["data_parallel"].get_group()

    def forward(self, images: Tensor, *dropout_seeds: Tensor) -> Tensor:
        return self.network(images, *dropout_seeds)

    def training_step(self, batch: tuple[Any, ...], batch_idx: int) -> Tensor:
        images, labels, dropout_seeds, *mixed = batch
        logits = self(images, dropout_seeds)
        teacher = () if self.teacher is None else (self.teacher.logits(images),)
        losses = self._losses(logits, labels, *teacher)
        if mixed:  # the cross-entropy of shared labels is that sum of two
            partners, shares = mixed[0]
            losses = shares * losses + (1 - shares) * self._losses(logits, partners, *teacher)
            labels = torch.where(shares < 0.5, partners, labels)
        self.train_metrics.count(losses.detach(), logits.detach(), labels)
        loss = losses.sum() * self._share_of_sum(len(labels), batch_idx)
        self.log("train/step_loss", loss.detach(), on_step=True)
        return loss

    def _losses(self, logits: Tensor, labels: Tensor, *teacher: Tensor) -> Tensor:
        """Return the losses (N,) of the images, 0 for those that are unreadable.

        Raises `UserError` for a loss that does not have one for each image.
        """
        losses = self.loss(logits, labels.clamp(min=0), *teacher)
        if losses.shape != labels.shape:
            raise UserError(
                f"The loss of {len(labels)} images has shape {tuple(losses.shape)}: expected one loss per"
                " image. Do not average them: training does."
            )
        return torch.where(labels == UNREADABLE, 0, losses)

    def _share_of_sum(self, samples: int, batch_idx: int) -> float:
        """Return the factor from a replica's sum of losses to its part of the global batch's mean.

        DDP and FSDP average the replicas' gradients. If their shares differ in size, that average is the
        global batch's only if each is weighted by its number of samples. The size of the global batch is
        read from the loader: a sum over the ranks would wait for the device at every step.
        """
        copies = data_parallel_group(self.trainer)
        if copies.count == 1:
            return 1 / samples
        loader: Any = self.trainer.train_dataloader
        return copies.count / loader.batches.size(batch_idx)

    def on_fit_start(self) -> None:
        copies = data_parallel_group(self.trainer)
        if copies.count > 1:
            synchronize_batch_norm(self.network, copies.group)
        if self.teacher is not None:
            weights = next(self.network.parameters()).dtype
            self.teacher.to(self.device, torch.promote_types(weights, torch.float32))

    def on_train_start(self) -> None:
        use_fused_step(self.trainer.optimizers[0])
        if self._saved_epochs not in (None, self.trainer.max_epochs):
            self._reschedule()

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
        self.evaluate(*batch, self.val_metrics)

    def evaluate(self, images: Tensor, labels: Tensor, metrics: SplitMetrics) -> None:
        """Count images (N, 3, H, W), or several crops of each (N, crops, 3, H, W), and their labels (N,)."""
        logits = self(images) if images.ndim == 4 else self._mean_over_crops(images)
        metrics.count(self._losses(logits, labels), logits, labels)

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
        self._saved_epochs = checkpoint["config"]["trainer"]["max_epochs"]

    def configure_optimizers(self) -> Any:
        optimizer = build_optimizer(self.network, self.optimizer)
        schedule = self.scheduler.build(optimizer, self.trainer.max_epochs or 1)
        stepped: list[dict[str, Any]] = []
        if isinstance(schedule, ReduceLROnPlateau):
            every = self.trainer.check_val_every_n_epoch
            stepped.append({"scheduler": schedule, "monitor": "val/top1_error", "frequency": every})
        elif schedule is not None:
            stepped.append({"scheduler": schedule})
        if self.scheduler.warmup_epochs > 0:
            stepped.append({"scheduler": self._warmup(optimizer), "interval": "step"})
        return [optimizer], stepped

    def _reschedule(self) -> None:
        """Replace the schedule by that of a run of the new length; Lightning has restored the old one's."""
        optimizer = self.trainer.optimizers[0]
        for stepped in self.trainer.lr_scheduler_configs:
            old = stepped.scheduler
            if stepped.interval == "step" or isinstance(old, ReduceLROnPlateau):
                continue  # a warm-up, or one that does not depend on the length
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"]
            new = self.scheduler.build(optimizer, self.trainer.max_epochs or 1)
            assert isinstance(new, LRScheduler)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch: no step of the optimizer precedes
                for _ in range(old.last_epoch):
                    new.step()
            stepped.scheduler = new
        for stepped in self.trainer.lr_scheduler_configs:
            if isinstance(warmup := stepped.scheduler, LinearLR) and stepped.interval == "step":
                done = min(warmup.last_epoch, warmup.total_iters) / max(1, warmup.total_iters)
                for group in optimizer.param_groups:
                    group["lr"] *= warmup.start_factor + (1 - warmup.start_factor) * done

    def _warmup(self, optimizer: torch.optim.Optimizer) -> LRScheduler:
        """Return the linear warm-up, whose factor multiplies the rate of the schedule."""
        epochs = self.trainer.max_epochs or 1
        steps_per_epoch = self.trainer.estimated_stepping_batches / epochs
        steps = max(1, round(self.scheduler.warmup_epochs * steps_per_epoch))
        return LinearLR(optimizer, start_factor=1 / steps, total_iters=steps - 1)
