"""What the charts hold and what they show at their edge."""

import io
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.compare.charts.cost import draw_cost
from alexnet.compare.charts.effects import axis_limits, draw_effects
from alexnet.compare.charts.learning_curves import draw_learning_curves
from alexnet.compare.comparison import Comparison, compare
from alexnet.compare.effects import Effect, Significance
from alexnet.config import CompareConfig
from alexnet.plotting import DARK, LIGHT, Theme, render
from fabricated_runs import write_study


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
    assert [text.get_text() for text in top1.texts] == ["+42.20 (+39.66 to +44.74)"]
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
