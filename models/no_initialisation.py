"""Modules built without first values of their weights, where others take their place anyway.

To draw them costs time twice, and on the meta device, which has no memory for them, torch imports
its compiler to do so: a second of every start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class NoInitialisation(TorchFunctionMode):
    """A context in which torch.nn.init draws nothing: weights are memory not yet written."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Whatever torch is asked for, but for values drawn into a tensor."""
        if getattr(func, "__module__", None) == torch.nn.init.__name__:
            return None
        return func(*args, **(kwargs or {}))
