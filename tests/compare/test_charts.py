"""What the charts hold and what they show at their edge."""

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.compare.alt_text import alt_text
from alexnet.compare.charts import applicable_charts
from alexnet.compare.charts.cost import draw_cost, label_heights
from alexnet.compare.charts.effects import axis_limits, draw_effects
from alexnet.compare.charts.learning_curves import draw_learning_curves
from alexnet.compare.comparison import Comparison, compare
from alexnet.compare.effects import Effect, Significance
from alexnet.config import CompareConfig
from alexnet.config.study import Design
from alexnet.plotting import CHART_WIDTH, DARK, LIGHT, Theme, render, themed
from alexnet.studies.design import arm_name
from alexnet.studies.record import StudyRecord
from fabricated_runs import FACTORS, full_factorial, write_factorial, write_hand_made, write_run, write_study
from pictures import faults


def one_pair(difference: float) -> Effect:
    return Effect((difference,), difference, None, Significance.one_pair)


@pytest.mark.parametrize(
    ("differences", "claims", "expected"),
    [
        # by hand: from the lowest to the highest point, zero among them, and a twentieth more at each end
        ([1, 3, 5], [], (-0.25, 5.25)),
        ([-2, 8], [], (-2.5, 8.5)),
        (
            [1, 2, 9],
            [],
            (-0.1, 2.1),
        ),  # 9 is more than four times 2, and outside: so is the arm that ends at 2
        ([1, 2, -9], [], (-2.2, 2.2)),
        ([1, 2, 7.9], [], (-0.395, 8.295)),
        ([1, 30, 35], [], (-1.75, 36.75)),  # most are large: then the small one is small
        ([3, 40], [], (-0.15, 3.15)),
        ([40], [], (-2, 42)),
        ([0, 3.9], [], (-0.195, 4.095)),  # below four points nothing is pressed together
        ([1, 9], [3], (-0.45, 9.45)),  # a claim is always on the chart, and counts
    ],
)
def test_how_far_an_axis_goes(
    differences: list[float], claims: list[float], expected: tuple[float, float]
) -> None:
    assert axis_limits([one_pair(difference) for difference in differences], claims) == pytest.approx(
        expected
    )


def test_intervals_are_on_the_axis_as_far_as_the_points_stay_apart() -> None:
    effects = [
        Effect((), 1.0, (0.5, 1.5), Significance.higher),
        Effect((), 2.0, (-1.0, 5.0), Significance.unresolved),
    ]
    # the median half width of 0.5 and 3 is 1.75: room for 3.5 beyond 0 and 2
    assert axis_limits(effects) == pytest.approx((-1.3, 5.3))
    wide = Effect((), 2.0, (-50.0, 54.0), Significance.unresolved)
    assert axis_limits([effects[0], effects[0], wide]) == pytest.approx((-2 - 0.3, 4 + 0.3))
    outside = Effect((), 40.0, (-30.0, 110.0), Significance.unresolved)  # nothing of it asks for room
    narrow = [Effect((), mean, (mean - 0.1, mean + 0.1), Significance.higher) for mean in (1.0, 2.0)]
    assert axis_limits([*narrow, outside]) == pytest.approx((-0.105, 2.205))


def comparison_of(folder: Path, errors: dict[str, list[float]]) -> Comparison:
    study = write_study(folder / "study", {name: ({}, values) for name, values in errors.items()})
    return compare(CompareConfig(str(study), None, None, None, 25.0, 0.95, []))


