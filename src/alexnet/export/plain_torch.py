"""A network written out as plain PyTorch: source code that needs none of this project."""

import re
from copy import deepcopy
from textwrap import indent
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from alexnet.errors import UserError, first_line
from alexnet.export.pixel_model import PixelModel
from alexnet.models.lrn import LocalResponseNorm

WRAPPED = "network."  # prefix of the network's own names in a `PixelModel`


class PlainNetwork(NamedTuple):
    """The source of a module with a class `Network`, and the tensors of its state dict."""

    source: str
    tensors: dict[str, Tensor]


def write_out(network: PixelModel, summary: str) -> PlainNetwork:
    """Write a network in evaluation mode out as a class whose layers are those of torch.nn.

    Layers of this project, and of a user's own modules, are written as the operations that they consist of;
    those that do nothing in evaluation are left out. Names have `_` where the network's have a dot. `summary`
    is the class's docstring. Raises `UserError` for a network whose operations depend on its input.
    """
    replica = _with_torch_lrn(deepcopy(network))
    try:
        graph = _Tracer(replica).trace(replica)
    except Exception as error:  # what torch.fx raises depends on what it met
        raise UserError(
            f"format=hub: torch.fx cannot export this network ({first_line(error)})."
            " format=torch_export works for any network."
        ) from error
    _remove_identities(graph, replica)
    lines: list[str] = []
    tensors: dict[str, Tensor] = {}
    for node in graph.nodes:
        if node.op not in ("call_module", "get_attr"):
            continue
        name = _flat(node.target)
        line, state = _declaration(name, _member(replica, node.target, node.op == "call_module"))
        lines += [line] if line not in lines else []
        tensors |= state
        node.target = name
    return PlainNetwork(_source(graph, lines, summary), tensors)


def load_source(source: str) -> nn.Module:
    """Build the network of a source, in evaluation mode. Raises `UserError` where it does not run."""
    names: dict[str, Any] = {"__name__": "network"}
    try:
        exec(source, names)
        network: nn.Module = names["Network"]()
    except Exception as error:  # a layer whose `repr` is not how it is built
        raise UserError(
            f"format=hub: the network as it was written out does not run ({first_line(error)})."
            " format=torch_export works for any network."
        ) from error
    return network.eval()


class _Tracer(fx.Tracer):
    """Records the layers of torch.nn by their names, and what all others do, as operations."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.layers = {layer for layer in network.modules() if _is_built_by_repr(layer)}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return m in self.layers

    def path_of_module(self, mod: nn.Module) -> str:
        return super().path_of_module(mod).removeprefix(WRAPPED)


def _is_built_by_repr(layer: nn.Module) -> bool:
    """Return whether a layer of torch.nn is built by its `repr`; that of AvgPool2d omits `ceil_mode`."""
    if getattr(nn, type(layer).__name__, None) is not type(layer) or isinstance(layer, nn.Sequential):
        return False
    try:
        with torch.device("meta"):  # no memory, no initial weights
            built = eval(f"nn.{layer!r}", {"nn": nn})
    except Exception:  # not an expression, or one with other arguments
        return False
    options = {key: value for key, value in vars(built).items() if key[0] != "_" and key != "training"}
    return all(getattr(layer, key) == value for key, value in options.items())


class _ColumnResponseNorm(nn.Module):
    """LRN of each column by itself, in torch's own operations."""

    def __init__(self, columns: int, norm: nn.LocalResponseNorm) -> None:
        super().__init__()
        self.columns, self.norm = columns, norm

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.unflatten(1, (self.columns, -1)).flatten(0, 1)).reshape_as(x)


def _with_torch_lrn(network: PixelModel) -> PixelModel:
    """Replace this project's LRN, whose steps depend on its input, by torch's."""
    for name, layer in list(network.named_modules()):
        if isinstance(layer, LocalResponseNorm):
            # torch divides alpha by the window's size
            norm = nn.LocalResponseNorm(layer.size, layer.size * layer.alpha, layer.beta, layer.k)
            columns = layer.columns
            network.set_submodule(name, norm if columns == 1 else _ColumnResponseNorm(columns, norm))
    return network


def _remove_identities(graph: fx.Graph, network: nn.Module) -> None:
    for node in list(graph.nodes):
        if node.op == "call_module" and isinstance(_member(network, node.target, True), nn.Identity):
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)


def _member(network: nn.Module, target: str, is_layer: bool) -> Any:
    """Return the layer or tensor that a node of the graph names; layers are named without `WRAPPED`."""
    wrapped = f"{WRAPPED}{target}" if is_layer else target
    value: Any = network
    for part in wrapped.split("."):
        value = getattr(value, part)
    return value


def _flat(target: str) -> str:
    """Return a name for an attribute: layer1_0_conv1 for network.layer1.0.conv1."""
    return re.sub(r"^(?=\d)", "_", re.sub(r"\W", "_", target.removeprefix(WRAPPED)))


def _declaration(name: str, member: nn.Module | Tensor) -> tuple[str, dict[str, Tensor]]:
    """Return the line that declares a layer or tensor, and its part of the state dict."""
    if isinstance(member, nn.Module):
        return f"self.{name} = nn.{member!r}", {
            f"{name}.{key}": value for key, value in member.state_dict().items()
        }
    empty = f"torch.empty({tuple(member.shape)}, dtype={member.dtype})"
    if isinstance(member, nn.Parameter):
        return f"self.{name} = nn.Parameter({empty})", {name: member.detach()}
    return f'self.register_buffer("{name}", {empty})', {name: member}


def _source(graph: fx.Graph, declarations: list[str], summary: str) -> str:
    """Return the source of the module."""
    code = graph.python_code("self")
    body = re.split(r"def forward\(.*\n", code.src)[1].rstrip()
    body = re.sub(r";  (\w+ = )+None", "", body)  # fx frees each value after its last use
    body = re.sub(rf"\b{WRAPPED[:-1]}_(?=[A-Za-z])", "", body)  # its names for weights
    # functions that are called by a name without a dot, as torchvision's
    imports = [
        f"from {value.__module__} import {value.__qualname__} as {name}\n"
        for name, value in code.globals.items()
        if name != "torch" and re.search(rf"\b{name}\(", body)
    ]
    # fmt: off
    return (
        f"{''.join(imports)}import torch\nfrom torch import nn\n\n\n"
        f'class Network(nn.Module):\n    """{summary}"""\n\n'
        "    def __init__(self):\n        super().__init__()\n"
        f"{indent(chr(10).join(declarations), ' ' * 8)}\n\n"
        f"    def forward(self, images):\n{indent(body, ' ' * 4)}\n"
    )
    # fmt: on
