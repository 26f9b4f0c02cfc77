"""The losses of the first training steps with every network and switch, stored in tests/stored_losses.json.

A change of the code that should leave the mathematics alone leaves them alone, too; one that should not is
the occasion to store them anew, and to look at which cases have changed:

    python tests/stored_losses.py            # all cases, some minutes; or those named: ... resnet18 tanh

Each case is a command line of the real src/train.py, on the CPU with one thread, in float64 from the initial
weights on: what is left of rounding is then so small that processors of other kinds, and other numbers of
threads, agree to many digits more than TOLERANCE. Nothing of the package is imported, so that whatever is
renamed there leaves the measurement alone.

The pictures are whole numbers drawn here, 256x256 as the program stores them. Those of data=synthetic are
worked out in float32, and resized: some of their pixels depend on the processor.
"""

import contextlib
import io
import json
import os
import runpy
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from matplotlib.figure import Figure
from PIL import Image

PROGRAM = Path(__file__).resolve().parents[1] / "src/train.py"
STORED = Path(__file__).with_suffix(".json")
STEPS = 20
TOLERANCE = 1e-9  # relative

CLASSES = 6  # the fewest of which a top-5 error is taken
SPLITS = {"train": 20, "val": 6}  # pictures

COMMON = (
    *("data=folder", "data.batch_size=2", "optimizer.lr=0.001", "data.workers=1", "trainer.max_epochs=2"),
    *("trainer.limit_val_batches=1", "trainer.accelerator=cpu", "trainer.precision=64-true"),
    *("performance=plain", "logger=csv", "callbacks.activation_monitor.images=null"),
    *("callbacks.checkpoint.last=false", "callbacks.checkpoint.best=false"),
)
NARROW = "model.width=0.0625 model.fc_units=[2048,2048]"
SMALL = "model.image_size=64"
# of a run that another one learns from
TEACHER = ("trainer.max_epochs=1", "trainer.limit_train_batches=2", "callbacks.checkpoint.last=true")
# 5 steps an epoch instead of 10: the rate changes after each
SHORT_EPOCHS = "trainer.limit_train_batches=5 trainer.max_epochs=4"

# what each sets; where COMMON sets it, too, this goes before it
CASES = {
    "alexnet": f"model=alexnet {NARROW}",
    "alexnet_paper": f"model=alexnet_paper {NARROW}",
    "alexnet_2012": f"model=alexnet_2012 {NARROW}",
    "alexnet_2012_pretrained": f"model=alexnet_2012_pretrained {NARROW}",
    "alexnet_caffe": f"model=alexnet_caffe {NARROW}",
    "alexnet_torchvision": f"model=alexnet_torchvision {NARROW}",
    "convnet_13pct": "model=convnet_13pct",
    "convnet_11pct": "model=convnet_11pct +optimizer.layer_weight_decay.local3=0.01",
    "convnet_11pct_n5": "model=convnet_11pct_n5",
    "convnet_18pct": "model=convnet_18pct",
    "lenet5": "model=lenet5",
    # batch normalisation over two images makes much of rounding, the more so the faster the weights move
    "resnet18": f"model=resnet18 {SMALL} optimizer.lr=0.0002",
    "googlenet": "model=googlenet model.image_size=96 optimizer.lr=0.00001",
    "vgg16": f"model=vgg16 {SMALL}",
    "torchvision": f"model=torchvision model.name=mobilenet_v3_small {SMALL}",
    "no_lrn": f"{NARROW} model.lrn=false",
    "no_dropout": f"{NARROW} model.dropout=0",
    "tanh": f"{NARROW} model.activation=tanh model.init_bias=true model.init_gain=1",
    "sigmoid": f"{NARROW} model.activation=sigmoid model.init_bias=true model.init_gain=1",
    "identity": f"{NARROW} model.activation=identity",
    "two_columns": f"{NARROW} model.columns=2",
    "no_communication": f"{NARROW} model.columns=2 model.cross_column=false",
    "non_overlapping": f"{NARROW} model.pooling=non_overlapping",
    "init_pytorch": f"{NARROW} model.init=pytorch",
    "init_he": f"{NARROW} model.init=he optimizer.lr=0.0001",
    "zero_biases": f"{NARROW} model.init_bias=false",
    "removed": f"{NARROW} model.remove_layers=[conv3,conv4]",
    "frozen": f"{NARROW} model.freeze=[conv1,conv2]",
    "pytorch_sgd": f"{NARROW} {SHORT_EPOCHS} optimizer=pytorch_sgd",
    "cuda_convnet_2012": f"{NARROW} {SHORT_EPOCHS} optimizer=cuda_convnet_2012",
    "freeze_from": f"{NARROW} {SHORT_EPOCHS} optimizer.freeze=[conv1] optimizer.freeze_from=0.5",
    "nesterov": f"{NARROW} {SHORT_EPOCHS} optimizer=nesterov",
    "adamw": f"optimizer=adamw optimizer.lr=0.0001 {NARROW} {SHORT_EPOCHS}",
    "later": (
        f"{NARROW} {SHORT_EPOCHS} model.batch_norm=true model.activation=gelu scheduler.warmup_epochs=1.5"
        " trainer.gradient_clip_val=1 loss=cross_entropy loss.label_smoothing=0.1"
    ),
    "distillation": f"{NARROW} loss=distillation loss.teacher={{teacher}}",
    "leaky_relu": f"{NARROW} model.activation=leaky_relu",
    "elu": f"{NARROW} model.activation=elu",
    "silu": f"{NARROW} model.activation=silu",
    "constant": f"{NARROW} {SHORT_EPOCHS} scheduler=constant",
    "cosine": f"{NARROW} {SHORT_EPOCHS} optimizer=sgd scheduler=cosine",
    "step": f"{NARROW} {SHORT_EPOCHS} scheduler=step",
    "plateau": f"{NARROW} {SHORT_EPOCHS} scheduler=plateau scheduler.patience=0",
    "no_augmentation": f"{NARROW} data.augment.crop=false data.augment.flip=false data.augment.color=false",
    "augmentation": (
        f"{NARROW} data.augment.color_scale=eigenvalue data.augment.crop_group_size=4 data.mean=channel"
    ),
    "color_until_epoch": f"{NARROW} data.augment.color_until_epoch=1 data.mean=zero",
    "recipe_2012": f"experiment=alexnet_2012 {NARROW} {SHORT_EPOCHS}",
    "recipe_caffe": f"experiment=alexnet_caffe {NARROW} {SHORT_EPOCHS}",
}
# run by `make test-slow`: more than five seconds each, or near to another case
SLOW = {
    *("vgg16", "googlenet", "resnet18", "sigmoid", "identity", "no_communication", "init_pytorch", "init_he"),
    *("leaky_relu", "elu", "silu", "nesterov", "convnet_11pct_n5", "convnet_18pct"),
    *("convnet_11pct", "alexnet_2012_pretrained", "distillation"),
    *("zero_biases", "removed", "frozen", "freeze_from", "no_augmentation", "color_until_epoch"),
}


