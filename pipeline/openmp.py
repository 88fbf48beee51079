"""Importing this before torch makes idle OpenMP threads sleep instead of spin.

Threads that spin while they wait for a thread that has lost its core burn the core it needs: with
one other busy process, a small model trained 4 times slower (2 cores, torch 2.13). The setting is
read once, when torch loads the OpenMP library, and a user's own choice stays.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
