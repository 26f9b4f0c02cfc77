"""The snippets of docs/how-to/export.md, as they stand, on files that export.py writes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from alexnet.config import ExportConfig
from alexnet.data.image import decode_image
from alexnet.export.export import export
from alexnet.models.build import build_network
from conftest import PROJECT, request_of, save_image

pytest.importorskip("onnxruntime")
pytest.importorskip("safetensors")

PAGE = (PROJECT / "docs/how-to/export.md").read_text(encoding="utf-8")
SNIPPETS = dict(re.findall(r"^## ([^\n]+)\n[^#]*?```python\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL))
FORMATS = {"onnx": "ONNX", "torch_export": "torch.export", "safetensors": "safetensors"}
PATCH = slice(14, 14 + 227)  # the centre of 256 pixels


@pytest.fixture
def expected(tmp_path: Path) -> Tensor:
    """Logits of a narrow default network for photo.jpg, beside which are its checkpoint and crops.py."""
    request = request_of(tmp_path, "model.width=0.05", "data.root=/nowhere")
    torch.manual_seed(0)
    network = build_network(request.config.model, 3).eval()
    for parameter in network.parameters():
        parameter.data *= 3  # so that LRN is not a constant
    mean = 100 + 50 * torch.rand(3, 227, 227)
    content = {
        "state_dict": {f"network.{name}": value for name, value in network.state_dict().items()},
        "config": request.resolved,
        "ImageDataModule": {"classes": list("abc"), "class_names": list("abc"), "mean": mean},
    }
    torch.save(content, tmp_path / "best.ckpt")
    save_image(tmp_path / "photo.jpg", np.random.default_rng(0), (301, 280))
    (tmp_path / "crops.py").write_text(SNIPPETS["From a photograph to a crop"])
    square = torch.from_numpy(decode_image((tmp_path / "photo.jpg").read_bytes(), 256))
    with torch.inference_mode():
        return network(square[None, :, PATCH, PATCH] - mean)


def write_exports(folder: Path, *formats: str) -> None:
    checkpoint = str(folder / "best.ckpt")
    export(ExportConfig(None, checkpoint, list(formats), out=None, tolerance=1e-4, opset=None))


def check_logits(logits: object, expected: Tensor) -> None:
    """Pillow and torch round a resized pixel differently, by one grey level at most."""
    torch.testing.assert_close(torch.as_tensor(logits), expected, rtol=0, atol=0.01 * float(expected.std()))


def test_safetensors(tmp_path: Path, expected: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    write_exports(tmp_path, "safetensors")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "crops", raising=False)
    names: dict[str, object] = {}
    exec(SNIPPETS["safetensors"], names)
    monkeypatch.delitem(sys.modules, "crops")
    check_logits(names["logits"], expected)


@pytest.mark.slow
def test_all_formats_without_this_project(tmp_path: Path, expected: Tensor) -> None:
    write_exports(tmp_path, *FORMATS)
    program = "import json, sys, torch\nsys.path.insert(0, '.')\nfound = []\n"
    for name in FORMATS.values():
        program += f"{SNIPPETS[name]}\nfound.append(torch.as_tensor(logits).tolist())\n"
    program += "assert 'alexnet' not in sys.modules\nprint(json.dumps(found))\n"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    for logits in json.loads(done.stdout.splitlines()[-1]):
        check_logits(logits, expected)
