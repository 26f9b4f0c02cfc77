"""The command `alexnet` of the installed package: `alexnet train model.lrn=false`."""

import alexnet.interruption  # noqa: F401  # isort: skip  (first: see there)
import ast
import runpy
import sys
from pathlib import Path

from alexnet.errors import suggest
from alexnet.paths import PROGRAMS
from alexnet.version import read_version


def main() -> None:
    """Run the program that the first argument names, as `python src/<program>.py` does with the others."""
    programs = {path.stem: path for path in sorted(PROGRAMS.glob("*.py"))}
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help"):
        print(_usage(programs))
        return
    if name == "--version":
        print(f"AlexNet Lab {read_version()}")
        return
    if name not in programs:
        nearest = suggest(name, list(programs))
        sys.exit(f"Error: alexnet {name}: there is no such program.{nearest} Choices: {', '.join(programs)}.")
    sys.argv[:2] = [str(programs[name])]
    runpy.run_path(sys.argv[0], run_name="__main__")


def _usage(programs: dict[str, Path]) -> str:
    lines = ["Usage: alexnet <program> [group=choice] [key=value] ...", ""]
    for name, path in programs.items():
        summary = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split(": python")[0]
        lines.append(f"  {name:<12} {summary}.")
    return "\n".join([*lines, "", "All keys of a program: alexnet <program> --help"])
