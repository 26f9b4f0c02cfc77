"""Distillation: its loss against numpy, and what the teacher sees and leaves behind: nothing."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.transforms.v2.functional import resize

import alexnet
from alexnet.data.augmentation import Crops
from alexnet.errors import UserError
from alexnet.files import read_csv_columns
from alexnet.losses.distillation import DistillationConfig
from alexnet.models.torchvision import TorchvisionNetwork
from alexnet.runs import teacher as teachers
from alexnet.runs.checkpoint_io import read_checkpoint
from alexnet.runs.teacher import Teacher, load_teacher
from alexnet.training.components import build_components
from alexnet.training.fit import train
from alexnet.training.module import ClassificationModule
from conftest import SMALL, Train, compose_config, request_of

RUN = (*SMALL, "logger=csv", "optimizer.lr=0.01", "scheduler=constant", "trainer.max_epochs=1")


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


@pytest.mark.parametrize(("temperature", "weight"), [(1.0, 0.3), (4.0, 0.9), (2.0, 1.0)])
def test_is_hintons(temperature: float, weight: float) -> None:
    """Section 2; T^2 keeps the gradients of the two parts in proportion."""
    rng = np.random.default_rng(0)
    ours, theirs, labels = rng.normal(size=(20, 7)), 3 * rng.normal(size=(20, 7)), rng.integers(0, 7, 20)
    hard = -np.log(softmax(ours)[np.arange(20), labels])
    p, q = softmax(theirs / temperature), softmax(ours / temperature)
    expected = (1 - weight) * hard + weight * temperature**2 * (p * (np.log(p) - np.log(q))).sum(1)
    loss = DistillationConfig("distillation", "x", temperature, weight).build(7)
    logits, targets, teacher = torch.from_numpy(ours), torch.from_numpy(labels), torch.from_numpy(theirs)
    np.testing.assert_allclose(loss(logits, targets, teacher), expected, rtol=1e-10)
    np.testing.assert_allclose(loss(logits, targets), hard, rtol=1e-10)


def test_chance_is_that_of_a_certain_teacher() -> None:
    config = compose_config()
    loss = DistillationConfig("distillation", "x", 2.0, 0.5)
    given: Any = (nn.Identity(), 7, config.optimizer, config.scheduler, loss, {}, object())
    assert ClassificationModule(*given).chance_loss == pytest.approx((0.5 + 0.5 * 4) * np.log(7), rel=1e-6)


def fake_teacher(mean: Tensor, classes: tuple[str, ...]) -> Any:
    """A network whose logits are the means of the rows of the first channel of its inputs."""
    network = SimpleNamespace(requires_grad_=lambda on: lambda images: images[:, 0].mean(2))
    return SimpleNamespace(network=network, crops=Crops(mean, 0), classes=classes)


def test_the_teacher_sees_the_same_pixels_less_its_own_mean() -> None:
    """As they are, and at another size; of its outputs the classes of the data, in their order."""
    rng = np.random.default_rng(1)
    pixels = torch.from_numpy(rng.uniform(0, 255, (5, 3, 8, 8)).astype(np.float32))
    own, other, small = (
        torch.from_numpy(rng.uniform(0, 255, (3, s, s)).astype(np.float32)) for s in (8, 8, 4)
    )
    names = tuple("abcdefgh")
    for mean, of_teacher in ((own, names), (other, names), (small, names[:4])):
        classes = [of_teacher[2], of_teacher[0]]
        seen = pixels if len(mean[0]) == 8 else resize(pixels, [4, 4], antialias=True)
        expected = (seen - mean)[:, 0].mean(2)
        for wanted, logits in ((of_teacher, expected), (classes, expected[:, [2, 0]])):
            teacher = Teacher(fake_teacher(mean, of_teacher), "x", wanted, Crops(own, 0))
            torch.testing.assert_close(teacher.logits(pixels - own), logits, rtol=1e-4, atol=1e-3)
    with pytest.raises(
        UserError, match=r"loss.teacher=x: this network has 8 classes, but lacks z, one of the data's 2"
    ):
        Teacher(fake_teacher(own, names), "x", ["a", "z"], Crops(own, 0))


@pytest.mark.slow
def test_a_run_teaches_another(
    tmp_path: Path, synthetic: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its logits are those of the loaded run; the student's checkpoint holds the student alone."""
    train(request_of(tmp_path / "teacher", *RUN, *synthetic, "model.width=0.125"))
    typed = (*RUN, *synthetic, "loss=distillation", f"loss.teacher={tmp_path / 'teacher'}")
    seen: list[tuple[Tensor, Tensor]] = []
    logits = Teacher.logits

    def spy(teacher: Teacher, inputs: Tensor) -> Tensor:
        seen.append((inputs, logits(teacher, inputs)))
        return seen[-1][1]

    monkeypatch.setattr(Teacher, "logits", spy)
    train(request_of(tmp_path / "student", *typed))
    assert len(seen) == 4
    network = alexnet.load_run(tmp_path / "teacher").network.eval()
    with torch.no_grad():
        for inputs, outputs in seen:
            torch.testing.assert_close(outputs, network(inputs))
    checkpoint = read_checkpoint(tmp_path / "student/checkpoints/last.ckpt")
    module = build_components(request_of(tmp_path / "plain", *RUN, *synthetic)).module
    assert checkpoint["state_dict"].keys() == module.state_dict().keys()
    assert (
        not any(parameter.requires_grad for parameter in network.parameters())
        or network.conv1.weight.grad is None
    )
    assert alexnet.load_run(tmp_path / "student").result["status"] == "completed"


