"""A sweep: many runs, each a process of its own, as many at a time as there are devices.

Imports neither torch nor Lightning: the process that watches the others stays small.
"""
