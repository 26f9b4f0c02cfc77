"""The ground truth of ImageNet's validation images, in each file that gives it."""

import csv
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from alexnet.data.imagenet_classes import class_names
from alexnet.data.walk import Walk
from alexnet.errors import UserError

KAGGLE_IMAGES = Path("ILSVRC/Data/CLS-LOC")
KAGGLE_TRUTH = "LOC_val_solution.csv"
CAFFE_TRUTH = "val.txt"
DEVKIT = "ILSVRC2012_devkit_t12"
DEVKIT_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
DEVKIT_META = "meta.mat"

Truth = dict[str, str]  # name of a validation image, without its suffix -> wnid


def first_file(bases: list[Path], name: str) -> Path | None:
    """Return the file of a name in the first folder that has it."""
    return next((base / name for base in bases if (base / name).is_file()), None)


def stem(path: str) -> str:
    """Return the name of an image without folders and suffix."""
    return path.rpartition("/")[2].partition(".")[0]


def ground_truth(walk: Walk, bases: list[Path], images: Path) -> tuple[Truth, Path]:
    """Read the classes of the validation `images`; return them by the images' stems, and the file read.

    It is searched for in the folders `bases`. Raises `UserError` if there is none, or for a damaged one.
    """
    readers: dict[str, Callable[[Path], Truth]] = {
        KAGGLE_TRUTH: _read_kaggle,
        f"{DEVKIT}.tar.gz": _read_devkit_tar,
        DEVKIT_TRUTH: _read_devkit,
        CAFFE_TRUTH: _read_caffe,
    }
    root = walk.root
    # for a root inside Kaggle's layout, which has the file in its top folder
    above = [up for up in root.parents[:3] if root.is_relative_to(up / KAGGLE_IMAGES)]
    in_devkit = [base / folder for folder in (f"{DEVKIT}/data", "data") for base in bases]
    for name, read in readers.items():
        if path := first_file([*bases, *above, *in_devkit], name):
            walk.record(path)
            try:
                return read(path), path
            except UserError:
                raise
            except Exception as error:  # the readers raise many types for a damaged file
                raise UserError(f"{path}: cannot be read ({error}). Download it again.") from error
    raise UserError(
        f"{images}: no file gives the classes of these images. Put {DEVKIT}.tar.gz (from"
        f" image-net.org: ILSVRC2012, Development kit, Task 1 & 2) or {KAGGLE_TRUTH} (from Kaggle: ImageNet"
        f" Object Localization Challenge) into {root}, or sort them into a folder for each class."
    )


def _read_kaggle(path: Path) -> Truth:
    """Read rows such as ILSVRC2012_val_00048981,n03995372 85 1 499 272: the class, then boxes."""
    with path.open(newline="", encoding="utf-8") as file:
        return {row["ImageId"]: row["PredictionString"].split()[0] for row in csv.DictReader(file)}


def _read_caffe(path: Path) -> Truth:
    """Read lines such as ILSVRC2012_val_00000001.JPEG 65: the index of the wnid among all 1000."""
    wnids = list(class_names())
    rows = (line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    return {stem(name): wnids[int(label)] for name, label in rows}


def _read_devkit_tar(path: Path) -> Truth:
    with tarfile.open(path) as tar:
        files = {}
        for name in (DEVKIT_TRUTH, DEVKIT_META):
            file = tar.extractfile(f"{DEVKIT}/data/{name}")
            assert file is not None
            files[name] = file.read()
    return _truth_of_ids(files[DEVKIT_TRUTH].decode(), files[DEVKIT_META])


def _read_devkit(path: Path) -> Truth:
    meta = path.with_name(DEVKIT_META)
    if not meta.is_file():
        raise UserError(
            f"{path} gives class numbers; {DEVKIT_META}, which explains them, is not in the same folder."
            f" Both are in {DEVKIT}.tar.gz, from image-net.org."
        )
    return _truth_of_ids(path.read_text(encoding="utf-8"), meta.read_bytes())


def _truth_of_ids(text: str, meta: bytes) -> Truth:
    """Map image names to wnids: the n-th number is the ILSVRC2012_ID (not the label) of the n-th image."""
    from scipy.io import loadmat

    synsets = loadmat(BytesIO(meta), squeeze_me=True)["synsets"]
    wnids = {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in synsets}
    numbers = [int(line) for line in text.split()]
    return {f"ILSVRC2012_val_{image:08d}": wnids[number] for image, number in enumerate(numbers, start=1)}
