"""Measure memory and time of listing, scanning and packing as many images as ImageNet has.

    python benchmarks/imagenet_size.py <empty folder> [--scale 0.1] [--forms official shards] [--stages list]

A stand-in is made first: 1,281,167 + 50,000 tiny JPEG files of 1000 classes, under ImageNet's names, in
the official tars, as Hugging Face's Parquet files (needs pyarrow), and as WebDataset's shards. Then each
stage runs in a process of its own, of which are reported the time, the time on the processor, the peak of the
resident memory, and how much of it is above that of the same process before the stage, when everything has
been imported. Linux only:

    list    what train.py and prepare.py do first: find all images, their places and labels
    scan    decode all images once, as the first training from files does
    pack    prepare.py: decode all, and write a pack
    train   open the pack, and read the first 100 batches of a shuffled epoch

With --scale the number of images of each class is a part of ImageNet's.
"""

import argparse
import io
import json
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import numpy as np
from hydra import compose, initialize_config_dir
from PIL import Image
from scipy.io import savemat

from alexnet.config import PrepareConfig
from alexnet.config.arguments import quote_arguments
from alexnet.config.composition import register
from alexnet.config.reading import read_config
from alexnet.data.imagenet import TRAIN_IMAGES, VAL_IMAGES
from alexnet.data.imagenet_classes import class_names, ids
from alexnet.data.listing import list_images
from alexnet.data.loader import BatchLoader
from alexnet.data.loading import load_image_data, open_data
from alexnet.data.pack_writer import make_pack
from alexnet.data.sampling import GlobalBatchSampler
from alexnet.paths import CONF

SIZE = 8  # pixels of a side
PICTURES = 97  # different ones
TRAIN_SHARDS, VAL_SHARDS = 1024, 64  # as of timm/imagenet-1k-wds
TRAIN_FILES, VAL_FILES = 294, 14  # as of Hugging Face's ILSVRC/imagenet-1k
BATCH = 128

Named = tuple[str, str, bytes]  # name, wnid, JPEG file


def main() -> None:
    arguments = _arguments()
    if arguments.stage:
        print(json.dumps(_measure(arguments.folder, arguments.stage)))
        return
    print(
        f"{'form':10}{'stage':8}{'images':>11}{'seconds':>9}{'CPU s':>7}{'peak MB':>9}{'above imports':>15}"
    )
    for form in arguments.forms:
        root = arguments.folder / form
        root.mkdir(parents=True)
        began = time.perf_counter()
        MAKERS[form](root, arguments.scale)
        print(f"{form:10}{'make':8}{'':11}{time.perf_counter() - began:9.0f}")
        for stage in arguments.stages:
            command = [sys.executable, __file__, str(root), "--stage", stage]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            images, seconds, cpu_seconds, before, peak = json.loads(done.stdout.splitlines()[-1])
            times = f"{seconds:9.0f}{cpu_seconds:7.0f}"
            print(f"{form:10}{stage:8}{images:11,}{times}{peak:9.0f}{peak - before:15.0f}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--forms", nargs="+", choices=MAKERS, default=list(MAKERS))
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)  # of a process of its own
    return parser.parse_args()


def _measure(root: Path, stage: str) -> tuple[int, float, float, float, float]:
    config = _config(root)
    before, began, cpu_began = _peak(), time.perf_counter(), time.process_time()
    with redirect_stdout(sys.stderr):
        images = STAGES[stage](config)
    return images, time.perf_counter() - began, time.process_time() - cpu_began, before, _peak()


