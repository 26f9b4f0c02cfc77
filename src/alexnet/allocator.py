"""Memory that a step frees and the next one takes again."""

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX of glibc's malloc.h


def keep_freed_memory() -> bool:
    """Have the C library keep this process's freed memory; True where it can (glibc).

    By default it returns each large tensor to the system when it is freed, and the system hands the next
    one out page by page, cleared: on two cores a third of AlexNet's training step. With this the pages stay
    in the process, which then holds its peak to the end, some 15% higher than it would be. To be called
    before the first large tensors; concerns tensors on the CPU only.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, -1))
