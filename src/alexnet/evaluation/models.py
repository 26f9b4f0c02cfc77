"""The networks to evaluate, and the images that each sees."""

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
    """A trained network with a name, the images that it is to see, and its run's folder, if it has one."""

    name: str
    trained: TrainedModel
    data: DataConfig
    run: Path | None = None


def load_models(config: EvaluateConfig) -> list[EvaluatedModel]:
    """The networks that are asked for. Raises `UserError` for one that is not there, or there twice, whose
    images are gone, and for networks that do not tell the same classes apart.
    """
    if config.weights is not None:
        return [_published(config, config.weights)]
    paths = [absolute(path) for path in (*config.runs, *config.checkpoints)]
    for place, path in enumerate(paths):
        if path in paths[:place]:
            raise UserError(f"{path} is given twice. An ensemble is of different networks.")
    members = []
    for name, path in zip(_names(paths), paths, strict=True):
        if config.runs:
            trained, file = load_trained_model(str(path), None), path / "config.yaml"
            saved = read_run_config(path)  # its own, not the checkpoint's: the run may have gone on elsewhere
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
    for member in members[1:]:
        check_same_classes(
            *(member.trained.classes, str(member.trained.checkpoint)),
            *(members[0].trained.classes, str(members[0].trained.checkpoint)),
        )
    return members


def _published(config: EvaluateConfig, weights: str) -> EvaluatedModel:
    assert config.model is not None and config.data is not None  # EvaluateConfig checks it
    trained = load_published(config.model, weights, config.data.resize_size)
    name = f"{config.model.name}, {trained.checkpoint.name}"
    _require_data(name, config.data, config)
    return EvaluatedModel(name, trained, config.data)


def load_data(members: Sequence[EvaluatedModel]) -> list[ValData]:
    """The images that each member is to see; those that are read from one place are loaded once.

    Raises `UserError` where they are of other classes than the member's, or not the same images.
    """
    loaded: dict[Path, ValData] = {}
    for member in members:
        place = pack_folder(member.data)  # another for each place, size and split
        if place not in loaded:
            loaded[place] = load_val_data(member.data)
        found = loaded[place]
        check_same_classes(
            *(found.classes, found.origin), *(member.trained.classes, str(member.trained.checkpoint))
        )
    every = [loaded[pack_folder(member.data)] for member in members]
    for data in every[1:]:
        if data.fingerprint != every[0].fingerprint:
            raise UserError(
                f"The networks have other validation images: {every[0].origin} ({len(every[0].images):,}) and"
                f" {data.origin} ({len(data.images):,}). Give images for all of them: data=... data.root=..."
            )
    return every


def check_same_classes(ours: Sequence[str], here: str, theirs: Sequence[str], there: str) -> None:
    """Raise `UserError` where two lists of classes, found `here` and `there`, differ."""
    if list(ours) == list(theirs):
        return
    only = next(iter(sorted(set(ours) ^ set(theirs))), ours[0])
    place = here if only in ours else there
    counts = f"{len(ours):,} classes in {here}, {len(theirs):,} in {there}"
    raise UserError(f"Not the same classes: {counts}; '{only}' is only in {place}.")


def _require_data(name: str, data: DataConfig, config: EvaluateConfig) -> None:
    try:
        require_data(data)
    except UserError as error:
        if config.data is not None:
            raise
        if config.data_root is not None:
            raise UserError(f"data_root={config.data_root}: there is no such folder.") from error
        raise UserError(
            f"{name}: its images are no longer at {data.pack or data.root}. Give where they lie now:"
            " data_root=<folder>."
        ) from error


def _names(paths: Sequence[Path]) -> list[str]:
    """The last parts of each path, as many as tell them apart."""
    for count in range(1, max(len(path.parts) for path in paths)):
        names = ["/".join(path.parts[-count:]) for path in paths]
        if len(set(names)) == len(names) and not any(name.startswith("seed=") for name in names):
            return names
    return [str(path) for path in paths]
