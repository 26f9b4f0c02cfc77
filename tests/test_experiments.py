"""Experiments change one factor each, say what they test, and train."""

import functools
import json
import re
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir

from alexnet.config import TrainConfig
from alexnet.config.hashing import flatten
from alexnet.config.reading import read_config, to_plain_dict
from alexnet.models.build import build_network
from alexnet.optim.optimizers import parameter_groups
from alexnet.training.fit import train as run
from alexnet.training.request import TrainRequest
from conftest import PROJECT, Train, compose_config, save_image

FOLDER = PROJECT / "conf/experiment"
# whole recipes, not experiments
RECIPES = {
    *(
        "alexnet_2012",
        "alexnet_2012_pretrained",
        "alexnet_2012_pretraining",
        "alexnet_caffe",
        "alexnet_paper",
    ),
    *("convnet_11pct", "convnet_13pct", "convnet_18pct", "figure1", "modern", "recipe_2012"),
}
FIGURE1 = ("figure1_sigmoid", "figure1_tanh")  # their baseline is figure1, on data of its own
NETWORKS = ("lenet5", "vgg16", "googlenet", "resnet18")  # another in AlexNet's place

# experiment -> its baseline, and the keys that are its factor
FACTORS = {
    "baseline": (None, set()),
    "no_lrn": ("baseline", {"model.lrn"}),
    "tanh": ("baseline", {"model.activation"}),
    "sigmoid": ("baseline", {"model.activation"}),
    "no_dropout": ("baseline", {"model.dropout"}),
    "non_overlapping_pooling": ("baseline", {"model.pooling"}),
    "no_crops_and_flips": ("baseline", {"data.augment.crop", "data.augment.flip"}),
    "no_color_noise": ("baseline", {"data.augment.color"}),
    "two_columns": ("baseline", {"model.columns"}),
    "one_column": ("two_columns", {"model.columns"}),
    "no_communication": ("two_columns", {"model.cross_column"}),
    "half_size": ("baseline", {"model.filters"}),
    "no_conv3": ("baseline", {"model.remove_layers"}),
    "no_conv4": ("baseline", {"model.remove_layers"}),
    "no_conv5": ("baseline", {"model.remove_layers"}),
    "paper_init": ("baseline", {"model.init"}),
    "zero_biases": ("baseline", {"model.init_bias"}),
    "no_weight_decay": ("baseline", {"optimizer.weight_decay"}),
    "ten_crops": ("baseline", {"data.val_crops"}),
}
# what came after: the year of its first publication, and the keys that are the factor, or their group
LATER = {
    "later_ema": (1992, {"callbacks.ema.decay"}),
    "later_clipping": (2012, {"trainer.gradient_clip_val"}),
    "later_nesterov": (2013, {"optimizer"}),
    "later_random_resized_crop": (2014, {"data.augment.random_resized_crop.enabled"}),
    "later_batch_norm": (2015, {"model.batch_norm"}),
    "later_he_init": (2015, {"model.init"}),
    "later_distillation": (2015, {"loss"}),
    "later_label_smoothing": (2015, {"loss.label_smoothing"}),
    "later_cosine": (2016, {"scheduler"}),
    "later_gelu": (2016, {"model.activation"}),
    "later_warmup": (2017, {"scheduler.warmup_epochs"}),
    "later_random_erasing": (2017, {"data.augment.random_erasing.p"}),
    "later_mixup": (2017, {"data.augment.mixup.alpha"}),
    "later_adamw": (2017, {"optimizer"}),
    "later_cutmix": (2019, {"data.augment.cutmix.alpha"}),
    "later_trivial_augment": (2021, {"data.augment.trivial_augment.enabled"}),
}


@functools.cache
def resolved(*overrides: str) -> dict[str, Any]:
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        return to_plain_dict(compose("train", list(overrides)))


def test_every_experiment_is_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} - RECIPES == {
        *FACTORS,
        *LATER,
        *NETWORKS,
        *FIGURE1,
        "cifar_lrn",
    }


@pytest.mark.parametrize("data", ["synthetic", "imagenette"])
@pytest.mark.parametrize("name", FACTORS)
def test_changes_one_factor(name: str, data: str) -> None:
    baseline, factor = FACTORS[name]
    ours = flatten(resolved(f"experiment={name}", f"data={data}"))
    theirs = flatten(resolved(*([f"experiment={baseline}"] if baseline else []), f"data={data}"))
    differing = {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)}
    assert {key for key in differing if not key.startswith("claim")} == factor


