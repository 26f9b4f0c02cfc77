"""Normalizations after each convolution: one module each. None imports torch at its top."""