@pytest.mark.slow
def test_resumed_and_on_two_devices(train: Train, synthetic: tuple[str, ...]) -> None:
    small = (*RUN, *synthetic, "trainer.precision=64-true", "data.augment.mixup.alpha=0.4")
    assert train(*small, "run_folder=teacher").status == 0
    command = (*small, "loss=distillation", "loss.teacher=teacher", "trainer.max_epochs=2")
    for arguments in (
        (*command, "run_folder=whole"),
        (*command, "run_folder=two", "trainer.devices=2"),
        (*command, "run_folder=columns", "model.columns=2"),
        (*command, "run_folder=divided", "model.columns=2", "trainer.devices=2", "strategy=model_parallel"),
        (*command, "run_folder=again", "trainer.max_epochs=1"),
        ("resume=again", "trainer.max_epochs=2"),
        ("-m", *command, "seed=0,1", "trainer.max_epochs=1"),
    ):
        done = train(*arguments)
        assert done.status == 0, done.err
        root = done.outputs.parent
    found = {name: read_csv_columns(root / f"{name}/metrics.csv") for name in ("whole", "two", "again")}
    for name in ("two", "again"):
        assert found[name]["train/loss"] == found["whole"]["train/loss"]
    columns, divided = (read_csv_columns(root / f"{name}/metrics.csv") for name in ("columns", "divided"))
    assert columns["train/loss"] == divided["train/loss"]
    ours, theirs = (read_checkpoint(root / f"{name}/checkpoints/last.ckpt") for name in ("again", "whole"))
    for name, weight in theirs["state_dict"].items():
        assert torch.equal(ours["state_dict"][name], weight)


def test_mistakes(tmp_path: Path, synthetic: tuple[str, ...]) -> None:
    for typed, told in (
        ((), "loss.teacher is not set: expected a run folder"),
        (("loss.teacher=torchvision:resnt18",), "loss.teacher=torchvision:resnt18: not among torchvision's"),
        ((f"loss.teacher={tmp_path}",), "is not a run folder"),
        ((f"loss.teacher={tmp_path}/no.ckpt",), "there is no such checkpoint"),
    ):
        with pytest.raises(UserError, match=told.replace("(", r"\(")) as raised:
            train(request_of(tmp_path / "run", *RUN, *synthetic, "loss=distillation", *typed))
        assert "\n" not in str(raised.value)
        assert not (tmp_path / "run").exists()


def test_a_run_s_configuration_downloads_nothing_unasked(
    tmp_path: Path, synthetic: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "torchvision:resnet18"
    typed = (*RUN, *synthetic, "loss=distillation", f"loss.teacher={source}")
    downloaded: list[Any] = []

    def download(config: Any) -> Any:
        downloaded.append(config.name)
        raise UserError("not today")

    monkeypatch.setattr("alexnet.runs.trained_model._download", download)
    resumed = replace(request_of(tmp_path, *typed, previous=tmp_path), overrides=[f"resume={tmp_path}"])
    with pytest.raises(UserError, match=f"has to be downloaded. .* variable ALEXNET_TEACHER={source}"):
        build_components(resumed)
    assert downloaded == []
    monkeypatch.setenv("ALEXNET_TEACHER", source)
    with pytest.raises(UserError, match="not today"):
        build_components(resumed)
    assert downloaded == ["resnet18"]


def test_published_networks_teach_the_classes_of_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ImageNet's 1000; torch's generator is left alone."""
    weights = TorchvisionNetwork(
        teachers.TorchvisionConfig("torchvision", "resnet18", 224, None, [], [1, 1, 1]), 1000
    )
    monkeypatch.setattr("alexnet.runs.trained_model._download", lambda config: weights.net.state_dict())
    state = torch.get_rng_state()
    crops = Crops(torch.zeros(3, 64, 64), 0)
    teacher = load_teacher("torchvision:resnet18", ["n01440764", "n03888257"], crops)
    assert torch.equal(torch.get_rng_state(), state)
    image = torch.rand(1, 3, 64, 64) * 255
    mean = torch.tensor([123.675, 116.28, 103.53])[:, None, None]
    std = torch.tensor([58.395, 57.12, 57.375])[:, None, None]
    with torch.no_grad():
        expected = weights.net.eval()((resize(image, [224, 224], antialias=True) - mean) / std)
    torch.testing.assert_close(teacher.logits(image), expected[:, [0, 701]], rtol=1e-3, atol=1e-3)
