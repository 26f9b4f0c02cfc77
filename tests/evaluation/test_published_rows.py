"""Published errors: their arithmetic, and the measurements with which they are comparable."""

import pytest

from alexnet.config import ValCrops
from alexnet.evaluation.published import PUBLISHED, published_errors


@pytest.mark.parametrize(
    ("who", "crops", "errors"),
    [
        ("Caffe, bvlc_alexnet", ValCrops.center, (42.9, 19.8)),
        ("torchvision", ValCrops.center, (43.478, 20.934)),
        ("AlexNet, net #170 (2013)", ValCrops.ten, (40.53, 18.05)),
        ("cuda-convnet2, one GPU", ValCrops.center, (42.55, 19.81)),
        ("AlexNet", ValCrops.ten, (40.7, 18.2)),
    ],
)
def test_errors(who: str, crops: ValCrops, errors: tuple[float, float]) -> None:
    (row,) = [row for row in PUBLISHED if row.who == who and row.crops is crops and "2012 val" in row.split]
    assert (row.top1_error, row.top5_error) == errors


def test_only_the_same_images_and_crops_are_comparable() -> None:
    for crops in ValCrops:
        for networks in (1, 5):
            rows = published_errors(crops, networks)
            assert {row.who for row, _ in rows} == {row.who for row in PUBLISHED}
            for row, comparable in rows:
                if comparable:
                    assert (row.split, row.crops) == ("ILSVRC-2012 val", crops)
                    assert not row.more_data
                assert not (comparable and row.top1_error == 37.5)
            order = [comparable for _, comparable in rows]
            assert order == sorted(order, reverse=True)
    single = {row.who for row, comparable in published_errors(ValCrops.ten, 1) if comparable}
    assert {"AlexNet", "AlexNet, net #145"} <= single
    assert [row.top1_error for row, comparable in published_errors(ValCrops.ten, 5) if comparable] == [38.1]
    assert not any(
        row.who == "longrootchen, PyTorch"
        for row, comparable in published_errors(ValCrops.ten, 1)
        if comparable
    )
