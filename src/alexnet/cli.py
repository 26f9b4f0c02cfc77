"""Entry points: Hydra programs that report a user's mistakes in one line.

Imports neither torch nor Lightning: `--help` and configuration errors do not wait for them.
"""

import io
import os
import re
import signal
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from alexnet import interruption
from alexnet.config import ProgramConfig
from alexnet.config.arguments import check_is_used, check_one_run, is_sweep, quote_arguments, tidy
from alexnet.config.composition import check_choices, group_choices, register, register_choices
from alexnet.config.extensions import load_typed_extensions
from alexnet.config.messages import format_error, format_missing_choice
from alexnet.config.security import check_builds_nothing
from alexnet.errors import DivergedError, JobsFailedError, UserError
from alexnet.parent import exit_with_starter, forget_starter
from alexnet.paths import CONF, command_for
from alexnet.ranks import local_rank
from alexnet.runs.launcher import check_single_process, is_started_by_run
from alexnet.terminal import tolerate_encoding

BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
# for these a run that has diverged is a result, or a bad trial
ACCEPT_DIVERGENCE = {
    f"hydra_plugins.{name}" for name in ("study_sweeper.StudySweeper", "search_sweeper.SearchSweeper")
}
# what Hydra and OmegaConf fail with where a group is null, or a key below one that is
HYDRA_ON_GROUPS = ("Unexpected type for root: NoneType", "Unexpected type: None", "Got NoneType")
HYDRA_ON_OPTIONS = "Only one of --run"  # what Hydra fails with where several of these are given
ORPHAN_SECONDS = 6  # for a rank whose first process is gone: longer than RankMonitor takes to say so
COMPLETION = {"--shell-completion", "-sc"}
OPTIONS = {"--run", "-r", "--multirun", "-m", "--cfg", "-c", "--info", "-i", *COMPLETION}
PRINTING = {"--help", "-h", "--hydra-help", "--cfg", "-c", "--info", "-i"}  # print, and do nothing else
# a schema or what several files share, group=_name; the place of a list's element, key=0=
UNOFFERED = re.compile(r"(?<!\S)\S+=(_\w+|\d+=)\s?")
ENUM = re.compile(r"(?<==)[A-Z]\w*\.(?=\w+\s*$)")  # the class of a value: key=Class.name

# Hydra deep-copies the store with its list of sources; --help does so a hundred times, most of its run time
vars(ConfigStore.instance())["__deepcopy__"] = lambda memo: ConfigStore.instance()


def entry_point(
    name: str, schema: type, *, groups: bool = True, sweeps: bool = True, ranks: bool = False
) -> Callable[[Callable[[DictConfig], Any]], Callable[[], None]]:
    """Decorate the main function of the Hydra program <name>.py; user errors end it with a line and status 1.

    Its configuration is conf/<name>.yaml with the schema `schema`, which is registered as <name>_schema. In a
    sweep a user error ends only its own job; the errors are printed at the end, by the process that the user
    started, since a launcher may run jobs in other processes. Without `groups` the program does not use the
    folders of conf/, and its keys may have the same names. Without `sweeps`, -m is refused. With
    `ranks`, several processes may make a run, but not start a sweep.
    """
    register(name, schema)
    if not groups:
        ConfigStore.instance().store(name=name, node=OmegaConf.load(CONF / f"{name}.yaml"))

    def decorate(job: Callable[[DictConfig], Any]) -> Callable[[], None]:
        mistakes: list[str] = []
        diverged: set[str] = set()  # those of runs whose loss has diverged
        main_process = os.getpid()

        @wraps(job)
        def collect_mistakes(raw: DictConfig) -> Any:
            try:
                return job(raw)
            except (UserError, OmegaConfBaseException) as error:
                told = format_error(error, schema)
                if os.getpid() != main_process:
                    raise UserError(told) from error  # the launcher passes it on
                mistakes.append(told)  # Hydra would print more than one line
                if not isinstance(error, DivergedError):
                    return None
                diverged.add(told)
                return DivergedError.OUTCOME

        folder = str(CONF) if groups else None
        program = hydra.main(version_base="1.3", config_path=folder, config_name=name)(collect_mistakes)

        @wraps(job)
        def run() -> None:
            os.environ["HYDRA_FULL_ERROR"] = "1"  # let exceptions through to here
            tolerate_encoding()
            if ranks and is_started_by_run():
                exit_with_starter(ORPHAN_SECONDS)
            else:
                forget_starter()
            typed = tidy(sys.argv[1:])
            if not sweeps and is_sweep(typed):
                sys.exit(f"Error: {name}.py takes one configuration at a time. Leave -m out.")
            try:
                if not ranks or is_sweep(typed):
                    check_single_process(f"{name}.py{' -m' if ranks else ''}")
                check_builds_nothing(typed)
                check_is_used(typed)
                if issubclass(schema, ProgramConfig) and load_typed_extensions(typed):
                    register_choices()
                sys.argv[1:] = quote_arguments(typed, schema)
                if groups:
                    check_choices(typed, schema)
                _check_options(sys.argv[1:], name)
                check_one_run(sys.argv[1:], typed, name, sweeps=sweeps)
                try:
                    interruption.handles_interrupts = True
                    if COMPLETION & set(typed):
                        _offer_choices(program)
                    else:
                        program()
                finally:  # --help ends with sys.exit
                    interruption.handles_interrupts = False
                    sys.stdout.flush()
            except JobsFailedError as error:
                mistakes.append(str(error))
            except (UserError, HydraException, OmegaConfBaseException) as error:
                _exit([*mistakes, format_error(error, schema)])
            except (AssertionError, ValueError) as error:
                if HYDRA_ON_OPTIONS in str(error):
                    given = [option for option in sys.argv[1:] if option in OPTIONS]
                    _exit([f"{' '.join(given)}: give one of them, not several."])
                if not any(text in str(error) for text in HYDRA_ON_GROUPS):
                    raise
                _exit([format_missing_choice(sys.argv[1:], group_choices())])
            except BrokenPipeError:
                if not PRINTING & set(sys.argv[1:]):
                    raise
                # the reader, such as head, has seen enough; else Python would report it again at its end
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                sys.exit(1)
            except KeyboardInterrupt as stopped:
                if str(stopped):  # how to go on
                    sys.exit(str(stopped))
                interruption.report()
                sys.exit(interruption.status_of(signal.SIGINT))
            _conclude_sweep()
            if _accepts_divergence():
                mistakes[:] = [told for told in mistakes if told not in diverged]
            if mistakes:
                _exit(mistakes)

        return run

    return decorate


