"""Whether a server answers."""

import urllib.request
from urllib.error import HTTPError

from alexnet.doctor.limit import within


def reach(url: str, seconds: float) -> None:
    """Raise `OSError` where no server answers in time. Neither who we are nor what it answers matters."""
    within(seconds, lambda: _ask(url, seconds))  # looking up a name has no time limit of its own


def _ask(url: str, seconds: float) -> None:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds):
            return
    except HTTPError as error:
        if error.code >= 500:
            raise
