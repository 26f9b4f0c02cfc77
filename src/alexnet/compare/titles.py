"""The title of a comparison, in words: Innovations on Imagenette, 2 epochs, width 0.125."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from alexnet.compare.runs import Run
from alexnet.studies.record import StudyRecord
from alexnet.terminal import counted

DATA_NAMES = {
    "cifar10": "CIFAR-10",
    "imagenet": "ImageNet",
    "imagenette": "Imagenette",
    "synthetic": "synthetic images",
}
# keys whose last part, in words, does not name them
KEY_NAMES = {
    "model.fc_units": "fully connected units",
    "model.init": "initial weights",
    "model.init_bias": "initial biases",
    "model.lrn": "LRN",
    "optimizer.lr": "learning rate",
    "trainer.max_epochs": "epochs",
}
MOST_KEYS = 3  # of a sweep; more are counted
STUDIES, SWEEPS = "studies", "sweeps"  # folders of outputs: studies/<study>/<settings>, sweeps/<name>


def title(subject: str | None, runs: Sequence[Run], factors: Collection[str]) -> str:
    """Compose the title of a comparison of `runs`, which differ in the keys `factors`.

    It says what was compared, on which data, and of the settings that all runs share those that are essential
    (epochs) or unusual (another network, its width, a single seed). Without a `subject` the keys are named.
    """
    keys = [key for key in dict.fromkeys([*runs[0].settings, *sorted(factors)]) if key in factors]
    return ", ".join([f"{subject or _sweep(keys)} on {data_names(runs)}", *_conditions(runs)])


def subject_of(folder: Path, record: StudyRecord | None) -> str | None:
    """Return what a study or sweep compares, in words; None for a sweep, whose keys say it."""
    if record is not None and record.title:
        return record.title
    folder = folder.resolve()
    if folder.parent.name == SWEEPS:
        return None
    for named in (folder, folder.parent):
        if named.parent.name == STUDIES:
            return _capitalized(named.name.replace("_", " "))
    return folder.name


def _sweep(keys: Sequence[str]) -> str:
    """Name the keys: Sweep over LRN, dropout and learning rate."""
    chosen = [key.removesuffix("name") for key in keys if key.endswith(".name")]
    implied = {key for key in keys if key.startswith(tuple(chosen)) and not key.endswith(".name")}
    names = list(dict.fromkeys(_key_name(key) for key in keys if key not in implied))
    if len(names) > MOST_KEYS:
        return f"Sweep over {len(names)} settings"
    return f"Sweep over {_list(names)}"


def _key_name(key: str) -> str:
    """Return a key in words: weight decay for optimizer.weight_decay, optimizer for optimizer.name."""
    return KEY_NAMES.get(key) or key.removesuffix(".name").rpartition(".")[2].replace("_", " ")


def data_names(runs: Sequence[Run]) -> str:
    """Name the data sets: by the names that people use, or that of the folder with the images."""
    names = (run.settings.get("data.name", "unknown data") for run in runs)
    named = (
        Path(run.data_root).name if name == "folder" and run.data_root else DATA_NAMES.get(name, str(name))
        for name, run in zip(names, runs, strict=True)
    )
    return _list(list(dict.fromkeys(named)))


def _conditions(runs: Sequence[Run]) -> list[str]:
    epochs = {run.epochs for run in runs if run.epochs is not None}
    network, width = _shared(runs, "model.name"), _shared(runs, "model.width")
    conditions = {
        str(network): network not in (None, "alexnet"),
        epochs_text(runs): bool(epochs),
        f"width {width}": width not in (None, 1),
        "one seed": len({run.seed for run in runs}) == 1,
    }
    return [text for text, said in conditions.items() if said]


def epochs_text(runs: Iterable[Run]) -> str:
    """Say how long the runs trained: "20 epochs"; "4 to 37 epochs" where they end when they have learned."""
    trained = [run for run in runs if run.epochs is not None]
    epochs = sorted({run.epochs for run in trained if run.epochs is not None})
    if len(epochs) > 1 and all(run.may_end_early for run in trained):
        return f"{epochs[0]} to {epochs[-1]} epochs"
    if len(epochs) == 1:
        return counted(epochs[0], "epoch")
    return f"{_list(list(map(str, epochs)))} epochs"


def _shared(runs: Sequence[Run], key: str) -> Any:
    """Return the value of a key that all runs have in common; None where they do not."""
    first = runs[0].settings.get(key)
    return first if all(run.settings.get(key) == first for run in runs) else None


def _list(words: Sequence[str]) -> str:
    """Join words: one, two and three."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def _capitalized(words: str) -> str:
    return words[:1].upper() + words[1:]
