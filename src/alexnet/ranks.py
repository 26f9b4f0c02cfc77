"""The rank of this process, as torchrun, srun, mpirun or Lightning tell it in environment variables.

Imports nothing but `os`: it is read before anything is printed. Whether the variables are right is checked in
runs/launcher.py.
"""

import os


def process_rank() -> int:
    """Return the rank of this process; 0 for the first and for one that was started without a launcher."""
    return max(number_in(name) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))


def local_rank() -> int:
    """Return the rank of this process among those of the run on its machine."""
    return max(number_in(name) for name in ("LOCAL_RANK", "SLURM_LOCALID"))


def number_in(name: str, default: int = 0) -> int:
    """Return the whole number in a variable; -1 for what is none."""
    value = os.environ.get(name, str(default))
    return int(value) if value.isdecimal() else -1
