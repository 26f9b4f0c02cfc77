"""The synthetic data set: real files, repeatable, not to be told apart by colour alone."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data.folders import list_folders
from alexnet.data.sources.synthetic import SyntheticConfig
from alexnet.data.synthetic import CLASSES, draw, make_synthetic
from alexnet.data.walk import Walk


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_synthetic(tmp_path_factory.mktemp("synthetic"), SyntheticConfig(40, 20, 0), 2)


def test_imagenets_layout(folder: Path) -> None:
    train, val = list_folders(Walk(folder), 0.1)
    assert (len(train), len(val)) == (40, 20)
    assert train.classes == val.classes == tuple(sorted(CLASSES))
    sizes = set()
    for row in range(len(train)):
        with Image.open(folder / train.path(row)) as image:
            assert image.format == "JPEG"
            sizes.add(image.size)
    assert len(sizes) > 30


def test_is_made_once_and_again_where_another_is_wanted(folder: Path) -> None:
    marker = folder / "train" / "marker"
    marker.touch()
    root = folder.parent
    assert make_synthetic(root, SyntheticConfig(40, 20, 0), 1) == folder
    assert marker.exists()
    marker.unlink()
    other = make_synthetic(root, SyntheticConfig(10, 10, 1), 1)
    assert other != folder
    assert len(list(other.rglob("*.JPEG"))) == 20


def test_leaves_other_files_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    make_synthetic(tmp_path, SyntheticConfig(10, 10, 0), 1)
    assert (tmp_path / "precious").read_text() == "mine"


def test_half_made_data_is_not_taken_for_whole(tmp_path: Path) -> None:
    whole = make_synthetic(tmp_path, SyntheticConfig(10, 10, 0), 1)
    whole.rename(whole.with_name(whole.name + ".partial"))
    again = make_synthetic(tmp_path, SyntheticConfig(10, 10, 0), 1)
    assert len(list(again.rglob("*.JPEG"))) == 20
    assert [path.name for path in tmp_path.iterdir()] == [again.name]


def test_the_same_seed_draws_the_same_image() -> None:
    first, second, other = (np.asarray(draw("dots", np.random.default_rng(seed))) for seed in (0, 0, 1))
    assert np.array_equal(first, second)
    assert first.shape != other.shape or not np.array_equal(first, other)


def test_average_colour_gives_little_away() -> None:
    """The nearest class by mean colour is wrong more often than not; chance is wrong in 90%."""

    def mean_colors(seed: int) -> np.ndarray:
        return np.array(
            [
                [np.asarray(draw(name, np.random.default_rng([seed, c, k]))).mean((0, 1)) for k in range(12)]
                for c, name in enumerate(CLASSES)
            ]
        )

    centres, tested = mean_colors(0).mean(1), mean_colors(1)
    distances = np.linalg.norm(tested[:, :, None] - centres, axis=-1)
    wrong = distances.argmin(-1) != np.arange(len(CLASSES))[:, None]
    assert 0.5 < wrong.mean() < 0.95