def test_what_lies_outside_is_named_with_its_number(tmp_path: Path) -> None:
    comparison = comparison_of(
        tmp_path, {"baseline": [40, 41], "a": [41, 42.2], "b": [42, 42.6], "sigmoid": [82, 83.4]}
    )
    top1, top5 = draw_effects(comparison, LIGHT).axes
    # mean of 42 and 42.4; half of the interval is 12.706 (Student's t, one degree of freedom) times 0.2
    assert [text.get_text() for text in top1.texts] == ["+42.20\n(+39.66 to +44.74)"]
    assert top1.get_xlim()[1] < 10
    assert [text.get_text()[:5] for text in top5.texts] == ["+5.28"]
    (cost,) = draw_cost(comparison, LIGHT).axes
    assert [text.get_text() for text in cost.texts] == ["baseline", "a", "b", "sigmoid +42.20"]
    assert cost.get_ylim()[1] < 10


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_an_arm_that_equals_the_baseline_does_not_hide_it(tmp_path: Path, theme: Theme) -> None:
    comparison = comparison_of(tmp_path, {"baseline": [40, 41], "same": [40, 41]})
    drawn = render(partial(draw_learning_curves, comparison), theme, "png")
    with Image.open(io.BytesIO(drawn)) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    height, width, _ = pixels.shape
    panel = pixels[height // 4 : height * 3 // 4, width // 4 :]  # no letters there
    for color in (theme.measured, theme.text):
        assert (panel == list(bytes.fromhex(color[1:]))).all(axis=-1).sum() > 100, color


def test_intervals_alone_do_not_press_points_together() -> None:
    """Student's t makes two seeds' intervals hundreds of points wide."""
    huge = [Effect((), mean, (mean - 300, mean + 300), Significance.unresolved) for mean in (1.0, 4.0)]
    assert axis_limits(huge) == pytest.approx((-10 - 1.2, 14 + 1.2))  # ten points more than from 0 to 4
    apart = [Effect((), mean, (mean - 300, mean + 300), Significance.unresolved) for mean in (5.0, 20.0)]
    assert axis_limits(apart) == pytest.approx((-40 - 5, 60 + 5))  # or twice as much as from 0 to 20


def crossing(lines: list[tuple[np.ndarray, np.ndarray]]) -> int:
    """Count the pairs of segments that cross: each separates the ends of the other."""

    def side(start: np.ndarray, end: np.ndarray, point: np.ndarray) -> float:
        along, to = end - start, point - start
        return float(np.sign(along[0] * to[1] - along[1] * to[0]))

    pairs = [(one, other) for index, one in enumerate(lines) for other in lines[:index]]
    return sum(
        side(*one, other[0]) * side(*one, other[1]) < 0 and side(*other, one[0]) * side(*other, one[1]) < 0
        for one, other in pairs
    )


@pytest.mark.parametrize("count", [2, 7, 21])
def test_lines_to_names_do_not_cross(count: int) -> None:
    rng = np.random.default_rng(count)
    width, height, gap = 5.0, 8.0, 8.0 / 21
    crossed = 0
    for _ in range(20):
        points = np.sort(
            rng.choice([0.0, 1.0, 1.5, 1.9], (count, 1)) + rng.normal(4, 0.7, (count, 1)), axis=0
        )
        points = np.hstack([rng.choice([0.5, 2.0, 2.1, 4.8], (count, 1)), points.clip(0, height)])
        heights = label_heights(points, width, gap, height)
        assert min(np.diff(np.sort(heights))) >= gap - 1e-9
        assert 0 <= min(heights) <= max(heights) <= height + 1e-9
        assert (
            crossing([(point, np.array([width, end])) for point, end in zip(points, heights, strict=True)])
            == 0
        )
        in_order = np.sort(heights)
        crossed += crossing(
            [(point, np.array([width, end])) for point, end in zip(points, in_order, strict=True)]
        )
    assert crossed > 0 or count == 2  # labels in the order of the points would have crossed


LONG = ("a_very_long_name_of_an_arm_that_nobody_would_type", "optimizer.lr=0.001,model.lrn=false")


def one_arm(folder: Path) -> Comparison:
    return comparison_of(folder, {"baseline": [30, 31], "no_lrn": [30.3, 31.2]})


def twenty_arms(folder: Path) -> Comparison:
    names = ["baseline", *LONG, *(f"arm_{number}" for number in range(18))]
    return comparison_of(folder, {name: [30 + 0.3 * n, 31 + 0.2 * n] for n, name in enumerate(names)})


def nothing_started(folder: Path) -> Comparison:
    return comparison_of(folder, {"baseline": [90, 90], "no_lrn": [90, 89.9]})


def far_outside(folder: Path) -> Comparison:
    return comparison_of(folder, {"baseline": [40, 41], "a": [41, 42.2], "b": [42, 42.6], "tanh": [82, 83.4]})


def long_baseline(folder: Path) -> Comparison:
    study = write_study(folder / "s", {name: ({}, [30.0 + n, 31]) for n, name in enumerate(LONG)})
    return compare(CompareConfig(str(study), None, LONG[0], None, 25.0, 0.95, []))


def five_factors(folder: Path) -> Comparison:
    cells = full_factorial(factors := list(FACTORS)[:5])
    errors = {cell: [20 + 2 * cell.count("n"), 21 + 3 * cell.count("o")] for cell in map(name_of, cells)}
    write_factorial(folder / "s", cells, errors, factors, claims={"no_lrn": {"text": "", "top1": 1.4}})
    return compare(CompareConfig(str(folder / "s"), None, None, None, 25.0, 0.95, []))


def name_of(cell: list[str]) -> str:
    return arm_name(cell, "baseline")


def networks(folder: Path) -> Comparison:
    names = ["lenet5", "alexnet", "vgg16", "efficientnet_v2_s", LONG[0]]
    for number, name in enumerate(names):
        errors = [89 - 5 * number, 89.5 - 5 * number]  # the first ones near chance
        write_study(folder / "s", {name: ({"model.name": name}, errors)}, speed=10.0**number)
    for seed in (0, 1):
        write_hand_made(folder / "s" / "hog_and_color" / f"seed={seed}", 89.0 + seed / 2, seed=seed)
    return compare(CompareConfig(str(folder / "s"), None, "alexnet", None, 25.0, 0.95, []))


def within_an_epoch(folder: Path) -> Comparison:
    """Runs of a single epoch, of which the training error is known without dropout as well."""
    for name, lrn in (("baseline", True), ("no_lrn", False)):
        for seed in (0, 1):
            run = write_run(
                folder / "s" / name / f"seed={seed}", 40.0, seed=seed, settings={"model.lrn": lrn}
            )
            (run / "metrics.csv").write_text(
                f"epoch,val/top1_error,train_eval/top1_error\n1,40,{20 - seed}\n"
            )
    return compare(CompareConfig(str(folder / "s"), None, None, None, 25.0, 0.95, []))


@pytest.mark.parametrize(
    "study",
    [
        *(one_arm, twenty_arms, nothing_started, far_outside, long_baseline),
        *(five_factors, networks, within_an_epoch),
    ],
)
def test_every_chart_can_be_read(tmp_path: Path, study: Callable[[Path], Comparison]) -> None:
    comparison = study(tmp_path)
    with themed(LIGHT):
        figures = {name: draw(comparison, LIGHT) for name, draw in applicable_charts(comparison).items()}
        assert {figure.get_figwidth() for figure in figures.values()} == {CHART_WIDTH}
        found = {name: faults(figure) for name, figure in figures.items()}
    assert found == {name: [] for name in figures}


def test_charts_are_told_in_words_and_numbers(tmp_path: Path) -> None:
    """For those who do not see them; the numbers by hand."""
    few = comparison_of(tmp_path / "few", {"baseline": [40, 41], "a": [41, 42.5]})
    assert alt_text("effects", few) == "Top-1 error minus that of baseline in percentage points: a +1.25."
    assert alt_text("learning_curves", few).endswith(" after training: baseline 40.5%; a 41.8%.")
    assert alt_text("cost", few).endswith(": baseline 800 images/s; a 800 images/s, +1.25.")
    assert alt_text("effects", nothing_started(tmp_path / "none")).endswith(": no_lrn not measured.")
    assert alt_text("effects", twenty_arms(tmp_path / "many")).endswith("; and 12 more.")
    brief = within_an_epoch(tmp_path / "brief")  # from 90% to 20 and 19%: 25 after 65 / 70 and 65 / 71 of it
    assert alt_text("training_error", brief).endswith(" error of 25%: baseline 0.9; no_lrn 0.9.")
    factorial = five_factors(tmp_path / "factorial")
    for chart in applicable_charts(factorial):
        assert "no_lrn" in alt_text(chart, factorial)
    assert alt_text("interactions", factorial).count(";") == 5


def test_no_spread_is_drawn_in_one_way(tmp_path: Path) -> None:
    """Whether the equal differences are zero or not: a hollow mark without an interval."""
    comparison = comparison_of(tmp_path, {"baseline": [40, 41], "same": [40, 41], "worse": [42, 43]})
    axes = draw_effects(comparison, LIGHT).axes[0]
    marks = [line for line in axes.lines if line.get_color() == LIGHT.measured]
    assert [line.get_marker() for line in marks] == ["o", "o"]
    assert {str(line.get_markerfacecolor()) for line in marks} == {LIGHT.background}


LATER = {"later_gelu": (2016, {"model.activation": "gelu"}), "later_ema": (1992, {"model.dropout": 0.1})}


def legacy(folder: Path, design: Design = Design.one_at_a_time) -> Comparison:
    """Two later ideas with their years, of which the newer one has the larger effect."""
    write_study(folder, {"baseline": ({}, [20.0, 21.0])})
    prefix = "+" if design is Design.cumulative else ""
    errors = {"later_gelu": [15.0, 15.5], "later_ema": [18.0, 19.5]}
    for name, (year, settings) in LATER.items():
        claim = {"text": "x", "section": "", "year": year}
        write_study(folder, {f"{prefix}{name}": (settings, errors[name])}, claim=claim)
    names = ["later_ema", "later_gelu"]
    StudyRecord(
        *("legacy", "Later ideas", design, "baseline", names),
        arms={"baseline": [], f"{prefix}later_ema": names[:1], f"{prefix}later_gelu": names[1:]},
        seeds={arm: [0, 1] for arm in ("baseline", f"{prefix}later_ema", f"{prefix}later_gelu")},
    ).write(folder)
    return compare(CompareConfig(str(folder), None, None, None, 25.0, 0.95, [], False))


def test_later_ideas_are_in_the_order_of_their_years(tmp_path: Path) -> None:
    axes = draw_effects(legacy(tmp_path / "s"), LIGHT).axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["later_ema\n1992, n=2", "later_gelu\n2016, n=2"]


def test_a_cumulative_study_is_a_path(tmp_path: Path) -> None:
    axes = draw_effects(legacy(tmp_path / "s", Design.cumulative), LIGHT).axes[0]
    paths = [line.get_xdata() for line in axes.lines if list(line.get_ydata()) == [0, 1]]
    assert [-1.75, -5.25] in [list(path) for path in paths]  # 18.75 and 15.25 against 20.5
