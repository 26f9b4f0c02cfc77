"""Checks of W&B and of servers: whether they answer. The key is neither shown nor sent."""

import os
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import TypeVar
from urllib.error import HTTPError

from alexnet.config import LoggerConfig, WandbConfig, WandbMode
from alexnet.doctor.report import Finding, failed, ok, warning
from alexnet.runs.tracking import wants_online

Result = TypeVar("Result")


def run_with_timeout(seconds: float, function: Callable[[], Result]) -> Result:
    """Return or raise what the function does. Raises `TimeoutError`, and abandons it, after `seconds`."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)  # does not keep the program from ending
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return results[0]


def check_reachable(url: str, seconds: float) -> None:
    """Raise `OSError` if no server answers in time; any answer but a server's own error will do."""
    run_with_timeout(seconds, lambda: _request(url, seconds))  # looking up a name has no timeout of its own


def _request(url: str, seconds: float) -> None:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds):
            return
    except HTTPError as error:
        if error.code >= 500:
            raise


REACH_SECONDS = 5.0
WANDB_SECONDS = 30.0  # for all that wandb itself does

OFFLINE = "runs are kept offline in their folders; `wandb sync` uploads them"


def check_tracking(
    config: LoggerConfig, check_server: Callable[[str, float], None] = check_reachable
) -> Iterator[Finding]:
    """Report how runs will be tracked. Raises `TimeoutError` if wandb does not answer at all."""
    if not isinstance(config, WandbConfig) or os.environ.get("WANDB_MODE") == "disabled":
        yield ok("W&B", "not used")
        return
    try:
        version, online, has_key, url = run_with_timeout(WANDB_SECONDS, lambda: _wandb_status(config.mode))
    except ImportError:
        yield failed(
            "W&B", "the package wandb is not installed", "Install it (make setup), or use logger=csv."
        )
        return
    if not online:
        chosen = config.mode is WandbMode.offline or "WANDB_MODE" in os.environ
        yield ok("W&B", f"{version}, {'offline as requested' if chosen else 'not logged in'}: {OFFLINE}")
        return
    if not has_key:
        yield warning("W&B", f"logger.mode=online, but not logged in: {OFFLINE}", "Log in: wandb login.")
        return
    try:
        began = time.perf_counter()
        check_server(url, REACH_SECONDS)
    except OSError as error:
        advice = "Check the network, proxy and WANDB_BASE_URL, or choose logger.mode=offline."
        yield warning("W&B", f"logged in, but {url} cannot be reached ({error}): {OFFLINE}", advice)
        return
    message = f"{version}, logged in, online: {url} answers in {time.perf_counter() - began:.1f} s"
    yield ok("W&B", message)


def _wandb_status(mode: WandbMode) -> tuple[str, bool, bool, str]:
    """Return wandb's version, whether a run would be online, whether there is a key, and for which server."""
    os.environ.setdefault("WANDB_SILENT", "true")
    import wandb

    online = wants_online(mode)
    if not online:
        return wandb.__version__, False, False, ""
    has_key = wandb.login(prompt=False, verify=False)
    url = wandb.setup().settings.base_url
    wandb.teardown()
    return wandb.__version__, online, has_key, url
