"""`python src/train.py` as a user runs it."""

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from conftest import PROJECT, SMALL, Train, real_images, save_image, shown_on_a_terminal


def test_leaves_all_files_of_a_run(train: Train, synthetic: tuple[str, ...]) -> None:
    """The default logger too: W&B, offline where nobody is logged in, without a prompt."""
    done = train(*SMALL, *synthetic, "seed=3", "callbacks.activation_monitor.images=4")
    assert done.status == 0, done.err
    result = done.result
    assert result["status"] == "completed"
    assert (result["error"], result["warning"], result["seed"], result["epochs"]) == (None, None, 3, 2)
    assert result["excluded_files"] == 0
    assert result["val"]["samples"] == 31
    assert result["train"]["samples"] == 61
    assert {"top1_error", "top5_error", "loss"} <= result["val"].keys()
    for error in (result["val"]["top1_error"], result["val"]["top5_error"], result["best"]["top1_error"]):
        assert error == 100 * round(error * 31 / 100) / 31  # in float64
    assert repr(result["train"]["loss"]) == str(np.float32(result["train"]["loss"]))
    for key in ("parameters", "images_per_second", "wall_seconds", "peak_memory_mb"):
        assert result[key] > 0, key
    assert 0 <= result["data_wait_fraction"] <= 1
    assert len(result["config_hash"]) == 8
    assert result["data_fingerprint"]

    with (done.folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [float(row["lr"]) for row in rows] == [
        0.00075,
        0.0015,
    ]  # the first of 4 steps of warm-up; cosine: 1/2
    assert float(rows[-1]["val/top1_error"]) == pytest.approx(result["val"]["top1_error"], rel=1e-4)
    config = yaml.safe_load((done.folder / "config.yaml").read_text())
    assert config["model"]["width"] == 0.0625
    assert config["model"]["activation"] == "relu"
    assert "seed=3" in yaml.safe_load((done.folder / "overrides.yaml").read_text())
    environment = json.loads((done.folder / "environment.json").read_text())
    assert environment["packages"]["lightning"]
    assert environment["data_fingerprint"] == result["data_fingerprint"] != environment["val_fingerprint"]
    for name in ("curves", "filters", "layers"):
        with Image.open(done.folder / f"figures/{name}.png") as image:
            assert image.width > 500
    assert "val/loss" not in (done.folder / "train.log").read_text()[:10]
    with (done.folder / "layers.csv").open() as file:
        measured = list(csv.DictReader(file))
    assert [row["epoch"] for row in measured if row["layer"] == "fc7"] == ["0", "1", "2"]

    for line in (str(done.folder / "figures/curves.png"), "wandb sync", "Next"):
        assert line in done.out
    (recorded,) = (done.folder / "wandb").glob("offline-run-*/run-*.wandb")
    content = recorded.read_bytes()
    parts = (b"val/top1_error", b"images_per_second", b"spatial_norm", done.folder.name.encode())
    for part in (*parts, b"layers/fc7/dead_fraction", b"media/images/layers"):
        assert part in content


def test_checkpoints_hold_plain_data(train: Train, synthetic: tuple[str, ...]) -> None:
    done = train(*SMALL, *synthetic, "logger=csv")
    last = torch.load(done.folder / "checkpoints/last.ckpt", weights_only=True)
    best = torch.load(done.folder / "checkpoints/best.ckpt", weights_only=True)
    assert last["config"] == best["config"] == yaml.safe_load((done.folder / "config.yaml").read_text())
    assert last["optimizer_states"]
    assert "optimizer_states" not in best
    assert sum(v.numel() for v in best["state_dict"].values()) == done.result["parameters"]
    assert last["ImageDataModule"]["classes"][0] == "checkerboard"


def test_the_same_seed_gives_the_same_numbers(
    train: Train, synthetic: tuple[str, ...], tmp_path: Path
) -> None:
    """With other numbers of workers; and another seed gives others."""
    metrics = []
    for name, *overrides in (("a", "data.workers=0"), ("b", "data.workers=2"), ("c", "seed=1")):
        folder = tmp_path / name
        done = train(*SMALL, *synthetic, "logger=csv", f"run_folder={folder}", *overrides)
        assert done.status == 0, done.err
        with (folder / "metrics.csv").open() as file:
            metrics.append([[row["train/loss"], row["val/loss"]] for row in csv.DictReader(file)])
    assert metrics[0] == metrics[1]
    assert metrics[0] != metrics[2]


def test_bad_files_are_named_and_counted(train: Train, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    root = tmp_path / "my photos é"
    for name in ("cat", "dog"):
        for index in range(8):
            save_image(root / name / f"{index}.jpg", rng)
    whole = (root / "cat/0.jpg").read_bytes()
    (root / "cat/truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "dog/text.JPEG").write_text("not an image")
    (root / "dog/empty.png").write_bytes(b"")
    (root / "dog/notes.txt").write_text("not an image by its name")
    Image.new("L", (50, 40), 100).save(root / "cat/grey.jpg")
    Image.new("CMYK", (50, 40), (9, 80, 0, 40)).save(root / "dog/cmyk.jpg")
    Image.new("RGB", (1, 1), (9, 80, 0)).save(root / "dog/one.png")
    arguments = (*SMALL, "data=folder", f"data.root={root}", "data.batch_size=4", "logger=csv")
    refused = train(*arguments)
    assert refused.status == 1
    assert "3 of 22 images (14%) cannot be read, more than data.max_unreadable=0.001." in refused.err
    assert "data.max_unreadable=0.2" in refused.err
    assert not refused.outputs.exists()
    done = train(*arguments, "data.max_unreadable=0.2")
    assert done.status == 0, done.err
    assert done.result["excluded_files"] == 4
    with (done.folder / "excluded_files.csv").open() as file:
        named = {row["file"]: row["reason"] for row in csv.DictReader(file)}
    assert set(named) == {"cat/truncated.jpg", "dog/text.JPEG", "dog/empty.png", "dog/notes.txt"}
    assert all(named.values())
    assert "4 files set aside" in done.out
    assert "images (10% held out of each class) of 2 classes (cat, dog), from files in" in done.out
    assert done.result["damaged_files"] == 0
    assert done.result["train"]["samples"] + done.result["val"]["samples"] == 19
    assert "top5_error" not in done.result["val"]  # two classes


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["model.activation=tahn"], "Did you mean tanh?"),
        (["model.lnr=true"], "Did you mean lrn?"),
        (["model.dropout=1.5"], "model.dropout=1.5"),
        (["data.root=/nowhere/at/all"], "data.root=/nowhere/at/all"),
        (["data=folder", "data.root=/nowhere"], "data.root=/nowhere: there is no such folder"),
        (["trainer.devices=64000"], "trainer.devices=64000"),
        (
            ["-m", "hydra/launcher=basic", "seed=0,1", "trainer.devices=2"],
            "hydra/launcher=basic with trainer.devices=2",
        ),
    ],
)
def test_a_mistake_ends_in_one_line(train: Train, overrides: list[str], expected: str) -> None:
    done = train(*overrides, "trainer.accelerator=cpu")
    assert done.status == 1
    assert done.out == ""
    (line,) = done.err.splitlines()
    assert line.startswith("Error: ")
    assert expected in line
    assert not (done.outputs / "runs").exists()