def _peak() -> float:
    """Return the peak of this process's resident memory, in MB; getrusage's may be its parent's."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


def _config(root: Path) -> PrepareConfig:
    register("prepare", PrepareConfig)
    given = ["data=imagenet", f"data.root={root}", f"data.resize_size={SIZE}", f"data.cache={root}.cache"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        raw = compose("prepare", quote_arguments(given, PrepareConfig))
    return read_config(raw, PrepareConfig)


def _list(config: PrepareConfig) -> int:
    listing = list_images(config.data, Path(config.data.root))
    return len(listing.train) + len(listing.val)


def _scan(config: PrepareConfig) -> int:
    return len(open_data(config.data))


def _pack(config: PrepareConfig) -> int:
    pack = make_pack(config)
    return len(pack.train.rows) + len(pack.val.rows)


def _train(config: PrepareConfig) -> int:
    data = load_image_data(config.data)
    batches = GlobalBatchSampler(len(data.train), BATCH)
    loader = BatchLoader(data.train, batches, size=SIZE, workers=2, position=lambda: (0, 0))
    for _ in zip(range(100), loader, strict=False):
        pass
    return len(data.train) + len(data.val)


STAGES: dict[str, Callable[[PrepareConfig], int]] = {
    "list": _list,
    "scan": _scan,
    "pack": _pack,
    "train": _train,
}


def _pictures() -> list[bytes]:
    files = []
    for pixels in np.random.default_rng(0).integers(0, 256, (PICTURES, SIZE, SIZE, 3), np.uint8):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG")
        files.append(file.getvalue())
    return files


def _train_images(scale: float) -> Iterator[tuple[str, list[Named]]]:
    """Yield the images class by class."""
    pictures = _pictures()
    total = round(TRAIN_IMAGES * scale)
    for label, wnid in enumerate(class_names()):
        count = total * (label + 1) // 1000 - total * label // 1000
        names = (f"{wnid}_{10 * number + 8}.JPEG" for number in range(count))
        yield wnid, [(name, wnid, pictures[(label + n) % PICTURES]) for n, name in enumerate(names)]


def _val_images(scale: float) -> list[Named]:
    pictures, wnids = _pictures(), list(class_names())
    rng = np.random.default_rng(1)
    labels = rng.permutation(np.arange(round(VAL_IMAGES * scale)) % 1000).tolist()
    return [
        (f"ILSVRC2012_val_{number:08d}.JPEG", wnids[label], pictures[number % PICTURES])
        for number, label in enumerate(labels, start=1)
    ]


def _shuffled(scale: float) -> list[Named]:
    images = [image for _, of_class in _train_images(scale) for image in of_class]
    return [images[row] for row in np.random.default_rng(2).permutation(len(images))]


def _make_official(root: Path, scale: float) -> None:
    """Write the tar of tars, the flat tar, and the development kit with the classes of its images."""
    with tarfile.open(root / "ILSVRC2012_img_train.tar", "w") as outer:
        for wnid, images in _train_images(scale):
            inner = io.BytesIO()
            with tarfile.open(fileobj=inner, mode="w") as tar:
                for name, _, data in images:
                    _add(tar, name, data)
            _add(outer, f"{wnid}.tar", inner.getvalue())
    val = _val_images(scale)
    with tarfile.open(root / "ILSVRC2012_img_val.tar", "w") as tar:
        for name, _, data in val:
            _add(tar, name, data)
    fields = [("ILSVRC2012_ID", "O"), ("WNID", "O")]
    synsets = np.array([(number, wnid) for number, wnid in enumerate(ids(), start=1)], dtype=fields)
    mat = io.BytesIO()
    savemat(mat, {"synsets": synsets})
    numbers = {wnid: number for number, wnid in enumerate(ids(), start=1)}
    truth = "".join(f"{numbers[wnid]}\n" for _, wnid, _ in val)
    with tarfile.open(root / "ILSVRC2012_devkit_t12.tar.gz", "w:gz") as tar:
        folder = "ILSVRC2012_devkit_t12/data"
        _add(tar, f"{folder}/meta.mat", mat.getvalue())
        _add(tar, f"{folder}/ILSVRC2012_validation_ground_truth.txt", truth.encode())


def _make_shards(root: Path, scale: float) -> None:
    wnids = {wnid: str(label).encode() for label, wnid in enumerate(class_names())}
    splits = (("train", _shuffled(scale), TRAIN_SHARDS), ("validation", _val_images(scale), VAL_SHARDS))
    for split, images, files in splits:
        for number in range(files):
            with tarfile.open(root / f"imagenet1k-{split}-{number:04d}.tar", "w") as tar:
                for name, wnid, data in images[number::files]:
                    key = name.removesuffix(".JPEG")
                    for ending, content in (("cls", wnids[wnid]), ("jpg", data), ("json", b'{"width": 8}')):
                        _add(tar, f"{key}.{ending}", content)


def _make_parquet(root: Path, scale: float) -> None:
    import pyarrow
    import pyarrow.parquet

    labels = {wnid: label for label, wnid in enumerate(class_names())}
    features = {
        "image": {"_type": "Image"},
        "label": {"_type": "ClassLabel", "names": [*class_names().values()]},
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    splits = (("train", _shuffled(scale), TRAIN_FILES), ("validation", _val_images(scale), VAL_FILES))
    for split, images, files in splits:
        for number in range(files):
            rows: list[dict[str, Any]] = [
                {
                    "image": {"bytes": data, "path": f"{name.removesuffix('.JPEG')}_{wnid}.JPEG"},
                    "label": labels[wnid],
                }
                for name, wnid, data in images[number::files]
            ]
            table = pyarrow.Table.from_pylist(rows).replace_schema_metadata(metadata)
            path = root / f"data/{split}-{number:05d}-of-{files:05d}.parquet"
            path.parent.mkdir(exist_ok=True)
            pyarrow.parquet.write_table(table, path, row_group_size=100)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


MAKERS = {"official": _make_official, "parquet": _make_parquet, "shards": _make_shards}

if __name__ == "__main__":
    main()
