"""Published errors of AlexNet on ImageNet: of the paper, of its 2012 run log, and of replications.

Where a source gives accuracies, the error is 100 less the accuracy. Table 2 of the paper and the run log of
net #145 do not state their crops; ten, as §4.1 says of testing, is what fits the log's other entries.
"""

from dataclasses import dataclass

from alexnet.config import ValCrops

TEST_2010, VAL_2012, TEST_2012 = "ILSVRC-2010 test", "ILSVRC-2012 val", "ILSVRC-2012 test"


@dataclass(frozen=True)
class Published:
    """Published errors in percent, None where not published.

    `crops` is None where the source does not state them, and for what is not a network. `networks` is how
    many were averaged; `more_data` says that they were trained on more than the split's own training set.
    """

    who: str
    split: str
    crops: ValCrops | None
    top1_error: float | None
    top5_error: float | None
    source: str
    networks: int = 1
    more_data: bool = False

    def is_comparable(self, crops: ValCrops, networks: int) -> bool:
        """Return whether a measurement on ILSVRC-2012's validation images is comparable with these errors.

        The measurement is by `crops`, with `networks` networks.
        """
        same = self.split == VAL_2012 and self.crops is crops and not self.more_data
        return same and (self.networks > 1) == (networks > 1)


def _accuracy(
    who: str, crops: ValCrops | None, top1: float, top5: float | None, source: str, split: str = VAL_2012
) -> Published:
    """Return the errors of a source that gives accuracies."""
    errors = (round(100 - top1, 4), None if top5 is None else round(100 - top5, 4))
    return Published(who, split, crops, *errors, source)


NOTE = (
    "Comparable published errors, marked *, were measured on all ILSVRC-2012 validation images with the same"
    " crops. The paper's 37.5 and 17.0 are for ILSVRC-2010 test images. Its Table 2 does not state the crops;"
    " by §4.1 they are ten."
)

_CENTER, _TEN = ValCrops.center, ValCrops.ten
_LOG = "2012 program, layers/"

PUBLISHED = (
    Published("sparse coding", TEST_2010, None, 47.1, 28.2, "paper, Table 1"),
    Published("SIFT + Fisher vectors", TEST_2010, None, 45.7, 25.7, "paper, Table 1"),
    Published("AlexNet", TEST_2010, _CENTER, 39.0, 18.3, "paper, §6 footnote"),
    Published("AlexNet", TEST_2010, _TEN, 37.5, 17.0, "paper, Table 1"),
    Published("SIFT + Fisher vectors", TEST_2012, None, None, 26.2, "paper, Table 2"),
    Published("5 AlexNets", TEST_2012, _TEN, None, 16.4, "paper, Table 2", networks=5),
    Published("7 networks, two with more data", TEST_2012, _TEN, None, 15.3, "paper, Table 2", 7, True),
    Published("AlexNet, 6 conv layers, more data", VAL_2012, _TEN, 39.0, 16.6, "paper, Table 2", 1, True),
    Published("7 networks, two with more data", VAL_2012, _TEN, 36.7, 15.4, "paper, Table 2", 7, True),
    Published("5 AlexNets", VAL_2012, _TEN, 38.1, 16.4, "paper, Table 2", networks=5),
    Published("AlexNet", VAL_2012, _TEN, 40.7, 18.2, "paper, Table 2"),
    Published("AlexNet, net #145", VAL_2012, _TEN, 40.664, 18.21, f"{_LOG}layer-params-145.cfg:182"),
    _accuracy("AlexNet, net #170 (2013)", _CENTER, 57.66, 80.42, f"{_LOG}layer-params-170.cfg:204-205"),
    _accuracy("AlexNet, net #170 (2013)", _TEN, 59.47, 81.95, f"{_LOG}layer-params-170.cfg:204-205"),
    _accuracy("cuda-convnet2, one GPU", _CENTER, 57.45, 80.19, "cuda-convnet2 wiki, TrainingExample"),
    _accuracy("cuda-convnet2, one GPU", _TEN, 59.58, 81.85, "cuda-convnet2 wiki, TrainingExample"),
    _accuracy("Caffe, bvlc_alexnet", _CENTER, 57.1, 80.2, "caffe, models/bvlc_alexnet/readme.md"),
    _accuracy("Caffe, CaffeNet", _CENTER, 57.4, 80.4, "caffe, models/bvlc_reference_caffenet/readme.md"),
    _accuracy("theano_alexnet", _CENTER, 57.34, 80.12, "uoguelph-mlrg, pretrained/alexnet/readme.md"),
    _accuracy("tensorpack", _CENTER, 58.0, None, "tensorpack, examples/ImageNetModels/README.md"),
    _accuracy("torchvision", _CENTER, 56.522, 79.066, "torchvision, models/alexnet.py"),
    _accuracy("longrootchen, PyTorch", None, 58.8, 81.8, "its README"),
    _accuracy("OneFlow", _CENTER, 54.76, 78.19, "OneFlow-Benchmark, AlexNet.md"),
    _accuracy("TensorFlow benchmarks", _CENTER, 54.6, 78.33, "OneFlow-Benchmark, AlexNet.md"),
)


def published_errors(crops: ValCrops, networks: int) -> list[tuple[Published, bool]]:
    """Return all published errors, and whether each is comparable with a measurement.

    The measurement is by `crops`, with `networks` networks, on ILSVRC-2012's validation images. Comparable
    errors come first, then others on the same images, then the rest.
    """
    rows = [(row, row.is_comparable(crops, networks)) for row in PUBLISHED]
    return sorted(rows, key=lambda row: (not row[1], row[0].split != VAL_2012))
