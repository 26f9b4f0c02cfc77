"""Studies: what is compared with what, how the pilot chooses, and the record that a study leaves.

This package imports neither torch nor Hydra: a sweeper runs what it plans, compare.py reads what it records.
"""