def _offer_choices(program: Callable[[], None]) -> None:
    """Print what Hydra offers the shell for completion, as a user types it, except what is no choice."""
    with redirect_stdout(io.StringIO()) as offered:
        program()
    print(ENUM.sub("", UNOFFERED.sub("", offered.getvalue())), end="")


def _check_options(arguments: list[str], program: str) -> None:
    """Raise `UserError` for what is neither an option of Hydra nor key=value: argparse prints its usage."""
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        wrong = message.removeprefix("unrecognized arguments: ")
        raise UserError(f"{wrong}: expected key=value, or an option: {command_for(program)} --hydra-help")

    for argument in arguments:
        if re.match(r"-[\w./@]{3,}=", argument):  # argparse reads -performance.x=1 as -p erformance.x=1
            refuse(argument)
    vars(parser)["error"] = refuse
    parser.parse_args(arguments)


def _conclude_sweep() -> None:
    """After a sweep by Hydra's own sweeper, print what comes next; other sweepers do this themselves."""
    if not HydraConfig.initialized():
        return
    hydra_config = HydraConfig.get()
    if hydra_config.mode is not RunMode.MULTIRUN or hydra_config.sweeper._target_ != BASIC_SWEEPER:
        return
    from alexnet.sweeps.runner import suggest_comparison

    suggest_comparison(Path(hydra_config.sweep.dir).absolute())


def _accepts_divergence() -> bool:
    """Return whether the command was a study or a search."""
    return HydraConfig.initialized() and HydraConfig.get().sweeper._target_ in ACCEPT_DIVERGENCE


def _exit(mistakes: list[str]) -> NoReturn:
    """Exit with status 1; the first process on this machine prints the mistakes."""
    if local_rank() > 0:
        sys.exit(1)
    sys.exit("\n".join(f"Error: {mistake}" for mistake in dict.fromkeys(mistakes)))


def typed_overrides() -> list[str]:
    """Return the overrides typed on the command line, in a sweep those of this job."""
    return list(HydraConfig.get().overrides.task)


def check_study_is_swept(run_folder: str | None) -> None:
    """Raise `UserError` for a study that is started as a single run. Jobs of a study have a `run_folder`."""
    hydra_config = HydraConfig.get()
    study = hydra_config.runtime.choices.get("study")
    if study is not None and hydra_config.mode is RunMode.RUN and run_folder is None:
        raise UserError(
            f"study={study}: a study consists of many runs. Start it with -m: train.py -m study={study} ..."
        )


def shares_process() -> bool:
    """Return whether other jobs of a sweep run in this process: only with Hydra's basic launcher."""
    hydra_config = HydraConfig.get()
    return hydra_config.mode is RunMode.MULTIRUN and hydra_config.runtime.choices["hydra/launcher"] == "basic"
