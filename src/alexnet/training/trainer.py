"""Lightning's Trainer with the callbacks of a run."""

from pathlib import Path

from lightning import Callback, Trainer
from lightning.pytorch.loggers import WandbLogger

from alexnet.callbacks.activation_monitor import ActivationMonitor
from alexnet.callbacks.checkpoint import TrainingCheckpoint
from alexnet.callbacks.compiler_check import CompilerCheck
from alexnet.callbacks.convergence_monitor import ConvergenceMonitor
from alexnet.callbacks.metrics_recorder import MetricsRecorder
from alexnet.callbacks.nan_monitor import NaNMonitor
from alexnet.callbacks.network_figures import NetworkFigures
from alexnet.callbacks.progress_bar import ProgressBar
from alexnet.callbacks.rng_state import RNGStateCallback
from alexnet.callbacks.sample_count_check import SampleCountCheck
from alexnet.callbacks.throughput_monitor import ThroughputMonitor
from alexnet.config import CallbacksConfig
from alexnet.config.callbacks import CALLBACKS
from alexnet.distributed.rank_monitor import RankMonitor, print_error
from alexnet.distributed.rendezvous import Rendezvous
from alexnet.errors import UserError
from alexnet.runs.folder import RunFolder
from alexnet.runs.signals import GracefulShutdown, InterruptionError, parse_max_time
from alexnet.training.components import Components
from alexnet.training.request import TrainRequest
from alexnet.training.trainer_args import trainer_arguments


class RunTrainer:
    """The training of a run on one rank; only the first has a `folder`, and writes.

    Owns the run's callbacks. `checkpoint` is the file to resume from, None to start from the beginning.
    """

    def __init__(
        self, request: TrainRequest, components: Components, folder: RunFolder | None, checkpoint: Path | None
    ) -> None:
        config = request.config
        self.config, self.components, self.checkpoint = config, components, checkpoint
        watched, chance_loss = config.callbacks, components.module.chance_loss
        self.throughput = ThroughputMonitor(components.flops)
        self.recorder = MetricsRecorder(
            folder, self.throughput, components.module.classes, chance_loss, request.resolved
        )
        self.nan_monitor = NaNMonitor(watched.nan_monitor, chance_loss)
        self.convergence_monitor = ConvergenceMonitor(watched.convergence_monitor, chance_loss)
        self.rank_monitor = RankMonitor()
        self.shutdown = GracefulShutdown(parse_max_time(config.trainer.max_time), request.made)
        processes = config.trainer.devices * config.trainer.num_nodes
        self.rendezvous = Rendezvous(processes, config.trainer.rendezvous_timeout, self.shutdown.request)
        self.activation_monitor = ActivationMonitor(
            folder, components.datamodule, watched.activation_monitor.images, self.recorder.title
        )
        checkpoints = folder.checkpoints if folder else None
        self.callbacks: list[Callback] = [
            self.rendezvous,
            ProgressBar(),
            SampleCountCheck(components.datamodule),
            self.throughput,
            *_optional_callbacks(watched),  # before the recorder, which records what they log
            NetworkFigures(folder, config.model.name),
            self.recorder,
            self.activation_monitor,
            self.nan_monitor,
            self.convergence_monitor,
            self.rank_monitor,
            CompilerCheck(config.performance),
            RNGStateCallback(),
            TrainingCheckpoint(
                checkpoints,
                watched.checkpoint,
                self.shutdown,
                self.nan_monitor,
                self.throughput,
                request.made,
            ),
        ]

    def fit(self, logger: WandbLogger | None = None) -> None:
        """Train to the end, from the checkpoint if there is one."""
        arguments = trainer_arguments(self.config.trainer, self.config.strategy)
        trainer = Trainer(
            **arguments,
            callbacks=self.callbacks,
            logger=logger or False,
            use_distributed_sampler=False,  # GlobalBatchSampler splits batches over the ranks
            num_sanity_val_steps=0,
            enable_model_summary=False,
            enable_progress_bar=False,  # ProgressBar instead
        )
        module, datamodule = self.components.module, self.components.datamodule
        with self.shutdown.handling(), self.rendezvous.watching(trainer):
            trainer.fit(module, datamodule, ckpt_path=self.checkpoint, weights_only=True)

    def finish_figures(self) -> None:
        """Draw what the figures of the run do not show yet."""
        self.recorder.curves.finish()
        self.activation_monitor.figure.finish()

    def fit_as_worker(self) -> None:
        """Train beside the first process, which records the run."""
        try:
            self.fit()
        except InterruptionError as problem:
            raise SystemExit(1) from problem
        except RuntimeError as problem:
            if (lost := self.rank_monitor.explain(problem)) is None:
                raise
            if "Rank 0" in lost:  # which cannot report it
                print_error(lost)
            raise UserError(lost) from problem


def _optional_callbacks(config: CallbacksConfig) -> list[Callback]:
    """Build the registered callbacks that are on. Raises `UserError` for what is not a callback."""
    built = {name: options.build() for name, options in CALLBACKS.configs(config).items()}
    for name, callback in built.items():
        if callback is not None and not isinstance(callback, Callback):
            raise UserError(
                f"callbacks.{name}: build() of {CALLBACKS[name].__module__} returned a"
                f" {type(callback).__name__}, not a Callback of Lightning."
            )
    return [callback for callback in built.values() if callback is not None]