@pytest.mark.slow
def test_sweep_in_one_process(train: Train, synthetic: tuple[str, ...]) -> None:
    """Each job has its own folder and its own W&B run; a job that cannot run fails alone."""
    fast = ("debug=fast", "logger=wandb", "trainer.accelerator=cpu", "hydra/launcher=basic")
    done = train("-m", *fast, "model.dropout=0.5,1.5", "seed=0,1", *synthetic)
    assert done.status == 1
    assert done.err.splitlines() == ["Error: model.dropout=1.5: expected a number from 0 to below 1."]
    folders = sorted((done.outputs / "runs").iterdir())
    assert len(folders) == 2
    seeds = {json.loads((folder / "result.json").read_text())["seed"] for folder in folders}
    assert seeds == {0, 1}
    assert all(len(list((folder / "wandb").glob("offline-run-*"))) == 1 for folder in folders)


def test_without_wandb_installed(train: Train, synthetic: tuple[str, ...], tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "wandb.py").write_text("raise ImportError('No module named wandb')")
    environment = {"PYTHONPATH": str(blocked)}
    fast = ("debug=fast", "trainer.accelerator=cpu", *synthetic)
    done = train(*fast, "trainer.limit_val_batches=1", "logger=csv", environment=environment)
    assert done.status == 0, done.err
    assert done.result["val"]["samples"] == 15  # counted, not the length of the list
    done = train(*fast, "run_folder=w", "logger=wandb", environment=environment)
    assert done.status == 1
    assert "use logger=csv" in done.err


