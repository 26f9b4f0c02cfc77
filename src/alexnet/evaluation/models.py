"""The networks to evaluate, and the validation images of each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from alexnet.config import DataConfig, EvaluateConfig
from alexnet.data.loading import ValData, load_val_data
from alexnet.data.locations import pack_folder, require_data
from alexnet.errors import UserError
from alexnet.paths import absolute
from alexnet.runs.resume import read_run_config
from alexnet.runs.trained_model import TrainedModel, load_published, load_trained_model, training_data_config


@dataclass(frozen=True)
class EvaluatedModel:
    """A trained network with its name, the configuration of its images, and its run's folder, if any."""

    name: str
    trained: TrainedModel
    data: DataConfig
    run: Path | None = None


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
        members.append(EvaluatedModel(name, trained, data, path if config.runs else None))
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
    return EvaluatedModel(name, trained, config.data)


def load_data(members: Sequence[EvaluatedModel]) -> list[ValData]:
    """Load the validation images of each network; networks with the same images share one copy.

    Raises `UserError` where the images have other classes than the network, or differ between networks.
    """
    copies: dict[Path, ValData] = {}
    for member in members:
        key = pack_folder(member.data)  # differs with location, size and split
        if key not in copies:
            copies[key] = load_val_data(member.data)
        check_same_classes(
            *(copies[key].classes, copies[key].origin),
            *(member.trained.classes, str(member.trained.checkpoint)),
        )
    first, *others = [copies[pack_folder(member.data)] for member in members]
    for data in others:
        if data.fingerprint != first.fingerprint:
            raise UserError(
                f"The networks have different validation images: {first.origin} ({len(first.images):,}) and"
                f" {data.origin} ({len(data.images):,}). Give images for all of them: data=... data.root=..."
            )
    return [first, *others]


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
