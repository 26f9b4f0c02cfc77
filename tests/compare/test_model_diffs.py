"""Arms that are different networks: what is reported of them, and the chart of their history."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision
import yaml
from torchvision.models import list_models

from alexnet.compare.arms import differences
from alexnet.compare.charts import applicable_charts
from alexnet.compare.charts.history import HAND_MADE, YEARS, draw_history, historical_order, year_of
from alexnet.compare.comparison import Comparison, compare
from alexnet.compare.effects import half_width
from alexnet.compare.model_diffs import factors_within_models, reported_changes
from alexnet.compare.notes import notes
from alexnet.compare.report import write_report
from alexnet.compare.run_pattern import read_runs
from alexnet.config import CompareConfig, Features
from alexnet.config.hashing import flatten
from alexnet.errors import UserError
from alexnet.plotting import LIGHT
from conftest import PROJECT
from fabricated_runs import CONFIG, write_hand_made, write_run, write_study

RESNET = {"model": {"name": "resnet18", "image_size": 224, "zero_init": False}}
LENET = {"model": {"name": "lenet5", "image_size": 224, "activation": "tanh"}}
VGG = {"model": {"name": "vgg16", "image_size": 224, "dropout": 0.5}, "optimizer.lr": 0.005}
ARMS: dict[str, Any] = {
    "baseline": ({}, [43.0, 44.0, 45.0]),
    "resnet18": (RESNET, [27.0, 26.0, 28.0]),
    "lenet5": (LENET, [62.0, 61.0, 63.0]),
    "vgg16": (VGG, [33.0, 35.0, 34.0]),
}


def config(study: Path, **given: Any) -> CompareConfig:
    keys: dict[str, Any] = {"study": str(study), "runs": None, "baseline": None, "out": None}
    keys |= {"training_error": 25.0, "confidence": 0.95, "allow": []}
    return CompareConfig(**(keys | given))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = write_study(tmp_path / "history", ARMS)
    for seed, error in enumerate([42.0, 41.5, 41.8]):
        write_hand_made(folder / "hog_and_color" / f"seed={seed}", error, seed=seed)
    return folder


def reported(comparison: Comparison) -> dict[str, str]:
    return {arm.name: arm.factor_text for arm in comparison.arms}


def test_a_network_is_reported_by_its_name_and_what_is_not_its_own(study: Path) -> None:
    comparison = compare(config(study))
    assert reported(comparison) == {
        "lenet5": "model.name=lenet5",
        "hog_and_color": "model.name=hog_and_color",
        "vgg16": "model.name=vgg16 optimizer.lr=0.005",
        "resnet18": "model.name=resnet18",
    }
    lines = notes(comparison)
    assert not any("changes" in note and "keys" in note for note in lines)
    (general,) = (note for note in lines if note.startswith("These are different models"))
    assert "(alexnet, lenet5, hog_and_color, vgg16, resnet18)" in general
    assert "vgg16 is a different model, and also differs in optimizer.lr." in lines
    (without,) = (note for note in lines if note.startswith("Without epochs"))
    assert without.startswith("Without epochs: hog_and_color.")
    assert not any("as allowed" in note for note in lines)


def test_the_report_lists_all_differences(study: Path) -> None:
    comparison = compare(config(study))
    write_report(comparison, config(study))
    for name in ("report.md", "report.html"):
        text = (study / name).read_text().replace("\\", "").replace("<wbr>", "")
        for expected in (
            "model.zero_init=false",
            "classical.alpha=0.0001",
            "trainer.max_epochs",
            "no epochs",
            "History",
        ):
            assert expected in text, (name, expected)
    assert (study / "history.png").stat().st_size > 10_000
    with (study / "arms.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    networks = {row["arm"]: row["network"] for row in rows}
    # its training error is 10 percent, and it has no epoch in which it could have got there
    (reached,) = (row["epochs_to_training_error"] for row in rows if row["arm"] == "hog_and_color")
    assert reached == ""
    assert networks == {"baseline": "alexnet"} | {
        arm: arm for arm in (*ARMS, "hog_and_color") if arm != "baseline"
    }


def test_the_chart_is_in_the_order_of_history(study: Path) -> None:
    (axes,) = draw_history(compare(config(study)), LIGHT).axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [
        *("hog_and_color\n2005", "lenet5\n1998", "alexnet\n2012", "vgg16\n2014", "resnet18\n2015"),
    ]
    low, high = axes.get_ylim()
    assert low > high  # the first is on top
    dots = {
        round(line.get_ydata()[0] - 0.22): list(line.get_xdata()) for line in axes.lines if line.get_alpha()
    }
    assert dots[0] == [42.0, 41.5, 41.8]
    assert dots[4] == [27.0, 26.0, 28.0]
    texts = [text.get_text() for text in axes.texts]
    for expected in ("41.8", "44.0", "chance", "made by hand", "learned"):
        assert expected in texts
    (beside,) = axes.child_axes
    assert [label.get_text() for label in beside.get_yticklabels()][-1] == (
        "3.66 million parameters\n800 images/s"
    )
    (chance,) = (line.get_xdata() for line in axes.lines if line.get_linestyle() == "--")
    assert list(chance) == [90, 90]
    # 44 with a standard deviation of 1: Student's t for two degrees of freedom is 4.3027
    ends = [segment[:, 0] for lines in axes.collections for segment in lines.get_segments()]
    assert any(low == pytest.approx(44 - 4.3027 / 3**0.5, abs=1e-3) for low, _ in ends)


def test_interval_by_hand() -> None:
    assert half_width(np.array([43.0, 44.0, 45.0]), 0.95) == pytest.approx(4.302653 / 3**0.5)


@pytest.mark.parametrize("other", [{"model.lrn": False}, {"model.name": "alexnet_2012", "model.lrn": False}])
def test_one_network_has_no_history(tmp_path: Path, other: dict[str, Any]) -> None:
    study = write_study(tmp_path / "study", {"baseline": ({}, [20.0]), "other": (other, [21.0])})
    comparison = compare(config(study))
    assert list(applicable_charts(comparison)) == ["effects", "learning_curves", "cost"]
    write_report(comparison, config(study))
    assert not (study / "history.png").exists()
    assert "History" not in (study / "report.md").read_text() + (study / "report.html").read_text()


def test_networks_of_no_known_year_have_no_history(tmp_path: Path) -> None:
    """One that is known suffices: those of an extension are compared with it."""
    arms = {name: ({"model.name": name}, [20.0, 21.0]) for name in ("baseline", "mine", "alexnet")}
    for known in (False, True):
        study = write_study(tmp_path / f"{known}", dict(list(arms.items())[: 2 + known]))
        assert ("history" in applicable_charts(compare(config(study)))) is known


def test_without_any_epochs_there_are_no_curves(tmp_path: Path) -> None:
    for name, error in (("hog", 50.0), ("color", 60.0)):
        for seed in (0, 1):
            write_hand_made(tmp_path / f"study/{name}/seed={seed}", error + seed, seed=seed, name=name)
    comparison = compare(config(tmp_path / "study", baseline="hog"))
    assert list(applicable_charts(comparison)) == ["history", "effects", "cost"]
    write_report(comparison, config(tmp_path / "study"))
    assert reported(comparison) == {"color": "model.name=color classical.features=color"}


@pytest.mark.parametrize("baseline", [None, "hog_and_color"])
def test_epochs_and_precision_are_compared_where_there_are_any(study: Path, baseline: str | None) -> None:
    """Between networks, whatever the baseline is."""
    assert len(compare(config(study, baseline=baseline)).arms) == 4
    write_run(study / "resnet50/seed=0", 25.0, settings=RESNET | {"optimizer.lr": 0.1}, epochs=7)
    with pytest.raises(
        UserError, match=r"resnet50 seed=0 and baseline seed=0 differ in the epochs .*7 and 10"
    ):
        compare(config(study, baseline=baseline))


def test_data_is_compared_in_all(study: Path) -> None:
    write_hand_made(study / "hog/seed=0", 50.0, name="hog", data_fingerprint="b2")
    with pytest.raises(UserError, match="hog seed=0 and baseline seed=0 differ in the data"):
        compare(config(study))


def test_any_runs_of_several_networks(tmp_path: Path) -> None:
    faster = {"model": RESNET["model"] | {"zero_init": True}}
    for number, settings in enumerate(({}, {"model.lrn": False}, RESNET, faster)):
        write_run(tmp_path / f"runs/{number}", 20.0 + number, settings=settings)
    write_hand_made(tmp_path / "runs/9", 40.0)
    pattern = str(tmp_path / "runs/*")
    groups = read_runs(pattern, "model.name=alexnet model.lrn=true")
    assert list(groups.arms) == [
        *("baseline", "model.lrn=false"),
        *("model.name=resnet18 model.zero_init=false", "model.name=resnet18 model.zero_init=true"),
        "model.name=hog_and_color",
    ]
    with pytest.raises(UserError, match=r"differ in model.lrn \(true, false, absent\), model.name \("):
        read_runs(pattern, None)


def test_a_preset_is_implied_and_what_departs_from_it_is_not() -> None:
    def settings(name: str, **changed: Any) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for file in ("alexnet", *(["alexnet_torchvision"] if name != "alexnet" else [])):
            content |= yaml.safe_load((PROJECT / f"conf/model/{file}.yaml").read_text())
        content.pop("defaults", None)
        return flatten({"model": content | changed})

    baseline, arm = settings("alexnet"), settings("alexnet_torchvision")
    changed = differences(baseline, arm)
    assert len(changed) > 5
    assert reported_changes(changed, arm).keys() == {"model.name"}
    narrow = settings("alexnet_torchvision", width=0.5)
    assert reported_changes(differences(baseline, narrow), narrow).keys() == {"model.name", "model.width"}


def test_a_name_that_is_no_preset_hides_nothing_of_the_same_kind() -> None:
    baseline, arm = flatten(CONFIG), flatten(CONFIG) | {"model.name": "mine", "model.lrn": False}
    assert reported_changes(differences(baseline, arm), arm).keys() == {"model.name", "model.lrn"}


def test_factors_are_within_a_network() -> None:
    a, b = {"model.name": "a", "x": 1, "y": 1}, {"model.name": "b", "x": 2, "z": 3}
    assert factors_within_models([a, b]) == set()
    assert factors_within_models([a, b, b | {"z": 4}]) == {"z"}


@pytest.mark.parametrize(
    ("name", "year"),
    [
        *(("hog", 2005), ("lenet5", 1998), ("alexnet", 2012), ("alexnet_2012", 2012), ("vgg16_bn", 2014)),
        *(("googlenet", 2014), ("resnet18", 2015), ("wide_resnet50_2", 2016), ("resnext50_32x4d", 2016)),
        *(("efficientnet_b0", 2019), ("efficientnet_v2_s", 2021), ("vit_b_16", 2020), ("swin_v2_t", 2021)),
        *(("convnext_tiny", 2022), ("mine", None)),
    ],
)
def test_years(name: str, year: int | None) -> None:
    assert year_of(name) == year


def test_every_classifier_of_torchvision_has_a_year() -> None:
    for name in list_models(module=torchvision.models):
        assert year_of(name) is not None, name


def test_history_begins_with_what_is_made_by_hand() -> None:
    assert list(YEARS.values()) == sorted(YEARS.values())
    names = ["mine", "resnet18", "vgg16", "googlenet", "alexnet", "lenet5", "hog", "color"]
    assert sorted(names, key=historical_order) == [
        *("color", "hog", "lenet5", "alexnet", "vgg16", "googlenet", "resnet18", "mine"),
    ]
    assert set(HAND_MADE) == {features.value for features in Features}
