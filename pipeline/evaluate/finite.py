"""A model whose losses are no finite numbers has no score: one line says where they come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipeline.evaluate.session import Session
from pipeline.shared.errors import UserError


def require_finite(session: Session, losses: npt.ArrayLike, tokens: npt.ArrayLike) -> None:
    """Stop at a loss that is infinite or NaN; `tokens` are what the model was given.

    Raises:
        UserError: naming the first module whose result is none.
    """
    if np.isfinite(losses).all():
        return
    raise UserError(
        f"the model's losses are not finite: {_first_module(session, tokens)} is the first whose "
        f"result is infinite or NaN, on a text of {np.size(tokens):,} tokens; give weights from "
        "before the training diverged"
    )


@torch.inference_mode()
def _first_module(session: Session, tokens: npt.ArrayLike) -> str:
    found: list[str] = []

    def watch(name: str) -> Callable[[Any, Any, Any], None]:
        def look(module: Any, inputs: Any, output: Any) -> None:
            if not found and isinstance(output, Tensor) and not output.isfinite().all():
                found.append(name)

        return look

    modules = [(name, module) for name, module in session.model.named_modules() if name]
    hooks = [module.register_forward_hook(watch(name)) for name, module in modules]
    try:
        with session.autocast():
            session.model(torch.tensor(np.asarray(tokens)[None], device=session.device))
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else "the head"
