"""Builds small copies of the forms in which ImageNet comes, for tests."""

import csv
import json
import shutil
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from alexnet.data.imagenet_classes import class_names
from conftest import save_image

WNIDS = ("n01440764", "n02102040", "n03000684")


def draw_pictures(root: Path) -> Path:
    """train/<wnid>/ and val/<wnid>/, 4 and 2 images a class, under ImageNet's own kind of names."""
    rng = np.random.default_rng(0)
    number = 0
    for wnid in WNIDS:
        for index in (10, 9, 1001, 200):
            save_image(root / "train" / wnid / f"{wnid}_{index}.JPEG", rng)
    for _ in range(2):
        for wnid in (WNIDS[2], WNIDS[0], WNIDS[1]):
            number += 1
            save_image(root / "val" / wnid / f"ILSVRC2012_val_{number:08d}.JPEG", rng)
    return root


def flat_val(pictures: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    for path in sorted(pictures.glob("val/*/*")):
        shutil.copy(path, folder)


def truth(pictures: Path) -> dict[str, str]:
    """Name of each validation image -> wnid, in the order of the names."""
    return {path.stem: path.parent.name for path in sorted(pictures.glob("val/*/*"), key=lambda p: p.name)}


def train_tar(pictures: Path, root: Path) -> None:
    with tarfile.open(root / "ILSVRC2012_img_train.tar", "w") as outer:
        for wnid in reversed(ids(pictures)):
            inner = root / f"{wnid}.tar"
            with tarfile.open(inner, "w") as tar:
                for path in sorted((pictures / "train" / wnid).iterdir(), reverse=True):
                    tar.add(path, path.name)
            outer.add(inner, inner.name)
            inner.unlink()


def val_tar(pictures: Path, root: Path) -> None:
    with tarfile.open(root / "ILSVRC2012_img_val.tar", "w") as tar:
        for path in sorted(pictures.glob("val/*/*"), key=lambda p: p.name):
            tar.add(path, f"./{path.name}")


def ids(pictures: Path) -> dict[str, int]:
    """ILSVRC2012_ID of each wnid, from 1; in another order than the labels, as in the real devkit."""
    wnids = sorted(path.name for path in (pictures / "train").iterdir())
    return {wnid: number for number, wnid in enumerate([wnids[-1], *wnids[:-1]], start=1)}


def devkit_files(pictures: Path) -> dict[str, bytes]:
    """The two files of the devkit, meta.mat in the form of the real one: all synsets, leaves first."""
    fields = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]
    numbered = ids(pictures)
    synsets = np.zeros((len(numbered) + 1, 1), dtype=fields)
    for wnid, id_ in numbered.items():
        synsets[id_ - 1, 0] = (np.array([[id_]]), wnid, class_names()[wnid], np.array([[0]]))
    synsets[-1, 0] = (np.array([[1001]]), "n00001740", "entity", np.array([[2]]))
    mat = BytesIO()
    savemat(mat, {"synsets": synsets})
    numbers = "".join(f"{numbered[wnid]}\n" for wnid in truth(pictures).values())
    return {"meta.mat": mat.getvalue(), "ILSVRC2012_validation_ground_truth.txt": numbers.encode()}


def devkit_tar(pictures: Path, root: Path) -> None:
    with tarfile.open(root / "ILSVRC2012_devkit_t12.tar.gz", "w:gz") as tar:
        for name, data in devkit_files(pictures).items():
            member = tarfile.TarInfo(f"ILSVRC2012_devkit_t12/data/{name}")
            member.size = len(data)
            tar.addfile(member, BytesIO(data))


def kaggle_csv(pictures: Path, root: Path) -> None:
    with (root / "LOC_val_solution.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ImageId", "PredictionString"])
        for name, wnid in sorted(truth(pictures).items(), reverse=True):
            writer.writerow([name, f"{wnid} 85 1 499 272 {wnid} 1 1 2 2"])


def official(pictures: Path, root: Path) -> Path:
    for make in (train_tar, val_tar, devkit_tar):
        make(pictures, root)
    return root


def half_extracted(pictures: Path, root: Path) -> Path:
    """The outer tar is unpacked, the inner ones are not; the devkit is."""
    train_tar(pictures, root)
    with tarfile.open(root / "ILSVRC2012_img_train.tar") as tar:
        tar.extractall(root / "train", filter="data")
    (root / "ILSVRC2012_img_train.tar").unlink()
    flat_val(pictures, root / "val")
    (root / "ILSVRC2012_devkit_t12/data").mkdir(parents=True)
    for name, data in devkit_files(pictures).items():
        (root / "ILSVRC2012_devkit_t12/data" / name).write_bytes(data)
    return root


