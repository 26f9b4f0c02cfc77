"""Augmentations with keys of their own, off by default: one module each. None imports torch at its top."""
