"""Configurations of the jobs of a sweep, many of which differ in a few values only."""

from collections.abc import Sequence
from copy import deepcopy

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException


class JobComposer:
    """Composes what `ConfigLoader.load_sweep_config` does for each job of a sweep, with fewer files read.

    Hydra reads and merges some forty files for each job. Here that is done once for each choice of groups;
    a job's other values (seed=1, optimizer.lr=0.01) are set in a copy. `sweep` is the configuration of the
    whole command.
    """

    def __init__(self, loader: ConfigLoader, sweep: DictConfig) -> None:
        self.sweep = sweep
        self._loader = loader
        self._parser = OverridesParser.create()
        self._groups = set(loader.list_groups(""))
        self._composed: dict[tuple[str, ...], DictConfig] = {}

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Return the configuration of the job with these overrides. Raises what Hydra raises."""
        parsed = self._parser.parse_overrides(list(overrides))
        if any(override.type is not OverrideType.CHANGE for override in parsed):  # with + and ~ order matters
            return self._load(overrides)
        key = tuple(_line(override) for override in parsed if self._chooses_files(override))
        if key not in self._composed:
            self._composed[key] = self._load(key)
        config = deepcopy(self._composed[key])
        try:
            for override in parsed:
                if not self._chooses_files(override):
                    OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
        except OmegaConfBaseException:
            return self._load(overrides)  # it fails there, too, and with Hydra's own message
        task = [override for override in parsed if not override.is_hydra_override()]
        form = config.hydra.job.config.override_dirname
        config.hydra.overrides.task = [_line(override) for override in task]
        config.hydra.job.override_dirname = get_overrides_dirname(
            task, exclude_keys=form.exclude_keys, item_sep=form.item_sep, kv_sep=form.kv_sep
        )
        return config

    def _load(self, overrides: Sequence[str]) -> DictConfig:
        return self._loader.load_sweep_config(self.sweep, list(overrides))

    def _chooses_files(self, override: Override) -> bool:
        """Return whether it chooses from a group, or sets a key of Hydra's, instead of one of the run."""
        group = override.key_or_group.partition("/")[0]
        return group in self._groups or override.package is not None or override.is_hydra_override()


def _line(override: Override) -> str:
    assert override.input_line is not None
    return override.input_line
