"""Any folder of images with a subfolder for each class."""

from dataclasses import dataclass

from alexnet.config.data import DataConfig, register_data


@register_data("folder")
@dataclass
class FolderConfig(DataConfig):
    """Images of the user, in class folders."""
