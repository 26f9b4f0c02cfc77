"""ILSVRC-2012, in any of its forms."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alexnet.config.data import DataConfig, register_data

if TYPE_CHECKING:
    from alexnet.data.image_list import ImageList
    from alexnet.data.walk import Walk


@register_data("imagenet")
@dataclass
class ImageNetConfig(DataConfig):
    """The user's copy of ImageNet."""

    def list_files(self, walk: "Walk") -> "tuple[ImageList, ImageList]":
        from alexnet.data.imagenet import list_imagenet

        return list_imagenet(walk)

    def describe_gaps(self, train: "ImageList", val: "ImageList") -> str | None:
        from alexnet.data.imagenet import completeness

        return completeness(train, val)
