"""Columns on devices, exchanges between ranks, and the detection of lost ranks."""