@pytest.mark.parametrize("name", LATER)
def test_a_later_idea_is_one_factor_with_its_year(name: str) -> None:
    year, factor = LATER[name]
    ours, theirs = (
        flatten(resolved(f"experiment={arm}", "data=imagenette"))
        for arm in (f"[recipe_2012,{name}]", "recipe_2012")
    )
    differing = {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)}
    changed = {key for key in differing if not key.startswith("claim")}
    assert changed == factor or {key.partition(".")[0] for key in changed} == factor
    text = (FOLDER / f"{name}.yaml").read_text()
    assert str(year) in "".join(line for line in text.splitlines() if line.startswith("#"))
    assert f"Command: python src/train.py experiment={name} " in text
    baseline = "recipe_2012" if name == "later_cosine" else "baseline"  # whose schedule is the cosine's
    assert f"baseline: experiment={baseline}" in text
    assert (ours["claim.year"], ours["claim.section"]) == (year, "")


def test_modern_keeps_the_layers() -> None:
    ours, theirs = (
        flatten(resolved(f"experiment={arm}", "data=imagenette")) for arm in ("modern", "baseline")
    )
    for key in ours.keys() | theirs.keys():
        assert not key.startswith("model.") or ours[key] == theirs[key]


@pytest.mark.parametrize("name", FIGURE1)
def test_figure1_changes_the_activation(name: str) -> None:
    ours, theirs = flatten(resolved(f"experiment={name}")), flatten(resolved("experiment=figure1"))
    assert ours["model.activation"] == name.removeprefix("figure1_")
    differing = {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)}
    assert {key for key in differing if not key.startswith("claim")} == {"model.activation"}


def test_cifar_lrn_changes_lrn_alone() -> None:
    ours, theirs = flatten(resolved("experiment=cifar_lrn")), flatten(resolved("experiment=convnet_13pct"))
    differing = {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)}
    assert {key for key in differing if not key.startswith("claim")} == {"model.lrn"}


def test_figure1_has_no_regularisation() -> None:
    """Paper, figure 1: "No regularization of any kind was employed"."""
    config = compose_config("experiment=figure1")
    groups = parameter_groups(build_network(config.model, 10), config.optimizer)
    assert {group["weight_decay"] for group in groups} == {0}
    augment = config.data.augment
    assert not (augment.crop or augment.flip or augment.color or config.loss.label_smoothing)


@pytest.mark.parametrize(
    ("name", "decays"),
    [
        ("convnet_13pct", {"conv1": 0, "conv2": 0, "local3": 0.004, "local4": 0.004, "fc": 0.004}),
        ("convnet_11pct", {"conv1": 0, "conv2": 0, "local3": 0.004, "local4": 0.004, "fc": 0.01}),
        ("convnet_18pct", {"conv1": 0.004, "conv2": 0.004, "conv3": 0.004, "fc": 1}),
    ],
)
def test_rates_and_decays_of_the_layer_files(name: str, decays: dict[str, float]) -> None:
    """epsW, epsB and wc of each layer in cuda-convnet's example-layers/layer-params-*.cfg."""
    config = compose_config(f"experiment={name}")
    network = build_network(config.model, 10)
    found = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in parameter_groups(network, config.optimizer)
        for parameter in group["params"]
    }
    for layer, decay in decays.items():
        module = network.get_submodule(layer)
        assert found[id(module.weight)] == (0.001, decay)
        assert found[id(module.bias)] == (0.002, 0)
    assert len(found) == 2 * len(decays)


@pytest.mark.parametrize("data", ["synthetic", "imagenette_112"])
@pytest.mark.parametrize("name", NETWORKS)
def test_changes_the_network_alone(name: str, data: str) -> None:
    ours, theirs = (flatten(resolved(f"experiment={arm}", f"data={data}")) for arm in (name, "baseline"))
    assert ours["model.name"] == name
    assert ours["model.image_size"] <= ours["data.resize_size"]
    for key in ours.keys() | theirs.keys():
        assert key.startswith("model.") or ours[key] == theirs[key]


