"""Importing this, before NumPy and torch, makes a test's process what the tests take it to be.

- It has one thread for its arithmetic: test processes share the cores, and idle threads that spin
  took half of the suite's time. A stage that a test starts sets its own number of threads.
- SIGINT is not ignored. A shell that is no terminal starts what it puts into the background with
  SIGINT ignored, and so would be all that a test starts and interrupts.
"""

import os
import signal

for _library in ("OMP", "OPENBLAS"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")
signal.signal(signal.SIGINT, signal.default_int_handler)
