"""Errors of trained networks on validation images, beside published ones."""