@pytest.mark.parametrize("name", sorted(FACTORS.keys() - {"baseline"}))
def test_says_what_it_tests(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text()
    header = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    assert "§" in header
    assert f"Command: python src/train.py experiment={name} " in header
    assert f"baseline: experiment={FACTORS[name][0] if name != 'half_size' else 'two_columns'}" in header
    assert "Cost:" in header
    claim = yaml.safe_load(text)["claim"]
    assert f"§{claim['section']}" in header or f"§{claim['section']}" in header.replace("in §", "§")
    for figure in ("top1", "top5"):
        if claim.get(f"log_{figure}") is not None:
            assert claim["log_split"]
            assert claim["log_file"]
    if claim.get("top1") is not None:
        assert f"{abs(claim['top1']):g}" in header or "over 1 point" in header or "37.5" in header


FAST = ("baseline", "alexnet_2012", "two_columns", "ten_crops", "lenet5")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in FAST else pytest.mark.slow)
        # the others: torchvision's, too; distillation needs a teacher
        for name in (*FACTORS, "lenet5", "resnet18", "modern", *sorted(LATER.keys() - {"later_distillation"}))
    ],
)
def test_trains_for_a_step(name: str, image_tree: Path, tmp_path: Path) -> None:
    overrides = [
        *(f"experiment={name}", "data=folder", f"data.root={image_tree}", f"data.cache={tmp_path}/cache"),
        *("data.batch_size=4", "data.workers=0", "logger=csv", "trainer.accelerator=cpu"),
        *(["model.width=0.05"] if name not in ("lenet5", "resnet18") else []),
        *("trainer.max_epochs=1", "trainer.limit_train_batches=1", "trainer.limit_val_batches=1"),
        *(f"run_folder={tmp_path}/run", "callbacks.checkpoint.last=false", "callbacks.checkpoint.best=false"),
    ]
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        raw = compose("train", overrides)
    error = run(TrainRequest(read_config(raw, TrainConfig), to_plain_dict(raw), overrides))
    assert error is not None
    recorded = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    assert (recorded["claim"] is None) == (name not in (FACTORS.keys() | LATER.keys()) - {"baseline"})


@pytest.mark.slow
def test_pretrained_on_more_classes_and_an_ensemble(train: Train, tmp_path: Path) -> None:
    """Both stages of the paper's last network, on folders; then its ensemble of seven: five and two."""
    rng = np.random.default_rng(0)
    for data, names in (("fall2011", "abcdef"), ("ilsvrc2012", "bdf")):
        for split, count in (("train", 4), ("val", 2)):
            for name, index in product(names, range(count)):
                save_image(tmp_path / data / split / name / f"{index}.jpg", rng)
    small = ("model.width=0.0625", "model.fc_units=[32,32]", "trainer.max_epochs=1", "data.batch_size=6")
    common = (*small, "logger=csv", "callbacks.activation_monitor.images=null", "trainer.accelerator=cpu")
    first = train(
        "experiment=alexnet_2012_pretraining", "data.root=fall2011", *common, "run_folder=pretraining"
    )
    assert first.status == 0, first.err
    ours = ("data=folder", "data.root=ilsvrc2012", *common)
    for seed in (0, 1):
        second = train(
            *("experiment=alexnet_2012_pretrained", "model.pretrained=pretraining", *ours),
            *(f"seed={seed}", f"run_folder=pretrained{seed}"),
        )
        assert second.status == 0, second.err
        assert re.search(r"pretraining.*except fc8", second.out)
    for seed in range(5):
        other = train("experiment=alexnet_2012", *ours, f"seed={seed}", f"run_folder=plain{seed}")
        assert other.status == 0, other.err
    runs = [f"plain{seed}" for seed in range(5)] + [f"pretrained{seed}" for seed in (0, 1)]
    done = train(f"run=[{','.join(runs)}]", "wandb=false", "out=ensemble", program="evaluate.py")
    assert done.status == 0, done.err
    result = json.loads((tmp_path / "ensemble/evaluation.json").read_text())
    assert result["name"] == "ensemble of 7"
    assert [Path(member["run"]).name for member in result["members"]] == runs


@pytest.mark.parametrize("data", ["imagenet", "imagenette_112"])
def test_both_forms_of_pooling_give_the_same_sizes(data: str) -> None:
    """Or `non_overlapping_pooling` would change the number of parameters of fc6 as well."""
    configs = [
        compose_config(f"data={data}", "data.root=x", f"model.pooling={name}").model
        for name in ("overlapping", "non_overlapping")
    ]
    shapes = [[weight.shape for weight in build_network(model, 10).parameters()] for model in configs]
    assert shapes[0] == shapes[1]


def test_the_small_setting_is_the_papers_in_small() -> None:
    small, full = compose_config("data=imagenette_112"), compose_config("data=imagenette")
    assert small.model.image_size / small.data.resize_size == pytest.approx(
        full.model.image_size / full.data.resize_size, abs=0.005
    )
    recipe = compose_config("data=imagenette_112", "model=alexnet_2012").model  # its sizes are its own
    assert recipe.image_size == 224
