"""Extensions: modules outside this package that register choices of their own.

`extensions=[my_module]` imports them before the configuration is composed, and is saved with it. A run's
saved configuration never causes an import: whoever uses the run gives its extensions again.
"""

import hashlib
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from alexnet.errors import UserError, first_line

_loaded: list[str] = []


def load_typed_extensions(arguments: Sequence[str]) -> bool:
    """Import the modules of an `extensions=[...]` on the command line; return whether there are any.

    Raises `UserError` for one that does not exist or cannot be imported.
    """
    typed = [item for item in arguments if item.lstrip("+").partition("=")[0] == "extensions"]
    for argument in typed:
        try:
            override = OverridesParser.create().parse_override(argument)
            names = None if override.is_sweep_override() else override.value()
        except HydraException:
            names = None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise UserError(f"{argument}: expected the names of modules in brackets: extensions=[my_module].")
        for name in names:
            load_extension(name)
    return bool(_loaded)


def load_extension(name: str) -> None:
    """Import a module that registers choices; the current folder is searched, too.

    `<folder of the module>/conf` is added to the YAML files of conf/. Raises `UserError` for a module that
    does not exist or cannot be imported, with the line at fault.
    """
    if name in _loaded:
        return
    if (folder := str(Path.cwd())) not in sys.path:
        sys.path.append(folder)
    try:
        if find_spec(name) is None:
            raise ModuleNotFoundError(name=name)
        import_module(name)
    except (Exception, SystemExit) as error:  # whatever the module does
        raise UserError(f"extensions=[{name}]: {_explain(name, error)}") from error
    _loaded.append(name)


def loaded_extensions() -> dict[str, dict[str, str]]:
    """Return the file of each extension, with a hash of its content."""
    return {
        name: {"file": file, "sha256": hashlib.sha256(Path(file).read_bytes()).hexdigest()}
        for name in _loaded
        if (file := getattr(sys.modules[name], "__file__", None))
    }


def extension_folders() -> list[Path]:
    """Return the folders of the extensions' own YAML files, those that exist."""
    files = [getattr(sys.modules[name], "__file__", None) for name in _loaded]
    folders = [Path(file).parent / "conf" for file in files if file]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def require_extensions(names: Any, needed_by: Path | None = None) -> None:
    """Raise `UserError` unless these modules, which a configuration needs, have been imported.

    `needed_by` is the run or file with this configuration; None: that of the command line.
    """
    names = names or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{needed_by or 'extensions'}: extensions={names} is not a list of modules.")
    missing = [name for name in names if name not in sys.modules]
    if not missing:
        return
    if needed_by is None:
        raise UserError(
            f"extensions={names}: only allowed on the command line, not in a YAML file. Give"
            f" extensions=[{','.join(names)}] there."
        )
    raise UserError(
        f"{needed_by} was trained with extensions=[{','.join(missing)}], which is not imported by default."
        f" Add extensions=[{','.join(missing)}] to the command, or import it first."
    )


def _explain(name: str, error: BaseException) -> str:
    """Return in one line what is wrong with a module, and in which line."""
    if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
        return f"there is no module {error.name} in the current folder, and none is installed."
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}: {error.msg}."
    what = (
        first_line(error) if isinstance(error, UserError) else f"{type(error).__name__}: {first_line(error)}"
    )
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _belongs(name, frame.filename)]
    where = f"{own[-1].filename}, line {own[-1].lineno}: " if own else ""
    return f"{where}{what.rstrip('.')}."


def _belongs(name: str, file: str) -> bool:
    """Return whether a file is that of the module, or in its package."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return False
    if spec is None or spec.origin is None:
        return False
    is_package = spec.submodule_search_locations is not None
    return file == spec.origin or (is_package and Path(file).is_relative_to(Path(spec.origin).parent))
