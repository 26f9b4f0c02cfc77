"""docs/reference/python.md: what `alexnet` and `alexnet.extending` offer, from signatures and docstrings."""

import ast
import inspect
import textwrap
from typing import Any

from markup import escape

from alexnet import extending
from alexnet.config.registry import Registry
from alexnet.paths import PROJECT

HEAD = """# Python API

Generated from signatures and docstrings by `python docs/generate`. How it is used:
[Use it from Python](../how-to/python.md).

Mistakes raise `alexnet.errors.UserError`, whose message is one line that says what is wrong and what to do.

## `alexnet`
"""
EXTENDING = """## `alexnet.extending`

What modules of your own import; [Adding your own ideas](../extending.md) has a complete example of each kind.
Importing it does not import torch.

### Decorators

"""


Definition = ast.ClassDef | ast.FunctionDef


def python_page() -> str:
    """Return the page of the Python API."""
    parts = [HEAD.strip()]
    api = _api()
    parts += [_section(api[name]) for name in ("create_model", "list_models", "load_run", "TrainedRun")]
    decorators = ", ".join(f"`{name}(name)`" for name in extending.__all__ if name.startswith("register_"))
    parts.append(f"{EXTENDING}{decorators}: {_lower(_doc(_definition(Registry.register)))}")
    others = [getattr(extending, name) for name in extending.__all__ if not name.startswith("register_")]
    # the types of keys, InputPath and OutputPath, have no definition to show
    parts += [
        _section(_definition(item)) for item in others if inspect.isclass(item) or inspect.isroutine(item)
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _api() -> dict[str, Definition]:
    """Return what `import alexnet` offers, by name, from its source: importing it would import torch."""
    tree = ast.parse((PROJECT / "src/alexnet/api.py").read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, Definition)}


def _definition(item: Any) -> Definition:
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(item))).body
    assert isinstance(node, Definition)
    return node


def _section(node: Definition) -> str:
    """Return the section of a function or class."""
    title = f"### `{node.name}`"
    if isinstance(node, ast.FunctionDef):
        return f"{title}\n\n```python\n{_signature(node)}\n```\n\n{_doc(node)}"
    parts = [title, _doc(node)]
    keys = [ast.unparse(child) for child in node.body if isinstance(child, ast.AnnAssign) and _is_key(child)]
    if keys:
        parts.append("```python\n" + "\n".join(keys) + "\n```")
    methods = [
        child for child in node.body if isinstance(child, ast.FunctionDef) and ast.get_docstring(child)
    ]
    lines = [
        f"- `{_method(method)}`: {' '.join(_doc(method).split())}"
        for method in methods
        if not method.name.startswith("_")
    ]
    return "\n\n".join([*parts, "\n".join(lines)]).strip()


def _is_key(node: ast.AnnAssign) -> bool:
    return not ast.unparse(node.target).startswith("_") and "ClassVar" not in ast.unparse(node.annotation)


def _method(node: ast.FunctionDef) -> str:
    if any(ast.unparse(mark) == "property" for mark in node.decorator_list):
        return node.name
    return _signature(node).replace("(self, ", "(").replace("(self)", "()").replace("'", "")


def _signature(node: ast.FunctionDef) -> str:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({ast.unparse(node.args)}){returns}"


def _doc(node: Definition) -> str:
    return escape(ast.get_docstring(node) or "")


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]
