"""Importing this imports Lightning without two packages of which no training here uses anything.

For the names of three classes Lightning imports all of torchmetrics, which imports scipy,
matplotlib and transformers wherever they are installed, and torch's compiler: most of what its
import costs.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from types import ModuleType
from typing import Any

from torch import nn


@contextmanager
def _stand_in(package: str, names: Mapping[str, Any]) -> Iterator[None]:
    """While this lasts, importing `package` finds these names; afterwards the package itself."""
    if package in sys.modules:
        yield
        return
    module = ModuleType(package)
    vars(module).update(names)
    sys.modules[package] = module
    try:
        yield
    finally:
        del sys.modules[package]


def _classes(*names: str) -> dict[str, type]:
    return {name: type(name, (nn.Module,), {}) for name in names}


_METRICS = {
    **_classes("Metric", "MetricCollection"),
    "__version__": version("torchmetrics"),  # Lightning asks how old it is
}
# For a whole model that is compiled, which Lightning unwraps; here each block is, in its place.
_COMPILER = {**_classes("OptimizedModule"), "disable": lambda function, *_, **__: function}

with _stand_in("torchmetrics", _METRICS), _stand_in("torch._dynamo", _COMPILER):
    import lightning.pytorch  # noqa: F401 - whoever imports it next finds it there
