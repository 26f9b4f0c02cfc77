"""Nearest neighbours against a plain loop, and the choice of query images."""

import numpy as np
import pytest
import torch

from alexnet.data.sampling import evenly_spaced
from alexnet.inspection.neighbours import choose_queries, nearest_neighbours


@pytest.mark.parametrize("sizes", [(40,), (1, 20, 19), (3,) * 13 + (1,)])
@pytest.mark.parametrize("count", [1, 6, 50])
def test_against_a_plain_loop(sizes: tuple[int, ...], count: int) -> None:
    """Vectors far from zero, where products would round the differences away; two of them are equal."""
    rng = np.random.default_rng(0)
    queries = (1000 + rng.normal(size=(5, 30))).astype(np.float32)
    vectors = (1000 + rng.normal(size=(40, 30))).astype(np.float32)
    vectors[31] = vectors[7]
    ids = rng.permutation(1000)[:40]
    parts = np.split(np.arange(40), np.cumsum(sizes)[:-1])
    batches = ((ids[part], torch.from_numpy(vectors[part])) for part in parts)
    neighbours, distances = nearest_neighbours(torch.from_numpy(queries), batches, count)
    for row, query in enumerate(queries.astype(np.float64)):
        expected = [float(np.sqrt(sum((query - vector.astype(np.float64)) ** 2))) for vector in vectors]
        order = sorted(range(40), key=lambda index: (expected[index], index))[:count]
        assert neighbours[row].tolist() == ids[order].tolist()
        np.testing.assert_allclose(distances[row], [expected[index] for index in order], rtol=1e-5)


def test_queries_are_of_as_many_classes_as_possible() -> None:
    labels = np.repeat([0, 1, 2, 4], [50, 2, 1, 50])  # class 3 has no images
    for count, of_classes in ((2, 2), (4, 4), (5, 4), (7, 4), (1000, 4)):
        chosen = choose_queries(labels, count)
        assert len(chosen) == len(set(chosen.tolist())) == min(count, len(labels))
        counts = np.bincount(labels[chosen], minlength=5)
        assert (counts > 0).sum() == of_classes
        assert chosen.tolist() == choose_queries(labels, count).tolist()
        assert labels[chosen].tolist() == sorted(labels[chosen])
    assert np.bincount(labels[choose_queries(labels, 7)]).tolist() == [2, 2, 1, 0, 2]
    hundred = np.repeat(np.arange(100), 3)
    assert hundred[choose_queries(hundred, 4)].tolist() == [12, 37, 62, 87]


def test_evenly_spaced() -> None:
    assert (
        evenly_spaced(10, None).tolist()
        == evenly_spaced(10, 10).tolist()
        == evenly_spaced(10, 11).tolist()
        == list(range(10))
    )
    assert evenly_spaced(10, 2).tolist() == [2, 7]
    assert evenly_spaced(9, 1).tolist() == [4]
    drawn = evenly_spaced(1_281_167, 2000)
    assert len(set(drawn.tolist())) == 2000
    assert set(np.diff(drawn)) == {640, 641}
