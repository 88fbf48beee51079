"""Python's search for garbage in cycles, held off while millions of small objects are made.

Syntax trees and pages have no cycles, or few: counting references frees them. By default Python
looks through all that is alive each time some hundreds more objects are.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_MOST_NEW_OBJECTS = 200_000  # about 20 MB, of docutils' documents, which do have cycles


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Look for garbage seldom; usable as a decorator."""
    before = gc.get_threshold()
    gc.set_threshold(_MOST_NEW_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
