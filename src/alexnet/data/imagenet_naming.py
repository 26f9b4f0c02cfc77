"""ImageNet's own names of classes and images, in archives that others made."""

import re
from collections import defaultdict

from alexnet.data.archives import Naming
from alexnet.data.imagenet_classes import CLASSES, class_names, ids
from alexnet.data.npz_batches import NPZ_BATCHES
from alexnet.data.samples import ArchiveContent, ArchiveForm, Label
from alexnet.errors import UserError

OFFICIAL_NAME = re.compile(
    r"(?P<folder>.*/|)(?P<stem>(?P<own>n\d{8})_\d+|ILSVRC2012_val_\d{8})(_(?P<added>n\d{8}))?\.\w+"
)


class ImageNetNaming(Naming):
    """The wnids of ImageNet's classes, and the official names of its images, in archives of others.

    Numbers are in the order of the wnids, except those of the npz batches: they are ILSVRC2012_IDs, from 1.
    """

    def __init__(self) -> None:
        self.wnids = list(class_names())
        words: dict[str, list[str]] = defaultdict(list)
        for wnid, text in class_names().items():
            words[text].append(wnid)
            words[wnid].append(wnid)
        self._known = {text: wnids[0] for text, wnids in words.items() if len(wnids) == 1}

    def class_of(self, label: Label, content: ArchiveContent, form: ArchiveForm) -> str:
        if isinstance(label, str) or content.class_names is not None:
            return self._of_name(label, super().class_of(label, content, form), content)
        wnids, first = (ids(), 1) if form is NPZ_BATCHES else (self.wnids, 0)
        if not first <= label < first + len(wnids):
            raise UserError(f"label {label} is not one of ImageNet's, {first} to {first + len(wnids) - 1}.")
        return wnids[label - first]

    def _of_name(self, label: Label, name: str, content: ArchiveContent) -> str:
        """Return the wnid of a class by its name, or by its number where all thousand are in order."""
        if (wnid := self._known.get(name)) is not None:
            return wnid
        names = content.class_names or ()
        if isinstance(label, int) and self._in_order(names):
            return self.wnids[label]
        raise UserError(f"'{name}' is not one of ImageNet's 1,000 classes. For other classes: data=folder.")

    def _in_order(self, names: tuple[str, ...]) -> bool:
        """Return whether names are ImageNet's in the order of the wnids, though not all in the same words."""
        if len(names) != CLASSES:
            return False
        own = [self._known.get(name) for name in names]
        known = [wnid == right for wnid, right in zip(own, self.wnids, strict=True) if wnid is not None]
        return all(known) and len(known) > CLASSES / 2

    def image_name(self, name: str, class_name: str) -> str:
        """Return n01440764_18.JPEG for n01440764_18.jpg, and n01440764_18_n01440764.JPEG (Hugging Face's)."""
        if (official := OFFICIAL_NAME.fullmatch(name)) is None:
            return name
        if any(wnid not in (None, class_name) for wnid in official.group("own", "added")):
            raise UserError(f"its label is that of {class_name}.")
        return f"{official['folder']}{official['stem']}.JPEG"
