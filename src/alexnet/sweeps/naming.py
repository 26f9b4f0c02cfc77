"""Names of sweeps and of their jobs: the same for the same command, safe for every file system."""

import hashlib
import re
from collections.abc import Iterable, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from alexnet.config.hashing import NON_FACTOR_KEYS, PLACE_KEYS, UNHASHED_KEYS, is_under

USUAL_DESIGN = "one_at_a_time"  # of alexnet.studies.record.Design, whose import loads numpy
MAX_LENGTH = 120  # a file name has at most 255 bytes, and suffixes are added to it


def sweep_folder(overrides: Iterable[str]) -> str:
    """Return the folder of a sweep, sweeps/<name>, or of a study, studies/<study>/<settings>."""
    given = list(overrides)
    study = next((item.value() for item in _parse(given) if item.get_key_element() == "study"), None)
    return f"sweeps/{sweep_name(given)}" if study is None else f"studies/{study}/{settings_name(given)}"


def sweep_name(overrides: Iterable[str]) -> str:
    """Return the keys that a command sweeps over, and a hash of everything else it sets.

    Their values are not in the name: a command with more seeds extends the existing sweep. Nor is where the
    data lies; a job whose folder holds a run on other data is refused, see `Job.check_folder`.
    """
    parsed = _parse(overrides)
    swept = sorted(override.get_key_element() for override in parsed if override.is_sweep_override())
    fixed = sorted(map(_as_typed, _fixed(parsed, (*UNHASHED_KEYS, *PLACE_KEYS))))
    return "_".join(filter(None, [_safe(",".join(swept)), _hash("\n".join(fixed))]))


def settings_name(overrides: Iterable[str]) -> str:
    """Return what a command sets for all jobs of a study: data=imagenette,model.width=0.25.

    Another design than one factor at a time is named as well: design=factorial.
    """
    parsed = _parse(overrides)
    named = list(map(_as_typed, _fixed(parsed, (*NON_FACTOR_KEYS, "study"))))
    named += [
        f"design={override.value()}"
        for override in parsed
        if override.key_or_group == "study.design" and override.value() != USUAL_DESIGN
    ]
    return _safe(",".join(sorted(named))) or "default"


def job_name(overrides: Sequence[str], command: Iterable[str]) -> str:
    """Return what a job sets beyond what `command` sets for all jobs: model.lrn=false,seed=1."""
    common = {override.get_key_element() for override in _parse(command) if not override.is_sweep_override()}
    specific = [override for override in _parse(overrides) if override.get_key_element() not in common]
    return _safe(",".join(_as_typed(override) for override in specific)) or "run"


def _parse(overrides: Iterable[str]) -> list[Override]:
    return OverridesParser.create().parse_overrides(list(overrides))


def _fixed(parsed: Iterable[Override], excluded: tuple[str, ...]) -> list[Override]:
    """Return the overrides that are the same for all jobs, without the excluded keys."""
    fixed = [override for override in parsed if not override.is_sweep_override()]
    return [override for override in fixed if not is_under(override.key_or_group, excluded)]


def _as_typed(override: Override) -> str:
    value = override.value()
    if isinstance(value, bool):  # Hydra's sweeper writes True for true
        return f"{override.get_key_element()}={str(value).lower()}"
    return str(override.input_line)


def _safe(name: str) -> str:
    """Replace all but letters, digits and . , = + - in a name, and shorten it; a hash keeps names apart."""
    safe = re.sub(r"[^\w.,=+-]+", "_", name, flags=re.ASCII)[:MAX_LENGTH]
    return safe if safe == name else f"{safe}_{_hash(name)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
