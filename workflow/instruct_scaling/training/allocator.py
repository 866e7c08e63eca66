"""Keeping freed memory in the process. glibc hands every large block back to the system when a
tensor dies and gets it back page by page; on a CPU that took a fifth of a step's time."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from malloc.h
LARGEST_BLOCK = 2**30  # larger ones still go straight to the system and back


def keep_freed_memory() -> None:
    """For the rest of this process; does nothing where the C library is not glibc."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_BLOCK)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
