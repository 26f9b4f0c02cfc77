"""Evaluation of trained networks on validation images, compared with published errors."""
