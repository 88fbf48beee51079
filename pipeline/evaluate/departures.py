"""How a study's evaluation differs from the paper's, where the paper tells its own; in words.

Each stage says what it knows: eval_sets what it left out of a published set, dedup what it did to
the corpus, this module how the models are asked. Whoever sets a number beside the paper's shows it.
"""

from __future__ import annotations

from pipeline.eval_sets.eval_set import EvalSet
from pipeline.evaluate.session import Session

_CONTEXT = 1024
_SUMMARY_TOKENS = 100


def departures(session: Session, eval_set: EvalSet, *, scored: int, prepared: int) -> list[str]:
    """What of the paper's protocol a set was not scored by; empty where all is the paper's.

    Args:
        session: the model and the parameters.
        eval_set: what was scored.
        scored: examples behind the numbers.
        prepared: examples that the eval_sets stage made, or documents that there are to draw from.
    """
    params = session.params
    strides = {"running_text": params.strides[0], "documents": params.figure4_stride}
    stride = strides.get(eval_set.scoring, session.context)
    found = []
    if session.context != _CONTEXT:
        found.append(f"a context of {session.context:,} tokens (the paper: {_CONTEXT:,})")
    if stride != session.context:
        found.append(f"a window that moves by {stride:,} tokens (the paper does not tell)")
    if eval_set.scoring == "summary" and params.summary_tokens != _SUMMARY_TOKENS:
        found.append(f"{params.summary_tokens} new tokens (the paper: {_SUMMARY_TOKENS})")
    if changes := getattr(session.tokenizer, "changes", ""):
        found.append(f"a tokenizer that changes texts before it reads them ({changes})")
    if scored < prepared and eval_set.scoring == "documents":
        found.append(f"{scored:,} of {prepared:,} documents (the paper does not tell how many)")
    elif scored < prepared:
        found.append(f"texts for {scored:,} of {prepared:,} examples")
    return found
