"""Configuration of a study: what is compared, in which design, and how the pilot chooses each arm's rate."""

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

from alexnet.config.base import InputPath, ValidatedConfig, check


class Design(Enum):
    """Which combinations of factors are run.

    `one_at_a_time`: the baseline, and each factor changed alone; `cumulative`: the baseline, and each factor
    changed in addition to those before it; `factorial`: all combinations of factors;
    `fraction`: a fraction of them, regular and two-level.
    """

    one_at_a_time = "one_at_a_time"
    cumulative = "cumulative"
    factorial = "factorial"
    fraction = "fraction"


TWO_LEVEL = (Design.factorial, Design.fraction)
LEAST_MODELLED = 3  # rates: as many as a parabola has coefficients


class PilotArms(Enum):
    """The arms that the pilot of a factorial or fraction runs; that of another design runs every arm.

    `mirrored`: the baseline and each factor alone, and their mirror images: all factors changed, and all but
    each one. A model of all runs gives the rate of every arm. `all`: every arm, for its own choice.
    """

    mirrored = "mirrored"
    all = "all"


@dataclass
class PilotConfig(ValidatedConfig):
    """The pilot: runs of every arm over one grid, of which the best values are those of the study.

    The best ones have the lowest mean of `measure`, a metric of the last epoch. `overrides` are what the
    pilot's runs change beside their values. `reuse` is the folder of a study, or of its results, whose pilot
    found the values already: no other is run.
    """

    rates: list[float] | None = MISSING
    grid: dict[str, list[Any]] = field(default_factory=dict)
    seeds: int = MISSING
    first_seed: int = MISSING
    measure: str = MISSING
    overrides: list[str] = MISSING
    hold_out: float = MISSING
    extensions: int = MISSING
    arms: PilotArms = PilotArms.mirrored
    reuse: InputPath | None = None

    def check(self) -> None:
        rates = self.rates
        expected = "two or more different rates above 0, or null"
        valid = rates is None or (min(rates, default=0) > 0 and len({*rates}) == len(rates) >= 2)
        check(valid, "study.pilot.rates", rates, expected)
        for key, values in self.grid.items():
            check(key != "optimizer.lr", "study.pilot.grid", key, "other keys; rates are study.pilot.rates")
            check(len(values) >= 2, f"study.pilot.grid.{key}", values, "two or more values")
        check(self.seeds >= 1, "study.pilot.seeds", self.seeds, "1 or more")
        split, _, metric = self.measure.partition("/")
        check(bool(split and metric), "study.pilot.measure", self.measure, "a metric: val/top1_error")
        for override in self.overrides:
            check("=" in override, "study.pilot.overrides", override, "key=value")
        check(0 < self.hold_out < 1, "study.pilot.hold_out", self.hold_out, "a number between 0 and 1")
        check(self.extensions >= 0, "study.pilot.extensions", self.extensions, "0 or more")


@dataclass
class StudyConfig(ValidatedConfig):
    """A study: an arm for each combination of factors that its design asks for.

    The baseline is a choice of the group `group`; a factor is another choice of it, or what is typed to
    change it, such as "model.lrn=false". An arm has the choice of its factor in place of the baseline's, or
    in addition to it if it combines factors, or where `onto_baseline` is set. `reuse` is a folder: completed
    runs in it that have exactly the configuration of one of the study's are copied instead of run again.
    """

    name: str = MISSING
    title: str = MISSING
    group: str = MISSING
    baseline: str = MISSING
    factors: list[str] = MISSING
    onto_baseline: bool = MISSING
    design: Design = MISSING
    resolution: int = MISSING
    seeds: int = MISSING
    baseline_seeds: int | None = MISSING
    reuse: InputPath | None = None
    pilot: PilotConfig | None = field(default_factory=PilotConfig)

    def check(self) -> None:
        check(bool(self.factors), "study.factors", self.factors, "at least one factor")
        twice = sorted({factor for factor in self.factors if self.factors.count(factor) > 1})
        check(not twice, "study.factors", twice, "each factor once")
        check(self.baseline not in self.factors, "study.factors", self.baseline, "not the baseline itself")
        check(self.seeds >= 1, "study.seeds", self.seeds, "1 or more")
        more = self.baseline_seeds
        expected = f"null, or at least study.seeds={self.seeds}"
        check(more is None or more >= self.seeds, "study.baseline_seeds", more, expected)
        check(self.resolution >= 3, "study.resolution", self.resolution, "3 or more")
        if self.pilot is not None and self.models_rates:
            expected = "nothing, as only rates are modelled; or choose for every arm: study.pilot.arms=all"
            check(not self.pilot.grid, "study.pilot.grid", self.pilot.grid, expected)
            expected = "three or more rates, to locate the best among them"
            rates = self.pilot.rates
            check(rates is None or len(rates) >= LEAST_MODELLED, "study.pilot.rates", rates, expected)

    @property
    def is_two_level(self) -> bool:
        """Whether effects are those of factors at two levels each, from all runs together."""
        return self.design in TWO_LEVEL

    @property
    def models_rates(self) -> bool:
        """Whether the pilot runs a part of the arms, and a model of them gives the rate of every arm."""
        return self.is_two_level and self.pilot is not None and self.pilot.arms is PilotArms.mirrored

    @property
    def adds_to_baseline(self) -> bool:
        """Whether an arm has the baseline's choice as well as those of its factors."""
        return self.onto_baseline or self.design is not Design.one_at_a_time

    def seeds_of_baseline(self, arms: int) -> int:
        """Return how many seeds the baseline of `arms` other arms has, one factor at a time.

        Each difference is against the baseline: sqrt(arms) times the seeds make all of them most precise
        (Dunnett, 1955).
        """
        return self.baseline_seeds or math.ceil(self.seeds * math.sqrt(arms))
