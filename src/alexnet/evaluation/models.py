"""The networks to evaluate, and the validation images of each."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from alexnet.config import DataConfig, EvaluateConfig
from alexnet.data.fetching import FetchedDataConfig
from alexnet.data.locations import pack_folder, require_data
from alexnet.data.sources.folder import FolderConfig
from alexnet.data.val_data import ValData, holds_images, load_val_data
from alexnet.errors import UserError
from alexnet.files import read_json
from alexnet.hardware import resolve_precision
from alexnet.paths import absolute
from alexnet.runs.resume import read_run_config
from alexnet.runs.trained_model import TrainedModel, load_published, load_trained_model, training_data_config


@dataclass(frozen=True)
class EvaluatedModel:
    """A trained network with its name, the configuration of its images, and its run's folder, if any.

    `whole` evaluates all images where there is no folder of validation images: those given for an evaluation.
    `precision` is 32-true or bf16-mixed.
    """

    name: str
    trained: TrainedModel
    data: DataConfig
    run: Path | None = None
    whole: bool = False
    precision: str = "32-true"


def load_models(config: EvaluateConfig) -> list[EvaluatedModel]:
    """Load the networks of a configuration.

    Raises `UserError` for a network that does not exist, is given twice, or whose images are gone, and for
    networks of different classes.
    """
    if config.weights is not None:
        return [_load_published(config, config.weights)]
    paths = [absolute(path) for path in (*config.runs, *config.checkpoints)]
    for index, path in enumerate(paths):
        if path in paths[:index]:
            raise UserError(f"{path} is given twice. An ensemble takes different networks.")
    members = []
    for name, path in zip(_names(paths), paths, strict=True):
        if config.runs:
            trained, file = load_trained_model(str(path), None), path / "config.yaml"
            saved = read_run_config(path)  # not the checkpoint's: the run may have been moved and resumed
        else:
            trained, file = load_trained_model(None, str(path)), path
            saved = trained.config
        data = config.data
        if data is None:
            data = training_data_config(saved, file, config.data_root)
            if not Path(data.cache).expanduser().is_dir():
                data = replace(data, cache=config.cache)
        data = replace(data, resize_size=trained.resize_size)
        _require_data(name, data, config)
        whole = config.data is not None
        if config.data_root is not None:
            data = _without_fetching(data)
            whole = not _are_moved(path, data)
        run = path if config.runs else None
        members.append(EvaluatedModel(name, trained, data, run, whole, _precision(trained, config)))
    first = members[0].trained
    for member in members[1:]:
        check_same_classes(
            *(member.trained.classes, str(member.trained.checkpoint)),
            *(first.classes, str(first.checkpoint)),
        )
    return members


def _load_published(config: EvaluateConfig, weights: str) -> EvaluatedModel:
    assert config.model is not None and config.data is not None  # EvaluateConfig checks it
    trained = load_published(config.model, weights, config.data.resize_size)
    name = f"{config.model.name}, {trained.checkpoint.name}"
    _require_data(name, config.data, config)
    return EvaluatedModel(name, trained, config.data, whole=True, precision=_precision(trained, config))


def _precision(trained: TrainedModel, config: EvaluateConfig) -> str:
    """Return the precision of an evaluation, with `auto` resolved: not bfloat16 for what trained without."""
    of_training = trained.config.get("trainer", {}).get("precision", "32-true")
    if config.precision == "auto" and of_training in ("32-true", "64-true"):
        return "32-true"
    return resolve_precision(config)


def _without_fetching(data: DataConfig) -> DataConfig:
    """Return the configuration of class folders if a folder does not hold a copy of what would be fetched."""
    if not isinstance(data, FetchedDataConfig) or data.find(absolute(data.root)):
        return data
    common = {key.name: getattr(data, key.name) for key in fields(DataConfig)}
    return FolderConfig(**common | {"name": "folder", "source": "folder"})


def _are_moved(path: Path, data: DataConfig) -> bool:
    """Return whether images are those on which a run was trained, of which some were held out."""
    folder = path if path.is_dir() else path.parent.parent  # of a checkpoint
    key = read_json(folder / "environment.json").get("data_fingerprint")
    try:
        with (folder / "excluded_files.csv").open(newline="", encoding="utf-8") as file:
            excluded = {row["file"] for row in csv.DictReader(file)}
    except (OSError, ValueError, KeyError):
        return False
    return isinstance(key, str) and holds_images(data, key, excluded)


def validated_on(run: Path, data: ValData) -> bool:
    """Return whether images have the names and classes of those on which a run was validated.

    Runs of older versions have not recorded these: their images are taken to be the same.
    """
    return read_json(run / "environment.json").get("val_fingerprint") in (None, data.fingerprint)


def load_data(members: Sequence[EvaluatedModel]) -> list[ValData]:
    """Load the validation images of each network; networks with the same images share one copy.

    Raises `UserError` where the images have other classes than the network, or differ between networks.
    """
    copies: dict[tuple[Path, bool], ValData] = {}
    for member in members:
        key = _key(member)
        if key not in copies:
            data = load_val_data(member.data, whole=member.whole)
            copies[key] = data.with_classes(member.trained.classes)
        check_same_classes(
            *(copies[key].classes, copies[key].origin),
            *(member.trained.classes, str(member.trained.checkpoint)),
        )
    first, *others = [copies[_key(member)] for member in members]
    for data in others:
        if data.fingerprint != first.fingerprint:
            raise UserError(
                f"The networks have different validation images: {first.origin} ({len(first.images):,}) and"
                f" {data.origin} ({len(data.images):,}). Give images for all of them: data=... data.root=..."
            )
    return [first, *others]


def _key(member: EvaluatedModel) -> tuple[Path, bool]:
    return pack_folder(member.data), member.whole  # the folder differs with location, size and split


def check_same_classes(
    classes: Sequence[str], source: str, other_classes: Sequence[str], other_source: str
) -> None:
    """Raise `UserError` where the classes of two sources differ."""
    if list(classes) == list(other_classes):
        return
    only = next(iter(sorted(set(classes) ^ set(other_classes))), classes[0])
    only_source = source if only in classes else other_source
    counts = f"{len(classes):,} classes in {source}, {len(other_classes):,} in {other_source}"
    raise UserError(f"Not the same classes: {counts}; '{only}' is only in {only_source}.")


def _require_data(name: str, data: DataConfig, config: EvaluateConfig) -> None:
    """Raise `UserError` with the setting that corrects it where a network's images do not exist."""
    try:
        require_data(data)
    except UserError as error:
        if config.data is not None:
            raise
        if config.data_root is not None:
            raise UserError(f"data_root={config.data_root}: there is no such folder.") from error
        raise UserError(
            f"{name}: its images are no longer at {data.pack or data.root}. Give their new location:"
            " data_root=<folder>."
        ) from error


def _names(paths: Sequence[Path]) -> list[str]:
    """Return the last parts of each path, as many as make the names distinct."""
    for count in range(1, max(len(path.parts) for path in paths)):
        names = ["/".join(path.parts[-count:]) for path in paths]
        if len(set(names)) == len(names) and not any(name.startswith("seed=") for name in names):
            return names
    return [str(path) for path in paths]
