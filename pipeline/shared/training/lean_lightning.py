"""Importing this imports Lightning without torchmetrics, whose metrics no training here logs.

Lightning imports all of torchmetrics for the names of two classes, and torchmetrics imports scipy,
matplotlib and transformers wherever they are installed: half of what a training's imports cost.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from types import ModuleType

from torch import nn

_NAME = "torchmetrics"


@contextmanager
def _stand_in() -> Iterator[None]:
    """While this lasts, `import torchmetrics` finds two empty classes; afterwards the package."""
    if _NAME in sys.modules:
        yield
        return
    module = ModuleType(_NAME)
    names = ("Metric", "MetricCollection")
    vars(module).update({name: type(name, (nn.Module,), {}) for name in names})
    vars(module)["__version__"] = version(_NAME)  # Lightning asks how old it is
    sys.modules[_NAME] = module
    try:
        yield
    finally:
        del sys.modules[_NAME]


with _stand_in():
    import lightning.pytorch  # noqa: F401 - whoever imports it next finds it there
