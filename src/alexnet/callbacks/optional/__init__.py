"""Callbacks with a key of their own, off by default: one module each. None imports torch at its top."""
