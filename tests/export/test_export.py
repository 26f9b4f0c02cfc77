"""Exported networks against the original networks, loaded and run as other programs do."""

import json
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from export_cases import CLASSES, NAMES, crops, write_checkpoint
from torch import Tensor

from alexnet.config import ExportConfig, ExportFormat
from alexnet.errors import UserError
from alexnet.export import formats
from alexnet.export.export import export
from alexnet.export.verify import SAMPLE_SIZE, LogitsCheck, Sample, draw_sample
from alexnet.models.build import build_network
from alexnet.runs.trained_model import TrainedModel, load_trained_model
from conftest import Train, request_of

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
safetensors = pytest.importorskip("safetensors.torch")

# the others take a minute, with those of ONNX
QUICK = ("alexnet", "alexnet_2012", "columns_apart", "later", "lenet5")


def export_config(checkpoint: Path, *kinds: str, **changes: Any) -> ExportConfig:
    """Return the configuration of `export.py checkpoint=... format=[...]`."""
    keys = {"run": None, "out": None, "tolerance": 1e-4, "opset": None, "license": "mit"} | changes
    return ExportConfig(checkpoint=str(checkpoint), format=list(kinds), **keys)


def check_description(description: dict[str, Any], size: int) -> None:
    """Compare a description with the checkpoint's values."""
    assert description["classes"] == list(CLASSES)
    assert description["class_names"][0] == "the letter a"
    assert (description["image_size"], description["resize_size"]) == (size, 256)
    assert description["crop"]["left_and_top"] == (256 - size) // 2
    assert description["checkpoint"] == "weights.ckpt"
    assert description["config"]["model"]["image_size"] == size


def read_strings(metadata: dict[str, str]) -> dict[str, Any]:
    return {
        key: value if key in ("network", "checkpoint", "torch") else json.loads(value)
        for key, value in metadata.items()
    }


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in NAMES],
)
def test_torch_export(name: str, tmp_path: Path) -> None:
    """Every network, as torch's own operations alone, for any number of images."""
    network = write_checkpoint(tmp_path / "weights.ckpt", *NAMES[name])
    export(export_config(tmp_path / "weights.ckpt", "torch_export"))
    extra = {"description.json": ""}
    program = torch.export.load(tmp_path / "weights.pt2", extra_files=extra)
    description = json.loads(extra["description.json"])
    size = description["image_size"]
    check_description(description, size)
    called = [node.target for node in program.graph.nodes if node.op == "call_function"]
    assert {getattr(target, "namespace", "none") for target in called} == {"aten"}
    run = program.module()
    for count, memory_format in ((1, torch.contiguous_format), (5, torch.channels_last)):
        images = crops(count, size).contiguous(memory_format=memory_format)
        torch.testing.assert_close(run(images), network(images), rtol=1e-5, atol=1e-5)
    assert network(images).std() > 0.01
    written = json.loads((tmp_path / "weights.pt2.json").read_text())
    assert {key: written[key] for key in description} == description
    assert written["checked"]["largest_difference"] < 1e-5
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "weights.ckpt",
        "weights.pt2",
        "weights.pt2.json",
    ]


