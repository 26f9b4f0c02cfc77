"""Sweeper `search`: Optuna's, from hydra-optuna-sweeper, with a report and a limit of failures of its own."""

import logging
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class SearchSweeper(Sweeper):
    """Sweeper that asks Optuna for trials, and reports each of them and the best.

    A trial that diverges has the worst error. `max_failure_rate` is the share of all trials that may fail for
    other reasons. The other parameters are those of hydra-optuna-sweeper's OptunaSweeper.
    """

    def __init__(self, max_failure_rate: float, **parameters: Any) -> None:
        self._max_failure_rate, self._parameters = max_failure_rate, parameters

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from hydra_plugins.hydra_optuna_sweeper import optuna_sweeper
        from optuna.logging import set_verbosity

        _check(config.hydra.sweeper)
        set_verbosity(logging.WARNING)
        logging.getLogger(f"{optuna_sweeper.__package__}._impl").setLevel(logging.ERROR)
        # all trials may fail there: the plugin's rate is that of a batch, often of a single trial
        inner: Any = optuna_sweeper.OptunaSweeper(max_failure_rate=1.0, **self._parameters).sweeper
        self._optuna = inner
        self._optuna.setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self._config = config

    def sweep(self, arguments: list[str]) -> None:
        from hydra_plugins.hydra_optuna_sweeper._impl import create_params_from_overrides

        from alexnet.errors import UserError
        from alexnet.sweeps.search import TrialLauncher, print_best

        optuna, sweeper = self._optuna, self._config.hydra.sweeper
        params = [f"{key}={value}" for key, value in (sweeper.params or {}).items()]
        searched, _ = create_params_from_overrides([*params, *arguments])
        if not (searched or sweeper.search_space or sweeper.custom_search_space):
            raise UserError(
                "hydra/sweeper=search: nothing to search. Give a key several values, model.lrn=true,false,"
                " or an interval, 'optimizer.lr=tag(log,interval(0.001,0.1))'."
            )
        optuna.launcher.accepts_divergence = True
        optuna.launcher.batch_size = sweeper.n_jobs
        optuna.launcher = TrialLauncher(
            optuna.launcher, searched, lambda: int(optuna.n_trials), self._max_failure_rate
        )
        optuna.sweep(arguments)
        HydraConfig.instance().set_config(self._config)  # a launcher has set those of the trials
        print_best(Path(str(self._config.hydra.sweep.dir)).absolute())


def _check(sweeper: DictConfig) -> None:
    from alexnet.errors import UserError

    for key in ("n_trials", "n_jobs"):
        if sweeper[key] < 1:
            raise UserError(f"hydra.sweeper.{key}={sweeper[key]}: expected 1 or more.")
    if not 0 <= sweeper.max_failure_rate <= 1:
        raise UserError(
            f"hydra.sweeper.max_failure_rate={sweeper.max_failure_rate:g}: expected a fraction from 0 to 1."
        )
    if getattr(sweeper.direction, "name", sweeper.direction) != "minimize":
        raise UserError(
            f"hydra.sweeper.direction={sweeper.direction}: expected minimize; a run returns its error."
        )
