"""The page of an inspection: one HTML file with filters, maps and predictions to click through."""

import io
import math
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from alexnet.files import write_text
from alexnet.inspection.figures import LabelledImage
from alexnet.inspection.occlusion import PATCH, occlusion_map
from alexnet.models.layer_stats import layer_activations, learned_layers
from alexnet.runs.trained_model import TrainedModel
from alexnet.templates import template_environment
from alexnet.terminal import progress_bar

MOST_IMAGES = 12
TOP = 5  # classes shown of an image
THUMBNAIL = 112  # pixels
ACTIVATION_BYTES = 6_000_000  # of all images, before compression; base64 adds a third
SIDES = (None, 56, 28, 14, 7, 3, 1)  # of maps, in pixels: the first that keeps to ACTIVATION_BYTES


@dataclass(frozen=True)
class Neighbour:
    """A training image, and the distance of its features from a query's."""

    shown: LabelledImage
    distance: float


@dataclass(frozen=True)
class Query:
    """A validation image, its path, and the training images with the nearest features, nearest first."""

    shown: LabelledImage
    path: str
    neighbours: Sequence[Neighbour]


def write_page(
    trained: TrainedModel, queries: Sequence[Query], device: torch.device, batch_size: int, path: Path
) -> None:
    """Write the page of the first `MOST_IMAGES` queries to `path`, below 10 MB.

    It needs neither a server nor a network connection. The network has to be on the device.
    """
    queries = queries[:MOST_IMAGES]
    crops = [trained.crops.center(torch.from_numpy(query.shown.image)[None].to(device)) for query in queries]
    side = _map_side(layer_activations(trained.network, crops[0]), len(queries))
    images = []
    with progress_bar("Activations and occlusion, for the page", len(queries)) as advance:
        for query, crop in zip(queries, crops, strict=True):
            images.append(_describe(trained, query, crop, side, batch_size))
            advance(1)
    network = trained.network
    content = {
        "classes": len(trained.classes),
        "filters": _filters(network),
        "patch": PATCH,
        "images": images,
    }
    parameters = sum(parameter.numel() for parameter in network.parameters())
    template = template_environment("alexnet.inspection").get_template("page.html.jinja")
    page = template.render(
        name=network.config.name, parameters=parameters, checkpoint=trained.checkpoint.name, content=content
    )
    write_text(path, page)


def _describe(
    trained: TrainedModel, query: Query, crop: Tensor, side: int | None, batch_size: int
) -> dict[str, Any]:
    """Return what the page shows of an image; `crop` is (1, 3, S, S)."""

    def classify(crops: Tensor) -> Tensor:
        with torch.inference_mode():
            return trained.network(crops).softmax(1)

    names = [name.partition(",")[0] for name in trained.class_names]  # ImageNet's classes have several
    values, classes = classify(crop)[0].topk(min(TOP, len(names)))
    best = int(classes[0])
    activations = list(layer_activations(trained.network, crop).items())
    return {
        "src": _jpeg(_center(trained, query.shown.image), None),
        "path": Path(query.path).name,
        "class": names[query.shown.label],
        "predictions": [
            {"name": names[label], "probability": value, "right": label == query.shown.label}
            for label, value in zip(classes.tolist(), values.tolist(), strict=True)
        ],
        "layers": [_sheet(name, values[0], side) for name, values in activations[:-1]],  # the last: classes
        "occlusion": occlusion_map(classify, crop[0], best, batch_size).tolist(),
        "neighbours": [
            {
                "src": _jpeg(_center(trained, neighbour.shown.image), THUMBNAIL),
                "class": names[neighbour.shown.label],
                "same": neighbour.shown.label == query.shown.label,
                "distance": neighbour.distance,
            }
            for neighbour in query.neighbours
        ],
    }


def _center(trained: TrainedModel, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    border, size = trained.crops.margin // 2, trained.crops.size
    return image[:, border : border + size, border : border + size]


def _map_side(activations: dict[str, Tensor], images: int) -> int | None:
    """Return the largest side of maps, None for their own, with which the page stays small."""
    shapes = [(*values.shape[1:], 1, 1)[:3] for values in list(activations.values())[:-1]]
    for side in SIDES:
        limit = side or math.inf
        total = sum(maps * min(height, limit) * min(width, limit) for maps, height, width in shapes)
        if total * images <= ACTIVATION_BYTES:
            return side
    return SIDES[-1]


def _sheet(name: str, values: Tensor, side: int | None) -> dict[str, Any]:
    """Return the maps (M, h, w) or units (M,) of a layer as one grey image, row by row.

    Black is zero and white the strongest activation of the layer; where there are negative ones, grey is
    zero and black the most negative. Maps larger than `side` are reduced to it, by averages.
    """
    maps = values.reshape(len(values), *(values.shape[1:] or (1, 1)))
    if side is not None and max(maps.shape[1:]) > side:
        height, width = (min(length, side) for length in maps.shape[1:])
        maps = functional.adaptive_avg_pool2d(maps[None], (height, width))[0]
    limit = float(maps.abs().max())
    signed = bool((maps < 0).any())
    scaled = maps / (limit or 1.0)
    grey = (255 * (scaled + 1) / 2 if signed else 255 * scaled).round().to(torch.uint8).cpu().numpy()
    count, height, width = grey.shape
    across = math.ceil(math.sqrt(count))
    sheet = np.zeros((math.ceil(count / across) * across, height, width), np.uint8)
    sheet[:count] = grey
    rows = sheet.reshape(-1, across, height, width).transpose(0, 2, 1, 3).reshape(-1, across * width)
    return {
        "name": name,
        "src": _png(rows),
        "count": count,
        "across": across,
        "height": height,
        "width": width,
        "limit": limit,
        "signed": signed,
        "maps": values.ndim == 3,
    }


def _filters(network: nn.Module) -> dict[str, Any] | None:
    """Return the first layer's filters, one image each by column, or None where they have no colours."""
    name, first = next(iter(learned_layers(network).items()))
    if not isinstance(first, nn.Conv2d) or first.in_channels != 3:
        return None
    weights = first.weight.detach().float().cpu().numpy()
    scaled = 127.5 + 127.5 * weights / np.maximum(np.abs(weights).max((1, 2, 3), keepdims=True), 1e-12)
    images = [_png(kernel.transpose(1, 2, 0)) for kernel in scaled.round().astype(np.uint8)]
    columns = getattr(getattr(network, "config", None), "columns", 1)
    per_column = len(images) // columns
    return {
        "layer": name,
        "size": weights.shape[2],
        "columns": [images[start : start + per_column] for start in range(0, len(images), per_column)],
    }


def _png(pixels: NDArray[np.uint8]) -> str:
    return _data_uri(Image.fromarray(np.ascontiguousarray(pixels)), "png", optimize=True)


def _jpeg(image: NDArray[np.uint8], side: int | None) -> str:
    picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    if side is not None:
        picture = picture.resize((side, side), Image.Resampling.LANCZOS)
    return _data_uri(picture, "jpeg", quality=90)


def _data_uri(picture: Image.Image, form: str, **options: Any) -> str:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return f"data:image/{form};base64,{b64encode(file.getvalue()).decode()}"
