"""The arms of a study as they would be typed: the overrides of each, checked before anything runs."""

import shlex
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from alexnet.config import TrainConfig
from alexnet.config.hashing import NON_FACTOR_KEYS, flatten, is_under
from alexnet.config.messages import format_error
from alexnet.config.reading import read_config, to_plain_dict
from alexnet.config.study import StudyConfig
from alexnet.errors import UserError
from alexnet.studies.design import Plan, arm_name
from alexnet.sweeps.composition import JobComposer
from alexnet.sweeps.planning import without_hydra


class StudyArms:
    """The overrides of each arm of a study, and its settings that can be factors.

    `arguments` are what was typed. Raises a `UserError` that names the arm for one that cannot run, and for
    a factor that changes nothing.
    """

    def __init__(
        self, composer: JobComposer, config: StudyConfig, plan: Plan, arguments: Sequence[str]
    ) -> None:
        self._composer, self._config = composer, config
        self._fixed = _fixed_overrides(arguments, config.group)
        self.settings = {arm: self._compose(arm, factors) for arm, factors in plan.arms.items()}
        self._check_factors()

    def overrides(self, factors: Sequence[str]) -> list[str]:
        """Return what is typed for an arm with these factors, apart from its seed and what the pilot chose.

        Choices of the group come first, then the command's keys, then those of the other factors.
        """
        config = self._config
        choices = [factor for factor in factors if "=" not in factor]
        typed = [part for factor in factors if "=" in factor for part in shlex.split(factor)]
        choices = [config.baseline, *choices] if config.adds_to_baseline else choices or [config.baseline]
        group = choices[0] if len(choices) == 1 else f"[{','.join(choices)}]"
        return [f"{config.group}={group}", *self._fixed, *typed]

    def _compose(self, arm: str, factors: Sequence[str]) -> dict[str, Any]:
        try:
            run = without_hydra(self._composer.compose(self.overrides(factors)))
            read_config(run, TrainConfig)
        except (UserError, HydraException, OmegaConfBaseException) as error:
            problem = format_error(error, TrainConfig)
            raise UserError(f"study={self._config.name}, arm {arm}: {problem}") from error
        settings = flatten(to_plain_dict(run))
        return {key: value for key, value in settings.items() if not is_under(key, NON_FACTOR_KEYS)}

    def _check_factors(self) -> None:
        name = self._config.baseline
        for factor in self._config.factors:
            alone = arm_name([factor], name)  # a fraction may have no such arm
            if self.settings[name] == (self.settings.get(alone) or self._compose(alone, [factor])):
                raise UserError(
                    f"study={self._config.name}, factor {factor}: has only one level, because it changes"
                    f" nothing in {name} with this command."
                )


def _fixed_overrides(arguments: Sequence[str], group: str) -> list[str]:
    """Return what was typed for all runs. Raises `UserError` for what a study sets itself."""
    fixed = []
    for override in OverridesParser.create().parse_overrides(list(arguments)):
        key = override.get_key_element()
        if is_under(key, ("study",)):
            continue
        if override.is_sweep_override():
            raise UserError(f"{override.input_line}: {_one_value(key, override)}")
        if key == group:
            raise UserError(
                f"{override.input_line}: the study sets {group}. Choose its arms: study.factors=[...]."
            )
        if key in ("run_folder", "resume"):
            raise UserError(f"{override.input_line}: the study sets {key}. Leave it out.")
        if key != "seed":  # it is that of each run
            fixed.append(str(override.input_line))
    return fixed


def _one_value(key: str, override: Override) -> str:
    values = list(override.sweep_string_iterator()) if override.is_discrete_sweep() else []
    if key == "seed" and values:
        return f"a study numbers its own seeds: study.seeds={len(values)} seed={values[0]}"
    return "a key that is not a factor takes a single value. Start the study once per value."
