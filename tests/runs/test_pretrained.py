"""Pretrained weights: from runs, checkpoints and torchvision's files."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision import models

from alexnet.errors import UserError
from alexnet.models.base import ImageClassifier
from alexnet.models.build import build_network
from alexnet.models.torchvision import IMAGENET_STD
from alexnet.runs.trained_model import load_pretrained, load_published
from alexnet.training import fit
from conftest import SMALL, model_config, request_of

TINY = ("model.width=0.0625", "model.fc_units=[32,32]")
CLASSES = tuple("abcdef")


def network(classes: int, *overrides: str) -> ImageClassifier:
    return build_network(model_config(*(overrides or TINY)), classes)


def saved(path: Path, trained: ImageClassifier, classes: tuple[str, ...]) -> str:
    weights = {f"network.{name}": value for name, value in trained.state_dict().items()}
    torch.save({"state_dict": weights, "ImageDataModule": {"classes": list(classes)}}, path)
    return str(path)


def same(one: ImageClassifier, other: ImageClassifier) -> dict[str, bool]:
    """Layer by layer: whether all weights are equal."""
    reference = other.state_dict()
    return {name: torch.equal(value, reference[name]) for name, value in one.state_dict().items()}


def test_the_same_classes_keep_every_layer(tmp_path: Path) -> None:
    source, begun = network(6), network(6)
    assert not all(same(source, begun).values())
    source_in_words = load_pretrained(begun, saved(tmp_path / "a.ckpt", source, CLASSES), CLASSES)
    assert all(same(source, begun).values())
    assert source_in_words == str(tmp_path / "a.ckpt")


@pytest.mark.parametrize("classes", [tuple("abc"), tuple("abcdeg"), tuple("bacdef")])
def test_other_classes_keep_all_but_the_last_layer(tmp_path: Path, classes: tuple[str, ...]) -> None:
    """As many classes that are others, or in another order, are other classes, too."""
    source, begun = network(6), network(len(classes))
    fresh = begun.get_parameter("fc8.weight").clone()
    source_in_words = load_pretrained(begun, saved(tmp_path / "a.ckpt", source, CLASSES), classes)
    assert "except fc8" in source_in_words
    reference = source.state_dict()
    for name, value in begun.state_dict().items():
        assert name.startswith("fc8") or torch.equal(value, reference[name])
    assert torch.equal(begun.get_parameter("fc8.weight"), fresh)


def test_torchvisions_file_of_its_alexnet(tmp_path: Path) -> None:
    """Equal outputs, the reference for images of unit variance and actual for 0-255 less the mean."""
    torch.manual_seed(0)
    reference = models.alexnet(weights=None).double().eval()
    torch.save(reference.state_dict(), tmp_path / "alexnet.pth")
    config = model_config("model=alexnet_torchvision")
    published = load_published(config, str(tmp_path / "alexnet.pth"), 256)
    assert len(published.classes) == 1000 and published.classes[0] == "n01440764"
    assert published.class_names[0].startswith("tench")
    squares = torch.randint(0, 256, (2, 3, 256, 256), dtype=torch.uint8)
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    reference_images = (squares[..., 16:240, 16:240].double() / 255 - mean) / std
    actual = published.network(published.crops.center(squares))
    torch.testing.assert_close(actual.double(), reference(reference_images), rtol=1e-3, atol=1e-5)


def test_a_file_without_names_of_classes(tmp_path: Path) -> None:
    """As many classes are taken to be the same; of another number, the last layer is not loaded."""
    theirs = models.alexnet(num_classes=7)
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    for classes, kept in ((7, True), (3, False)):
        begun = network(classes, "model=alexnet_torchvision")
        said = load_pretrained(begun, str(tmp_path / "weights.pth"), ())
        assert ("except fc8" not in said) is kept
        assert torch.equal(begun.get_parameter("fc7.weight"), theirs.classifier[4].weight)


def test_torchvisions_file_of_another_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    reference = models.squeezenet1_1(weights=None, num_classes=7).double().eval()
    torch.save(reference.state_dict(), tmp_path / "squeezenet.pth")
    named = ("model=torchvision", "model.name=squeezenet1_1", "model.image_size=64")
    begun = network(7, *named).double().eval()
    load_pretrained(begun, str(tmp_path / "squeezenet.pth"), tuple("abcdefg"))
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64) * 50
    std = torch.tensor(IMAGENET_STD).double().reshape(3, 1, 1)
    torch.testing.assert_close(begun(images), reference(images / std))
    assert "except net.classifier.1" in load_pretrained(
        network(3, *named), str(tmp_path / "squeezenet.pth"), CLASSES
    )


def test_mistakes(tmp_path: Path) -> None:
    other = saved(tmp_path / "other.ckpt", network(6, "model.width=0.125", "model.fc_units=[32,32]"), CLASSES)
    content = torch.load(other)
    wider, vgg = str(tmp_path / "wider.ckpt"), str(tmp_path / "vgg.ckpt")
    own = {"name": "alexnet", "width": 0.125, "fc_units": [32, 32], "activation": "relu", "pretrained": "a"}
    torch.save(content | {"config": {"model": own}}, wider)
    torch.save(content | {"config": {"model": {"name": "vgg16"}}}, vgg)
    torch.save(models.squeezenet1_1().state_dict(), tmp_path / "squeezenet.pth")
    torch.save({"epoch": 3}, tmp_path / "nothing.pt")
    begun = network(6, "model.width=0.0625", "model.fc_units=[16,32]")
    before = {name: value.clone() for name, value in begun.state_dict().items()}
    for source, message in (
        (str(tmp_path), "is not a run folder"),
        (str(tmp_path / "none.ckpt"), "there is no such checkpoint"),
        (other, r"is from another network: conv1.bias is 12 there, but 6 here\.$"),
        (wider, r"6 here\. To build its network: model\.width=0\.125 model\.fc_units=\[32,32\]\.$"),
        (vgg, r"is from another network: .* To build its network: model=vgg16\.$"),
        (str(tmp_path / "squeezenet.pth"), "is from another network: alexnet has no features.3.squeeze"),
        (str(tmp_path / "nothing.pt"), "contains no weights"),
        ("torchvision", "publishes no weights for alexnet. Choose model=alexnet_torchvision"),
    ):
        with pytest.raises(UserError, match=message):
            load_pretrained(begun, source, CLASSES)
    assert all(torch.equal(value, before[name]) for name, value in begun.state_dict().items())


def test_published_weights_of_other_classes(tmp_path: Path) -> None:
    torch.save(models.squeezenet1_1(num_classes=7).state_dict(), tmp_path / "seven.pth")
    named = model_config("model=torchvision", "model.name=squeezenet1_1", "model.image_size=64")
    with pytest.raises(UserError, match=r"has 7 classes, not ImageNet's 1,000.*model\.pretrained="):
        load_published(named, str(tmp_path / "seven.pth"), 72)


def test_weights_that_cannot_be_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: Any, **__: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(models, "get_model", fetch)
    with pytest.raises(UserError, match=r"could not be downloaded \(OSError: no route to host\)\. Download"):
        load_pretrained(network(5, "model=alexnet_torchvision", "model.width=0.0625"), "torchvision", CLASSES)


def test_fine_tuning(synthetic: tuple[str, ...], image_tree: Path, tmp_path: Path) -> None:
    """A run's weights in a run on two other classes: layers that are frozen stay bit by bit."""
    frozen = ("conv1", "conv2", "conv3")
    first, second = tmp_path / "first", tmp_path / "second"
    cache = f"data.cache={tmp_path / 'cache'}"
    fit.train(request_of(first, *SMALL, *synthetic, cache, "logger=csv"))
    other_data = (f"data.root={image_tree}", "data=folder", "data.batch_size=4", "logger=csv", cache)
    begun = (f"model.pretrained={first}", f"model.freeze=[{','.join(frozen)}]")
    fit.train(request_of(second, *SMALL, *other_data, *begun))
    log = (second / "train.log").read_text()
    assert re.search(r"Weights +initialized from .*best.ckpt, except fc8: its classes differ", log)
    assert "Frozen    conv1, conv2, conv3" in log
    weights = (first / "checkpoints" / "best.ckpt", second / "checkpoints" / "last.ckpt")
    reference, actual = (torch.load(path, weights_only=True)["state_dict"] for path in weights)
    for name, value in actual.items():
        kept = name.split(".")[1] in frozen
        assert value.shape[0] != reference[name].shape[0] or torch.equal(value, reference[name]) == kept, name
    (first / "checkpoints" / "best.ckpt").unlink()  # a resumed run does not need it any more
    (first / "checkpoints" / "last.ckpt").unlink()
    fit.train(request_of(second, *SMALL, *other_data, *begun, "trainer.max_epochs=3", previous=second))
    assert len((second / "metrics.csv").read_text().splitlines()) == 4
