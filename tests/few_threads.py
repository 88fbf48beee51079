"""Importing this before NumPy and torch leaves a test's process one thread for its arithmetic.

Test processes share the cores, and idle threads that spin took half of the suite's time. A stage
that a test starts sets its own number of threads.
"""

import os

for _library in ("OMP", "OPENBLAS"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")