@pytest.mark.slow
def test_wandb_that_does_not_answer(train: Train, synthetic: tuple[str, ...]) -> None:
    """Logged in, but the server accepts and never answers: the run continues offline."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen()
        kept = []
        threading.Thread(target=lambda: kept.append(hole.accept()), daemon=True).start()
        environment = {
            "WANDB_API_KEY": "0" * 40,
            "WANDB_BASE_URL": f"http://127.0.0.1:{hole.getsockname()[1]}",
        }
        done = train(
            "debug=fast", "logger=wandb", "trainer.accelerator=cpu", *synthetic, environment=environment
        )
    assert done.status == 0, done.err
    assert "W&B cannot be reached" in done.out
    assert done.result["status"] == "completed"
    assert list((done.folder / "wandb").glob("offline-run-*"))


def test_training_that_does_not_learn_is_noticed(train: Train, synthetic: tuple[str, ...]) -> None:
    done = train(
        *SMALL, *synthetic, "optimizer.lr=1e-7", "callbacks.convergence_monitor.steps=8", "logger=csv"
    )
    assert done.status == 0
    assert "Not learning: after 2 epochs" in done.out
    assert "Not learning" in done.result["warning"]


def test_failure_leaves_a_result(train: Train, synthetic: tuple[str, ...]) -> None:
    done = train(*SMALL, *synthetic, "optimizer.lr=1e6", "logger=csv")
    assert done.status == 1
    assert "Traceback" not in done.err
    assert "smaller optimizer.lr" in done.err
    assert done.result["status"] == "failed"
    assert "smaller optimizer.lr" in done.result["error"]


def test_interrupted(synthetic: tuple[str, ...], tmp_path: Path) -> None:
    """Ctrl-C: what was computed is on disk, and the run says that it was interrupted."""
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [
            sys.executable,
            "src/train.py",
            *SMALL,
            *synthetic,
            "trainer.max_epochs=1000",
            "logger=csv",
            f"run_folder={folder}",
            f"data.cache={tmp_path / 'cache'}",
        ],
        cwd=PROJECT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # a shell that started these tests in the background would have it ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.time() + 120
    while not (folder / "metrics.csv").exists():
        assert process.poll() is None
        assert time.time() < deadline
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in out
    result = json.loads((folder / "result.json").read_text())
    assert result["status"] == "interrupted"
    assert result["epochs"] >= 1
    assert (folder / "figures/curves.png").exists()


def test_progress_on_a_terminal(synthetic: tuple[str, ...], tmp_path: Path) -> None:
    """A live bar with the epoch, the loss and the time left; the lines of the table stay above it."""
    command = ["src/train.py", *SMALL, *synthetic, "logger=csv", f"run_folder={tmp_path / 'run'}"]
    text = shown_on_a_terminal(command, {"COLUMNS": "120"})
    assert re.search(r"Epoch 2/2  loss \d\.\d+ .*4/4", text)
    assert re.search(r"[\r\n] +1/2 +\d\.\d+ +\d+\.\d%", text)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_default_run_learns(train: Train, seed: int) -> None:
    """`make train`: below half of the 90% of chance."""
    done = train(f"seed={seed}", "logger=csv", timeout=1800)  # one thread, without bfloat16: eight minutes
    assert done.status == 0, done.err
    assert done.result["val"]["top1_error"] < 45


@pytest.mark.slow
def test_learns_real_photographs(train: Train, tmp_path: Path) -> None:
    """Imagenette at quarter width: the error falls clearly in three epochs."""
    import tarfile

    with tarfile.open(real_images() / "imagenette2-224.tar.gz") as archive:
        archive.extractall(tmp_path / "imagenette", filter="data")
    done = train(
        "data=imagenette",
        f"data.root={tmp_path / 'imagenette'}",
        "model.width=0.25",
        "trainer.max_epochs=3",
        "logger=csv",
        timeout=1800,
    )
    assert done.status == 0, done.err
    assert done.result["val"]["samples"] == 3925
    assert done.result["val"]["top1_error"] < 75
