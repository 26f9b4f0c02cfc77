"""Metrics of a split: losses, errors and numbers of images, over all ranks."""