@pytest.mark.parametrize(
    ("name", "opset"),
    [
        ("alexnet_2012", None),
        pytest.param("columns_apart", 21, marks=pytest.mark.slow),
        *(pytest.param(name, None, marks=pytest.mark.slow) for name in NAMES if name != "alexnet_2012"),
    ],
)
def test_onnx(name: str, opset: int | None, tmp_path: Path) -> None:
    network = write_checkpoint(tmp_path / "weights.ckpt", *NAMES[name])
    export(export_config(tmp_path / "weights.ckpt", "onnx", opset=opset, out=str(tmp_path / "deep/out")))
    path = tmp_path / "deep/out/weights.onnx"
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    (version,) = (opset_id.version for opset_id in model.opset_import if not opset_id.domain)
    assert opset in (None, version)
    description = read_strings({entry.key: entry.value for entry in model.metadata_props})
    size = description["image_size"]
    check_description(description, size)
    for value, expected in ((model.graph.input[0], ["batch", 3, size, size]), (model.graph.output[0], None)):
        shape = [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        assert shape == (expected or ["batch", len(CLASSES)])
    session = onnxruntime.InferenceSession(path)
    for count in (1, 5):
        images = crops(count, size)
        (logits,) = session.run(None, {"images": images.numpy()})
        np.testing.assert_allclose(logits, network(images).numpy(), rtol=1e-5, atol=1e-5)
    assert json.loads(path.with_name("weights.onnx.json").read_text())["format"] == "onnx"


def test_safetensors(tmp_path: Path) -> None:
    """Weights that load into a network built anew; the mean beside them."""
    network = write_checkpoint(tmp_path / "weights.ckpt", *NAMES["columns_apart"])
    export(export_config(tmp_path / "weights.ckpt", "safetensors"))
    path = tmp_path / "weights.safetensors"
    with safetensors.safe_open(path, "pt") as file:
        description = read_strings(file.metadata())
    check_description(description, 227)
    weights = safetensors.load_file(path)
    mean = weights.pop("mean")
    model = request_of(tmp_path, "model.width=0.05", *NAMES["columns_apart"]).config.model
    fresh = build_network(model, len(CLASSES)).eval()
    fresh.load_state_dict(weights)
    images = crops(3, 227)
    with torch.inference_mode():
        assert torch.equal(fresh(images - mean), network(images))
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "weights.ckpt").stat().st_mode)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [("torch_export", "mean"), ("safetensors", "weights"), ("safetensors", "nan"), ("onnx", "weights")],
)
def test_a_wrong_export_is_not_there(
    kind: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the right one from before stays."""
    write_checkpoint(tmp_path / "weights.ckpt", "model=alexnet_torchvision")
    out = tmp_path / "out"
    export(export_config(tmp_path / "weights.ckpt", kind, out=str(out)))
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert len(before) == 2
    right = formats.FORMATS[ExportFormat(kind)]

    def spoiled(trained: TrainedModel, description: dict[str, Any], path: Path, opset: int | None) -> None:
        with torch.no_grad():
            trained.network.conv1.weight.mul_({"weights": 1.001, "nan": float("nan")}.get(wrong, 1))
        if wrong == "mean":
            trained.crops.mean += 1
        right.write(trained, description, path, opset)

    monkeypatch.setitem(formats.FORMATS, ExportFormat(kind), right._replace(write=spoiled))
    with pytest.raises(UserError, match=rf"is not written: as {kind} the logits differ by (?!0\.)"):
        export(export_config(tmp_path / "weights.ckpt", kind, out=str(out)))
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_the_largest_difference(tmp_path: Path) -> None:
    network = write_checkpoint(tmp_path / "weights.ckpt", "model=alexnet_torchvision")
    trained = load_trained_model(None, str(tmp_path / "weights.ckpt"))
    size, margin = trained.crops.size, trained.crops.margin
    sample = draw_sample(trained, SAMPLE_SIZE)
    batches: list[Tensor] = []

    def run(images: Tensor) -> Tensor:
        batches.append(images)
        return network(images) + torch.tensor([0, 0, -0.5, 0, 0.25, 0])

    difference = LogitsCheck(trained, sample).difference(run)
    assert [len(images) for images in batches] == [1, 3, 8]
    top = margin // 2
    cut = sample.images[:, :, top : top + size, top : top + size]
    assert torch.equal(torch.cat(batches), cut.float())
    assert difference == pytest.approx(0.5 / np.std(network(cut.float()).numpy(), ddof=1), rel=1e-4)
    assert LogitsCheck(trained, sample).difference(lambda images: network(images)[:, :1]) == float("inf")
    trained.network.fc8.bias.data[3] = float("nan")
    with pytest.raises(UserError, match="outputs are not finite numbers"):
        LogitsCheck(trained, sample)


def test_images_to_compare_with(
    tmp_path: Path, synthetic: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Validation images where the data is there; never downloaded; elsewhere noise around the mean."""

    def sample(*overrides: str) -> Sample:
        write_checkpoint(tmp_path / "weights.ckpt", *overrides)
        return draw_sample(trained(), SAMPLE_SIZE)

    def trained() -> TrainedModel:
        return load_trained_model(None, str(tmp_path / "weights.ckpt"))

    (tmp_path / "empty").mkdir()
    cache = f"data.cache={tmp_path / 'cache'}"
    validation = sample(*synthetic, cache)
    assert validation.origin == "12 validation images of synthetic"
    assert len(np.unique(validation.images.numpy(), axis=0)) == SAMPLE_SIZE
    for data, reason in (("synthetic", "no such folder"), ("imagenette", "imagenette is not there")):
        root = "/nowhere" if data == "synthetic" else tmp_path / "empty"
        random = sample(f"data={data}", f"data.root={root}", cache)
        assert re.fullmatch(rf"12 random images \(data\.root=.*{reason}.*\)", random.origin)
        assert torch.equal(random.images, sample(f"data={data}", f"data.root={root}", cache).images)
        crop = random.images[:, :, 14:241, 14:241].float()
        assert (crop.mean(0) - trained().crops.mean).abs().mean() < 20  # of 60 / sqrt(12) expected 14
        assert crop.std(0).mean() > 40
    monkeypatch.setattr("alexnet.data.image_list.decode_image", broken)
    assert "only 0 of 31 validation images can be read" in sample(*synthetic, cache).origin


def broken(data: bytes, size: int) -> np.ndarray:
    raise OSError("gone")


def test_the_program(train: Train, synthetic: tuple[str, ...], tmp_path: Path) -> None:
    """Three files in the run's folder, two lines for each, nothing of the libraries'."""
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    data = (*synthetic, f"data.cache={tmp_path / 'cache'}")
    write_checkpoint(run / "checkpoints/best.ckpt", *data)
    (run / "config.yaml").write_text(yaml.safe_dump(request_of(run, *data).resolved))
    kinds = {"onnx": "onnx", "torch_export": "pt2", "safetensors": "safetensors"}
    done = train(f"run={run}", f"format=[{','.join(kinds)}]", program="export.py")
    assert (done.status, done.err) == (0, "")
    *lines, last = done.out.splitlines()
    for line, (kind, suffix) in zip(lines[::2], kinds.items(), strict=True):
        expected = (
            f"{kind} +{run}/exports/best.{suffix}, [0-9.]+ MB: differs by at most [0-9.]+e-0[5-9] of the"
            " logits' spread on 12 validation images of synthetic"
        )
        assert re.fullmatch(expected, line), line
    assert last.startswith("crops         float32 (N, 3, 227, 227)")
    images, outputs = crops(2, 227), []
    for line in lines[1:4:2]:  # what to type
        library, use = line.strip().split("; ")
        names: dict[str, Any] = {"crops": images.numpy() if "onnx" in library else images}
        exec(f"{library}; logits = {use}", names)
        outputs.append(torch.as_tensor(names["logits"]))
    torch.testing.assert_close(*outputs, rtol=1e-5, atol=1e-5)
    files = [f"best.{suffix}{json}" for suffix in kinds.values() for json in ("", ".json")]
    assert sorted(path.name for path in (run / "exports").iterdir()) == sorted(files)


def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = tmp_path / "weights.ckpt"
    write_checkpoint(checkpoint, "model=alexnet_torchvision")
    for changes, message in (
        ({"format": "onxx"}, r"format=onxx: .* Did you mean onnx\? Choices: hub, onnx, safetensors, "),
        ({"format": ["safetensors", "pt"]}, "format=pt: no such value. Choices: "),
        ({"format": []}, "at least one format"),
        ({"checkpoint": None}, "either run=<run folder> or checkpoint=<file>"),
        ({"run": "x"}, "either run=<run folder> or checkpoint=<file>"),
        ({"run": str(tmp_path), "checkpoint": None}, "is not a run folder"),
        ({"checkpoint": "/nowhere.ckpt"}, "there is no such checkpoint"),
        ({"tolerance": 0.0}, "tolerance=0.0"),
        ({"opset": 17}, "opset=17: expected .* from 18 up"),
        ({"opset": 99, "format": "onnx"}, "opset=99: torch .* cannot write it"),
        ({"out": f"{checkpoint}/x"}, r"Cannot make the folder .*weights.ckpt/x: Not a directory\. .*out="),
    ):
        keys = vars(export_config(checkpoint, "torch_export")) | changes
        with pytest.raises(UserError, match=message):
            export(ExportConfig(**keys))
    assert [path.name for path in tmp_path.iterdir()] == ["weights.ckpt"]
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"format=onnx needs onnxruntime: install the extra export") as raised:
        export(export_config(checkpoint, "safetensors", "onnx"))
    assert "\n" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.ckpt"]


