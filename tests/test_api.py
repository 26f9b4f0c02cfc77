"""The functions of `import alexnet`, as in a notebook."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from PIL import Image

import alexnet
from alexnet.errors import UserError
from alexnet.models.build import build_network
from alexnet.models.families.alexnet import Pooling
from alexnet.training.fit import train as fit
from conftest import PROJECT, SMALL, model_config, request_of, save_image
from program_server import ProgramServer


def test_importing_takes_no_torch() -> None:
    code = "import alexnet, sys; dir(alexnet); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT / "src", check=True)


def test_there_is_nothing_else() -> None:
    assert set(alexnet.__all__) <= set(dir(alexnet))
    with pytest.raises(AttributeError, match="has no attribute 'creat_model'"):
        alexnet.creat_model  # noqa: B018


def test_models_are_the_presets_of_the_command_line() -> None:
    names = alexnet.list_models()
    files = {path.stem for path in (PROJECT / "conf/model").glob("[!_]*.yaml")}
    assert names == sorted(files)
    assert alexnet.list_models("alexnet_2*") == ["alexnet_2012", "alexnet_2012_pretrained"]


@pytest.mark.parametrize(
    ("preset", "parameters"),
    # at 1000 classes, counted by hand: facts of the paper, of Caffe and of torchvision
    [("alexnet", 62_378_344), ("alexnet_2012", 60_965_224), ("alexnet_torchvision", 61_100_840)],
)
def test_sizes(preset: str, parameters: int) -> None:
    with torch.device("meta"):
        network = alexnet.create_model(preset)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


@pytest.mark.parametrize(
    ("changes", "overrides"),
    [
        ({}, ()),
        ({"lrn": False, "dropout": 0}, ("model.lrn=false", "model.dropout=0")),
        ({"activation": "tanh"}, ("model.activation=tanh",)),
        ({"pooling": Pooling.non_overlapping}, ("model.pooling=non_overlapping",)),
        (
            {"remove_layers": ["conv3", "conv4"], "columns": 2},
            ("model.remove_layers=[conv3,conv4]", "model.columns=2"),
        ),
        ({"lrn_alpha": 1e-5, "pretrained": None}, ("model.lrn_alpha=1e-5", "model.pretrained=null")),
    ],
)
def test_the_network_of_the_same_overrides(changes: dict[str, Any], overrides: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    ours = alexnet.create_model("alexnet_caffe", 7, width=0.0625, **changes)
    torch.manual_seed(0)
    theirs = build_network(model_config("model=alexnet_caffe", "model.width=0.0625", *overrides), 7)
    assert ours.config == theirs.config
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=0, atol=0)


def test_a_network_of_torchvision_by_name() -> None:
    network = alexnet.create_model("torchvision", 5, name="squeezenet1_1")
    assert network(torch.zeros(2, 3, 224, 224)).shape == (2, 5)


@pytest.mark.parametrize(
    ("preset", "changes", "message"),
    [
        ("alexnt", {}, r"model=alexnt: there is no such choice\. Did you mean alexnet\?"),
        ("alexnet", {"lnr": True}, r"model\.lnr: there is no such key\. Did you mean lrn\?"),
        ("alexnet", {"activation": "tahn"}, r"no such activation\. Did you mean tanh\?"),
        ("alexnet", {"dropout": 1.5}, r"model\.dropout=1\.5: expected a number from 0"),
        ("alexnet", {"classes": 0}, r"classes=0: expected 1 or more"),
        ("lenet5", {"lrn": False}, r"model\.lrn: there is no such key"),
        ("torchvision", {}, r"name is not set"),
    ],
)
def test_mistakes(preset: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        alexnet.create_model(preset, **changes)
    assert "\n" not in str(raised.value)


def test_a_program_of_hydra_keeps_its_state(tmp_path: Path) -> None:
    """A network can be built inside somebody's own Hydra program."""
    from hydra import compose, initialize_config_dir

    (tmp_path / "own.yaml").write_text("key: 1\n")
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        before = GlobalHydra.instance().hydra
        alexnet.create_model("alexnet", 2, width=0.0625)
        with pytest.raises(UserError):
            alexnet.create_model("alexnt")
        assert GlobalHydra.instance().hydra is before
        assert OmegaConf.to_container(compose("own")) == {"key": 1}
    assert not GlobalHydra.instance().is_initialized()