class _Losses(Callback):
    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        loss = outputs["loss"]
        kinds = {loss.dtype, batch[0].dtype, *(parameter.dtype for parameter in pl_module.parameters())}
        assert kinds == {torch.float64}, kinds
        self.losses.append(loss.item())


def make_pictures(root: Path) -> None:
    """Rectangles of random colours, for each class of another height, as PNG files in its folder."""
    for split, count in SPLITS.items():
        for index in range(count):
            label = index % CLASSES
            rng = np.random.default_rng([split == "val", index])
            rows, columns = 2 << label, 8
            colors = rng.integers(0, 256, (rows, columns, 3), dtype=np.uint8)
            picture = colors.repeat(256 // rows, 0).repeat(256 // columns, 1)
            path = root / split / f"class{label}" / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)


def losses_of(case: str, root: Path) -> list[float]:
    """The losses of a case's first steps, trained on the pictures in `root`."""
    losses = _Losses()
    fit = Trainer.fit

    def watched(trainer: Trainer, *arguments: Any, **named: Any) -> None:
        trainer.callbacks.append(losses)
        fit(trainer, *arguments, **named)

    with tempfile.TemporaryDirectory() as outputs, _plain_arithmetic():
        teacher = f"{outputs}/teacher"
        if "{teacher}" in CASES[case]:
            _run(case, root, [*NARROW.split(), *TEACHER, f"run_folder={teacher}"])
        typed = CASES[case].format(teacher=teacher).split()
        with patch.object(Trainer, "fit", watched):
            _run(case, root, [f"outputs={outputs}", *typed])
    assert len(losses.losses) == STEPS, f"{case}: {len(losses.losses)} steps"
    return losses.losses


def _run(case: str, root: Path, typed: list[str]) -> None:
    """Run the program on the pictures in `root`."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()) as told,
        patch.object(sys, "argv", _last_of_each([str(PROGRAM), *COMMON, f"data.root={root}", *typed])),
        patch.dict(os.environ, ALEXNET_CACHE=f"{root}.cache"),
        patch.object(Figure, "savefig"),  # a third of the time
    ):
        try:
            runpy.run_path(str(PROGRAM), run_name="__main__")
        except SystemExit as ended:
            raise RuntimeError(f"{case}: {ended.code}\n{told.getvalue()}") from ended


def differences(case: str, losses: list[float], stored: list[float]) -> list[str]:
    """What to say of each step whose loss is not the stored one."""
    return [
        f"{case}, step {step}: {loss!r}, but stored is {before!r}"
        for step, (loss, before) in enumerate(zip(losses, stored, strict=True), 1)
        if not abs(loss - before) <= TOLERANCE * abs(before)
    ]


def read_stored() -> dict[str, list[float]]:
    """The stored losses of each case."""
    return json.loads(STORED.read_text()) if STORED.exists() else {}


def _last_of_each(argv: list[str]) -> list[str]:
    """Each key once, with its last value: Hydra takes no group twice."""
    return list({argument.partition("=")[0]: argument for argument in argv}.values())


@contextlib.contextmanager
def _plain_arithmetic() -> Iterator[None]:
    """One thread, and float64 throughout: torch's normal draws in float32 depend on the processor."""
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)


def _write(stored: dict[str, list[float]]) -> None:
    rows = [f"  {json.dumps(case)}: {json.dumps(stored[case])}" for case in CASES if case in stored]
    STORED.write_text("{\n" + ",\n".join(rows) + "\n}\n")


def main(cases: Iterable[str]) -> None:
    """Store the losses of these cases, and say which have changed."""
    sys.path.insert(0, str(PROGRAM.parent))
    stored = read_stored()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "pictures"
        make_pictures(root)
        for case in cases:
            losses = losses_of(case, root)
            changed = differences(case, losses, stored[case]) if case in stored else [f"{case}: new"]
            print(changed[0] if changed else f"{case}: as stored", flush=True)
            if changed:
                stored[case] = losses
    _write(stored)


if __name__ == "__main__":
    main(sys.argv[1:] or CASES)
