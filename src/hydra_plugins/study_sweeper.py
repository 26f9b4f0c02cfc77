"""Sweeper `study`: a pilot chooses each arm's rate, then the study runs; see `alexnet.sweeps.study`."""

from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class StudySweeper(Sweeper):
    """Sweeper that runs the study chosen by study=..., with any launcher."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._context, self._config = hydra_context, config
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        from alexnet.sweeps.study import StudyRunner

        launcher: Any = self._launcher
        launcher.accepts_divergence = True  # a run that diverges is a result, too: it did not start
        try:
            StudyRunner(self._context.config_loader, self._config, launcher.launch, arguments).run()
        finally:
            HydraConfig.instance().set_config(self._config)  # planning has set those of the runs
