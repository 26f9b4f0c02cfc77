"""Runs of before keys were renamed: they are read as they are, and not resumed.

former_runs/ holds what commit 7b9ea7f wrote for

    python src/train.py model.width=0.03 model.hidden=[64,64] model.image_size=67 model.canvas_size=67 \
        data.stored_size=72 model.removed=[conv4] model.columns=2 model.lrn=true,false data.mean=channel \
        data.synthetic.train_images=40 data.synthetic.val_images=20 data.batch_size=10 trainer.max_epochs=1 \
        speed=plain logger=csv callbacks.layer_probe.images=null

less its figures, its log and most of its list of packages.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch

from alexnet.config.renamed import RENAMED_KEYS, RENAMED_VALUES, migrate, new_name
from conftest import PROJECT, Train, compose_config, save_image
from entry_point import refused
from test_config import mistake

FORMER = Path(__file__).with_name("former_runs")


@pytest.fixture
def former(tmp_path: Path) -> Path:
    """A copy of the runs, as a study; the cache that they name, a folder of the checkout, is elsewhere."""
    folder = shutil.copytree(FORMER, tmp_path / "former")
    for path in folder.glob("*/*/config.yaml"):
        path.write_text(path.read_text().replace("cache: cache\n", f"cache: {tmp_path / 'cache'}\n"))
    for path in folder.glob("*/*/checkpoints/*.ckpt"):
        content = torch.load(path, weights_only=True)
        content["config"]["data"]["cache"] = str(tmp_path / "cache")
        torch.save(content, path)
    return folder


@pytest.mark.parametrize("key", [key for key in RENAMED_KEYS if key not in ("growth", "programs")])
def test_a_former_key_is_reported_with_its_new_name(key: str) -> None:
    name = {"callbacks.learning_guard": f"{key}.steps", "callbacks.layer_probe": f"{key}.images"}.get(
        key, key
    )
    message = mistake(f"{name}=1")
    assert message in (f"{name}: renamed to {new_name(name)}.", f"{key}: renamed to {RENAMED_KEYS[key]}.")


@pytest.mark.parametrize(("key", "value"), RENAMED_VALUES)
def test_a_former_value_is_reported_with_its_new_name(key: str, value: str) -> None:
    assert mistake(f"{key}={value}") == f"{key}={value}: renamed to {key}={RENAMED_VALUES[key, value]}."


@pytest.mark.parametrize("key", RENAMED_KEYS.values())
def test_a_new_key_exists(key: str) -> None:
    program = "benchmark" if key in ("scaling", "variants") else "train"
    text = (PROJECT / f"conf/{program}.yaml").read_text()
    if "." not in key:
        assert f"{key}:" in text
        return
    node = compose_config()
    for part in key.split("."):
        node = getattr(node, part)


def test_migration_changes_names_alone() -> None:
    former = {
        "model": {"hidden": [1, 2], "init": "program_2012", "freeze": []},
        "data": {"lr": 0.1},
        "seed": 3,
    }
    former |= {"speed": {"keep_freed_memory": True, "compile": "auto"}, "claim": {}}
    assert migrate(former) == {
        "model": {"fc_units": [1, 2], "init": "cuda_convnet_2012", "freeze": []},
        "seed": 3,
        "performance": {"retain_malloc": True, "compile": "auto"},
        "claim": {},
    }
    assert migrate(migrate(former)) == migrate(former)


def test_predicts(former: Path, tmp_path: Path, train: Train) -> None:
    import numpy as np

    save_image(tmp_path / "a.png", np.random.default_rng(0))
    run = former / "baseline/seed=0"
    done = train(f"run={run}", f"images={tmp_path}/a.png", f"output={tmp_path}/a.json", program="predict.py")
    assert done.status == 0, done.err
    (image,) = json.loads((tmp_path / "a.json").read_text())["images"]
    assert len(image["predictions"]) == 5


def test_evaluates(former: Path, synthetic_like_the_former: str, train: Train) -> None:
    """The error is the one that was written down then."""
    run = former / "baseline/seed=0"
    done = train(
        f"run={run}", f"data_root={synthetic_like_the_former}", "crops=[center]", program="evaluate.py"
    )
    assert done.status == 0, done.err
    before = json.loads((run / "result.json").read_text())["val"]
    now = json.loads((run / "evaluation/evaluation.json").read_text())["figures"]["center"]
    assert now["top1_error"] == before["top1_error"]
    assert now["loss"] == pytest.approx(before["loss"], rel=1e-5)


@pytest.fixture
def synthetic_like_the_former(tmp_path: Path) -> str:
    from alexnet.data.sources.synthetic import SyntheticConfig
    from alexnet.data.synthetic import make_synthetic

    make_synthetic(tmp_path / "data", SyntheticConfig(40, 20, 0), 1)
    return str(tmp_path / "data")


def test_compares(former: Path, train: Train) -> None:
    done = train(f"study={former}", program="compare.py")
    assert done.status == 0, done.err
    assert "no_lrn" in done.out
    assert "model.lrn=false" in (former / "report.md").read_text()


def test_is_not_resumed(former: Path, synthetic_like_the_former: str) -> None:
    run = former / "baseline/seed=0"
    environment = json.loads((run / "environment.json").read_text())
    del environment["data_fingerprint"]  # some processors draw the images a last bit differently
    (run / "environment.json").write_text(json.dumps(environment))
    where = (f"resume={run}", f"data.root={synthetic_like_the_former}")
    line = refused(*where, "trainer.max_epochs=2")
    assert "written by another version of this program; resuming the run needs that version" in line