@pytest.fixture(scope="module")
def folder(synthetic: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api") / "run"
    fit(request_of(folder, *SMALL, *synthetic, "logger=csv"))
    return folder


def test_a_run(folder: Path) -> None:
    run = alexnet.load_run(folder)
    assert (len(run.classes), run.network.training, run.folder) == (10, False, folder)
    assert run.result == json.loads((folder / "result.json").read_text())
    assert run.config["model"]["width"] == 0.0625
    assert list(run.metrics.index) == [1, 2]
    assert run.metrics["val/top1_error"].iloc[-1] == pytest.approx(run.result["val"]["top1_error"], rel=1e-5)


def test_images_of_every_kind(folder: Path, tmp_path: Path) -> None:
    """A file, a PIL image and an array give the network the same input; alone and among others."""
    run = alexnet.load_run(folder)
    file = tmp_path / "image.png"
    save_image(file, np.random.default_rng(0), (300, 280))
    with Image.open(file) as image:
        image.load()
    inputs = run.preprocess([file, str(file), image, np.asarray(image)])
    size = run.network.config.image_size
    assert inputs.shape == (4, 3, size, size)
    assert all(torch.equal(row, inputs[0]) for row in inputs)
    assert torch.equal(run.preprocess(image)[0], inputs[0])
    (predicted,) = run.predict(file, top=3)
    expected = run.network(run.preprocess(file)).softmax(1)[0]
    names, values = zip(*predicted, strict=True)
    assert values == pytest.approx(expected.topk(3).values.tolist(), rel=1e-4)
    assert list(names) == [run.class_names[label] for label in expected.topk(3).indices]


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "PA", "RGBX", "La"])
def test_images_in_memory_of_any_mode(folder: Path, mode: str) -> None:
    run = alexnet.load_run(folder)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, len(Image.new(mode, (1, 1)).getbands())))
    image = Image.frombytes(mode, (40, 40), pixels.astype(np.uint8).tobytes())
    assert len(run.predict(image, top=1)) == 1


def test_no_images(folder: Path) -> None:
    run = alexnet.load_run(folder)
    assert run.predict([]) == []
    assert run.preprocess([]).shape[0] == 0


def test_lines_of_the_documentation(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_image(Path("photo.jpg"), np.random.default_rng(0))
    (lines,) = re.findall(
        r"```python\n(import alexnet\n.*?)```", (PROJECT / "docs/how-to/python.md").read_text(), re.DOTALL
    )
    assert lines.count("outputs/runs/<run>") == 1
    exec(lines.replace("outputs/runs/<run>", str(folder)), {})


def test_what_is_not_an_image_or_a_run(folder: Path, tmp_path: Path) -> None:
    run = alexnet.load_run(folder)
    (tmp_path / "text.jpg").write_text("text")
    with pytest.raises(UserError, match=r"text\.jpg: "):
        run.predict(tmp_path / "text.jpg")
    with pytest.raises(UserError, match=r"none\.jpg: No such file"):
        run.predict([tmp_path / "none.jpg"])
    with pytest.raises(UserError, match="is not a run folder"):
        alexnet.load_run(tmp_path)


def test_the_weights_of_a_run_in_a_network_of_other_classes(folder: Path) -> None:
    trained = alexnet.load_run(folder).network.state_dict()
    network = alexnet.create_model("alexnet", 3, width=0.0625, fc_units=[256, 256], pretrained=str(folder))
    for name, value in network.state_dict().items():
        assert torch.equal(value, trained[name]) == (not name.startswith("fc8.")), name


def test_from_torch_hub(program_server: ProgramServer, tmp_path: Path) -> None:
    """In a process of its own: torch.hub changes the path of modules."""
    program = tmp_path / "program.py"
    program.write_text(
        f"import sys, torch\n"
        f"network = torch.hub.load({str(PROJECT)!r}, 'alexnet_2012', source='local', classes=4, width=0.1)\n"
        "assert network(torch.zeros(1, 3, 224, 224)).shape == (1, 4)\n"
        f"sys.path.insert(0, {str(PROJECT)!r}); import hubconf\n"
        "assert 'changes' in hubconf.alexnet.__doc__\n"
        "print(sorted(name for name, entry in vars(hubconf).items() if callable(entry) and name[0] != '_'))\n"
    )
    ended = program_server.run([str(program)], tmp_path, dict(os.environ), 60)
    assert (ended.status, ended.out) == (0, f"{alexnet.list_models()}\n"), ended.err