def kaggle(pictures: Path, root: Path) -> Path:
    inside = root / "ILSVRC/Data/CLS-LOC"
    shutil.copytree(pictures / "train", inside / "train")
    flat_val(pictures, inside / "val")
    save_image(inside / "test/ILSVRC2012_test_00000001.JPEG", np.random.default_rng(0))
    kaggle_csv(pictures, root)
    return root


def kaggle_inside(pictures: Path, root: Path) -> Path:
    return kaggle(pictures, root) / "ILSVRC/Data/CLS-LOC"


def class_folders(pictures: Path, root: Path) -> Path:
    shutil.copytree(pictures, root, dirs_exist_ok=True)
    return root


def flat_beside_caffes_list(pictures: Path, root: Path) -> Path:
    shutil.copytree(pictures / "train", root / "train")
    flat_val(pictures, root / "val")
    wnids = list(class_names())
    lines = [f"{name}.JPEG {wnids.index(wnid)}\n" for name, wnid in truth(pictures).items()]
    (root / "val.txt").write_text("".join(lines))
    return root


def flat_beside_the_devkits_files(pictures: Path, root: Path) -> Path:
    shutil.copytree(pictures / "train", root / "train")
    flat_val(pictures, root / "val")
    for name, data in devkit_files(pictures).items():
        (root / name).write_bytes(data)
    return root


def shuffled(pictures: Path, split: str) -> list[Path]:
    """The images of a split in an order of no meaning, as archives have them."""
    paths = sorted(pictures.glob(f"{split}/*/*"))
    return [paths[row] for row in np.random.default_rng(1).permutation(len(paths))]


def words() -> list[str]:
    """ImageNet's classes as Hugging Face's imagenet-1k calls them: two cannot have one name there."""
    names = list(class_names().values())
    return [f"{name}2" if name in names[:number] else name for number, name in enumerate(names)]


def hugging_face(pictures: Path, root: Path) -> Path:
    """imagenet-1k: data/<split>-00000-of-00002.parquet, <name>_<wnid>.JPEG, test images without labels."""
    wnids = list(class_names())
    for split, name, files in (("train", "train", 2), ("val", "validation", 1), ("test", "test", 1)):
        paths = shuffled(pictures, split.replace("test", "val"))
        for number in range(files):
            rows = [
                {
                    "image": {
                        "bytes": path.read_bytes(),
                        "path": path.name if split == "test" else f"{path.stem}_{path.parent.name}.JPEG",
                    },
                    "label": -1 if split == "test" else wnids.index(path.parent.name),
                }
                for path in paths[number::files]
            ]
            write_parquet(root / f"data/{name}-{number:05d}-of-{files:05d}.parquet", rows, words())
    return root


def write_parquet(path: Path, rows: list[dict[str, Any]], names: list[str] | None, **options: Any) -> None:
    """A file as `datasets` writes it: its features in the schema, row groups of few images."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    label: dict[str, Any] = {"dtype": "int64", "_type": "Value"}
    if names is not None:
        label = {"names": names, "_type": "ClassLabel"}
    features = {"info": {"features": {"image": {"_type": "Image"}, "label": label}}}
    schema = {"huggingface": json.dumps(features)}
    table = pa.Table.from_pylist(rows).replace_schema_metadata(schema)
    parquet.write_table(table, path, **({"row_group_size": 5} | options))


def shards(pictures: Path, root: Path) -> Path:
    """timm/imagenet-1k-wds: imagenet1k-<split>-0000.tar with <key>.cls, .jpg and .json."""
    wnids = list(class_names())
    for split, name, files in (("train", "train", 2), ("val", "validation", 1)):
        paths = shuffled(pictures, split)
        for number in range(files):
            samples = [
                (path.stem, wnids.index(path.parent.name), path.read_bytes()) for path in paths[number::files]
            ]
            write_shard(root / f"imagenet1k-{name}-{number:04d}.tar", samples)
    return root


def write_shard(path: Path, samples: list[tuple[str, int | str, bytes]], ending: str = "jpg") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for key, label, image in samples:
            description = json.dumps({"label": label, "width": 60, "height": 48}).encode()
            for kind, data in (("cls", str(label).encode()), (ending, image), ("json", description)):
                member = tarfile.TarInfo(f"{key}.{kind}")
                member.size = len(data)
                tar.addfile(member, BytesIO(data))


FORMS = (
    *(official, half_extracted, kaggle, kaggle_inside, class_folders),
    *(flat_beside_caffes_list, flat_beside_the_devkits_files),
    *(hugging_face, shards),
)
