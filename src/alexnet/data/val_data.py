"""The validation images alone, for evaluations."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from alexnet.config import DataConfig
from alexnet.data.dataset import ImageDataset, names_hash
from alexnet.data.image_list import fingerprint
from alexnet.data.labels import ClassMatcher
from alexnet.data.listing import list_images
from alexnet.data.loading import open_data
from alexnet.data.locations import require_root
from alexnet.errors import UserError
from alexnet.terminal import console


@dataclass(frozen=True)
class ValData:
    """The validation images alone: readable ones only.

    `excluded` maps the path of every validation file set aside to the reason; `unreadable` counts those of
    them that did not decode; `listed` counts the images of the whole data set, including those for training.
    `fingerprint` is a hash of every image's name and class, the same for files and for a pack.
    """

    classes: tuple[str, ...]
    images: ImageDataset
    excluded: dict[str, str]
    unreadable: int
    listed: int
    fingerprint: str
    origin: str

    def with_classes(self, classes: Sequence[str]) -> "ValData":
        """Return the images with the labels of `classes`, which may differ in Unicode form, case and order.

        Returns the same images where the classes are others.
        """
        matcher = ClassMatcher(classes)
        labels = [matcher.label(name) for name in self.classes]
        if list(classes) == list(self.classes) or set(labels) != set(range(len(classes))):
            return self
        self.images.labels = np.array(labels, np.int64)[self.images.labels]
        names = tuple(classes)
        console.print(f"The classes of {self.origin} are the network's in another form.", markup=False)
        return replace(self, classes=names, fingerprint=names_hash(self.images, names))


def load_val_data(config: DataConfig, *, whole: bool = False) -> ValData:
    """Load the validation images. Raises `UserError` for what the user has to correct.

    With `whole` all images are taken if there is no folder of validation images. The training images, which
    define the classes, are only listed: decoding a million of them for their statistics would take hours.
    """
    data = open_data(config, ("val",), whole=whole)
    assert data.unreadable is not None  # they have been scanned
    key = names_hash(data.val, data.classes)
    origin = f"{data.origin} ({data.val_source})" if whole and data.val_source else data.origin
    return ValData(data.classes, data.val, data.excluded, data.unreadable, data.listed, key, origin)


def holds_images(config: DataConfig, key: str, excluded: Collection[str]) -> bool:
    """Return whether class folders hold, without `excluded`, the images whose fingerprint is `key`.

    False for data that is no class folders, or cannot be trained on.
    """
    if config.fetched or not require_root(config).is_dir():
        return False
    try:
        listing = list_images(config, require_root(config))
    except UserError:
        return False
    splits = (listing.train, listing.val)
    kept = [
        split.without([row for row in range(len(split)) if split.path(row) in excluded]) for split in splits
    ]
    return key.startswith(fingerprint(*kept))
