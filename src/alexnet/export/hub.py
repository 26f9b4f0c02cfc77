"""A network as the Hugging Face hub expects it: a folder with weights, configuration and model card.

The format of the card's metadata: https://huggingface.co/docs/hub/model-cards.
"""

from pathlib import Path
from typing import Any

from alexnet.config import TrainConfig
from alexnet.config.arguments import path_key
from alexnet.config.hashing import UNHASHED_KEYS, flatten, is_under, nest
from alexnet.export.pixel_model import PixelModel
from alexnet.export.plain_torch import load_source, write_out
from alexnet.export.verify import ExportedNetwork
from alexnet.files import write_json, write_text
from alexnet.runs.trained_model import TrainedModel

CONFIG, WEIGHTS, NETWORK, CARD = "config.json", "model.safetensors", "network.py", "README.md"


def write_hub(trained: TrainedModel, description: dict[str, Any], folder: Path, opset: int | None) -> None:
    """Write the weights, and the network as plain PyTorch, into an existing folder. `opset` does not apply.

    Raises `UserError` for a network that cannot be written out.
    """
    from safetensors.torch import save

    size, classes = trained.crops.size, len(trained.classes)
    name = trained.network.config.name
    summary = f"{name}: crops (N, 3, {size}, {size}), RGB 0-255, to logits (N, {classes})."
    plain = write_out(PixelModel(trained.network, trained.crops.mean.float()).eval(), summary)
    write_text(folder / NETWORK, plain.source)
    tensors = {name: tensor.contiguous().clone() for name, tensor in plain.tensors.items()}
    (folder / WEIGHTS).write_bytes(save(tensors, metadata={"format": "pt"}))


def load_hub(trained: TrainedModel, folder: Path) -> ExportedNetwork:
    """Load the network of a folder as its model card does."""
    from safetensors.torch import load_file

    network = load_source((folder / NETWORK).read_text(encoding="utf-8"))
    network.load_state_dict(load_file(folder / WEIGHTS))
    return network


def write_hub_config(folder: Path, content: dict[str, Any]) -> None:
    """Write config.json: the description of an export, and the classes under the hub's names for them.

    Paths of this machine are left out of the run's configuration.
    """
    names = content["class_names"]
    checked = content["checked"]
    leaves = flatten(content["config"])
    public = {key: value for key, value in leaves.items() if path_key(TrainConfig, key) is None}
    extra = {
        "architectures": ["Network"],  # of network.py
        "num_labels": len(names),
        "id2label": {str(index): name for index, name in enumerate(names)},
        "label2id": {name: index for index, name in enumerate(names)},
        "checked": checked | {"images": without_reason(checked["images"])},
        "config": nest(public),
        "use": CARD,
    }
    write_json(folder / CONFIG, content | extra)


def without_reason(origin: str) -> str:
    """Return where images are from without the reason why they are random ones: it may name a folder."""
    return origin.partition(" (")[0]


def public_overrides(overrides: list[str]) -> list[str]:
    """Return a run's overrides for others to type: without its folders, with paths to fill in."""
    public = []
    for override in overrides:
        key = override.partition("=")[0].lstrip("+~")
        if not is_under(key, (*UNHASHED_KEYS, "hydra")):
            is_path = path_key(TrainConfig, key) is not None
            public.append(f"{key}=<{key.rpartition('.')[2]}>" if is_path else override)
    return public
