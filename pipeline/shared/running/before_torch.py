"""Importing this before torch sets what a process can be told only at its start.

Measured with GPT-2s of 40 thousand to 700 thousand parameters on 2 cores, torch 2.13:

- Idle OpenMP threads sleep instead of spinning. Spinning threads burn the core that the thread
  they wait for has lost: beside one other busy process, trainings took up to ten times longer.
- Freed memory is kept for the next tensor. By default glibc returns each large block to the
  system, and getting it back page by page was a tenth to a third of a training's time.
- Tensors of 2 MiB and more lie on huge pages, where Linux lets a program ask for them: 100 MB seen
  for the first time took 24 ms, and 137 ms on pages of 4 KiB.
"""

import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGEST_BLOCK = 32 * 2**20  # the most that glibc allows for the latter
_KEPT_FREE = 512 * 2**20

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # a user's own choice stays
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # torch's own name for huge pages
if sys.platform == "linux":
    _libc = ctypes.CDLL(None)
    if hasattr(_libc, "mallopt"):  # glibc's, not every libc's
        _libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_BLOCK)
        _libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE)