def test_a_mistake_is_one_line(train: Train) -> None:
    done = train("run=x", "fromat=onnx", program="export.py")
    assert (done.status, done.out) == (1, "")
    assert re.fullmatch(r"Error: fromat: there is no such key. Did you mean format\?.*\n", done.err)


@pytest.mark.slow
def test_more_than_an_onnx_file_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights are in a file of their own, which the other names; both come together."""
    monkeypatch.setattr("torch.onnx._internal.exporter._onnx_program._LARGE_MODEL_THRESHOLD", 1000)
    network = write_checkpoint(tmp_path / "weights.ckpt")
    export(export_config(tmp_path / "weights.ckpt", "onnx", out=str(tmp_path / "out")))
    moved = (tmp_path / "out").rename(tmp_path / "elsewhere")
    assert {path.name for path in moved.iterdir()} == {
        "weights.onnx",
        "weights.onnx.data",
        "weights.onnx.json",
    }
    assert (moved / "weights.onnx").stat().st_size < 2e5 < (moved / "weights.onnx.data").stat().st_size
    (logits,) = onnxruntime.InferenceSession(moved / "weights.onnx").run(
        None, {"images": crops(2, 227).numpy()}
    )
    np.testing.assert_allclose(logits, network(crops(2, 227)).numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_runs_without_this_package(tmp_path: Path) -> None:
    network = write_checkpoint(tmp_path / "weights.ckpt", "model=alexnet_2012")
    export(export_config(tmp_path / "weights.ckpt", "torch_export"))
    torch.save(crops(2, 224), tmp_path / "crops.pt")
    code = (
        "import sys, torch; crops = torch.load('crops.pt')"
        "; torch.save(torch.export.load('weights.pt2').module()(crops).detach(), 'logits.pt')"
        "; assert 'alexnet' not in sys.modules"
    )
    subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, check=True)
    torch.testing.assert_close(
        torch.load(tmp_path / "logits.pt"), network(crops(2, 224)), rtol=1e-5, atol=1e-5
    )
