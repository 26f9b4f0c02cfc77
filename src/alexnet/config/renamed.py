"""Former names of keys and values: rejected on the command line, translated in saved configurations.

A run's config.yaml and its checkpoints keep the names that were current when they were written; all code that
reads them calls `migrate`.
"""

from copy import deepcopy
from typing import Any

from alexnet.config.hashing import flatten, is_under, nest

# former key or group -> current name
RENAMED_KEYS = {
    "model.hidden": "model.fc_units",
    "model.removed": "model.remove_layers",
    "model.communication": "model.cross_column",
    "data.stored_size": "data.resize_size",
    "data.augment.chunk": "data.augment.crop_group_size",
    "data.lr": "optimizer.lr",
    "data.epochs": "trainer.max_epochs",
    "speed.keep_freed_memory": "performance.retain_malloc",
    "speed": "performance",
    "callbacks.layer_probe": "callbacks.activation_monitor",
    "callbacks.learning_guard.nonfinite": "callbacks.nan_monitor.nonfinite",
    "callbacks.learning_guard.explosion": "callbacks.nan_monitor.divergence_factor",
    "callbacks.learning_guard": "callbacks.convergence_monitor",
    "growth": "scaling",
    "programs": "variants",
}
# (key or group, former value) -> current value
RENAMED_VALUES = {
    ("model.init", "program_2012"): "cuda_convnet_2012",
    ("optimizer", "program_2012"): "cuda_convnet_2012",
    ("study", "speed"): "performance",
}
# in saved configurations: the first two duplicate `optimizer.lr` and `trainer.max_epochs`, the baseline of a
# study is in its record
DROPPED_KEYS = ("data.lr", "data.epochs", "baseline")
# (key, value) -> keys that saved configurations have although this choice does not use them
UNUSED_KEYS = {
    ("scheduler.schedule", "constant"): ("factor", "milestones", "patience", "reductions"),
    ("scheduler.schedule", "cosine"): ("factor", "milestones", "patience", "reductions"),
    ("scheduler.schedule", "plateau"): ("milestones",),
    ("scheduler.schedule", "step"): ("patience", "reductions"),
    **{("data.source", name): ("synthetic",) for name in ("folder", "cifar10", "imagenette", "imagenet")},
    **{("strategy.name", name): ("data_parallel_size",) for name in ("auto", "single", "ddp", "fsdp")},
    ("logger.kind", "csv"): (
        *("project", "entity", "mode", "group", "job_type", "name", "tags", "log_checkpoint"),
    ),
}
# key -> (its value in runs from before it existed, a key beside which it belongs); a run that has a loss has
# those of the first that belong to its choices
ADDED_BEFORE_THE_LOSS: dict[str, tuple[Any, str]] = {
    "model.batch_norm": (False, "model.lrn"),
    "scheduler.warmup_epochs": (0.0, "scheduler.schedule"),
    "loss.name": ("cross_entropy", "scheduler.schedule"),
    "loss.label_smoothing": (0.0, "scheduler.schedule"),
    "trainer.gradient_clip_val": (None, "trainer.max_epochs"),
    "trainer.gradient_clip_algorithm": ("norm", "trainer.max_epochs"),
}
ADDED_KEYS: dict[str, tuple[Any, str]] = {
    "callbacks.ema.decay": (None, "callbacks.nan_monitor.nonfinite"),
    "callbacks.train_eval.enabled": (False, "callbacks.nan_monitor.nonfinite"),
    "callbacks.train_eval.stop_below": (None, "callbacks.nan_monitor.nonfinite"),
    "data.augment.cutmix.alpha": (0.0, "data.augment.crop"),
    "data.augment.cutmix.p": (1.0, "data.augment.crop"),
    "data.augment.mixup.alpha": (0.0, "data.augment.crop"),
    "data.augment.mixup.p": (1.0, "data.augment.crop"),
    "data.augment.random_erasing.p": (0.0, "data.augment.crop"),
    "data.augment.random_erasing.scale": ([0.02, 0.4], "data.augment.crop"),
    "data.augment.random_erasing.ratio": ([0.3, 3.3333333333333335], "data.augment.crop"),
    "data.augment.random_resized_crop.enabled": (False, "data.augment.crop"),
    "data.augment.random_resized_crop.scale": ([0.08, 1.0], "data.augment.crop"),
    "data.augment.random_resized_crop.ratio": ([0.75, 1.3333333333333333], "data.augment.crop"),
    "data.augment.trivial_augment.enabled": (False, "data.augment.crop"),
    "data.exclude_damaged": (False, "data.name"),
    "data.hold_out": (None, "data.name"),
    "data.in_memory": (False, "data.name"),
    "data.resident": (False, "data.name"),
    "model.init_gain": (1.0, "model.init_bias"),
    "model.conv6": (False, "model.remove_layers"),
    "model.lrn_cross_column": (False, "model.cross_column"),
    "optimizer.layer_lr_factor": ({}, "optimizer.lr"),
    "optimizer.layer_weight_decay": ({}, "optimizer.lr"),
    "trainer.rendezvous_timeout": (600.0, "trainer.max_epochs"),
}


def new_name(key: str) -> str | None:
    """Return the current name of a former key, or None if it has not been renamed."""
    if not is_under(key, tuple(RENAMED_KEYS)):
        return None
    former = next(former for former in RENAMED_KEYS if is_under(key, (former,)))
    return RENAMED_KEYS[former] + key.removeprefix(former)


def migrate(config: dict[str, Any]) -> dict[str, Any]:
    """Translate a saved configuration, or some of its top-level groups, to current names."""
    leaves = {key: value for key, value in flatten(config).items() if key not in DROPPED_KEYS}
    renamed = {new_name(key) or key: value for key, value in leaves.items()}
    unused = {
        f"{key.partition('.')[0]}.{name}"
        for key, value in renamed.items()
        if isinstance(value, str)
        for name in UNUSED_KEYS.get((key, value), ())
    }
    missing = ADDED_KEYS if "loss.name" in renamed else ADDED_BEFORE_THE_LOSS | ADDED_KEYS
    added = {
        key: deepcopy(value)
        for key, (value, beside) in missing.items()
        if beside in renamed and key not in renamed and not any(is_under(known, (key,)) for known in renamed)
    }
    renamed = added | renamed
    return nest(
        {
            key: RENAMED_VALUES.get((key, value), value) if isinstance(value, str) else value
            for key, value in renamed.items()
            if not is_under(key, tuple(unused))
        }
    )
