"""Sweeps: many runs, each a process of its own, as many at a time as there are devices.

This package imports neither torch nor Lightning, so that the process that watches the others stays small.
"""
