"""Figure 5's texts: how the model goes on with contexts from the test split, and what really came.

The overlap stage measures how much of either is in the training text. A text ends at its
<|endoftext|>: what follows would be another document.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipeline.evaluate.continuation import Prompt, continue_prompts, text_of
from pipeline.evaluate.documents import choose_documents
from pipeline.evaluate.session import Session
from pipeline.shared.files import open_atomic


def write_samples(session: Session, folder: Path, path: Path) -> int:
    """Write `samples.parquet` (id, context, completion, sample); returns the number of rows.

    Contexts are the beginnings of test documents that are long enough, the same for every size.
    """
    params = session.params
    num_context, num_new = params.figure5_context_tokens, params.figure5_sample_tokens
    documents = choose_documents(
        session, folder, params.figure5_documents, min_tokens=num_context + num_new
    )
    contexts = [document.tokens[:num_context].tolist() for document in documents]
    samples = _continue(session, [[session.start, *tokens] for tokens in contexts])
    real = [document.tokens[num_context : num_context + num_new].tolist() for document in documents]
    table = pd.DataFrame({
        "id": [document.id for document in documents],
        "context": [text_of(session, tokens) for tokens in contexts],
        "completion": [text_of(session, tokens) for tokens in real],
        "sample": [text_of(session, tokens) for tokens in samples],
    })
    with open_atomic(path) as file:
        table.astype("string[pyarrow]").to_parquet(file, compression="zstd", index=False)
    return len(table)


def _continue(session: Session, contexts: Sequence[list[int]]) -> list[list[int]]:
    """What is sampled after each context, up to its <|endoftext|> or to the number asked for.

    A sample that is longer than the model's context is drawn in pieces, each given as much of the
    text before it as leaves room for half a context of new tokens.
    """
    params = session.params
    samples: list[list[int]] = [[] for _ in contexts]
    running = list(range(len(contexts)))
    left = params.figure5_sample_tokens
    while running and left:
        wholes = [contexts[n] + samples[n] for n in running]
        longest = max(map(len, wholes))
        fits = longest + left <= session.context + 1
        count = left if fits else min(left, session.context // 2)
        room = session.context + 1 - count  # the last new token is not read
        prompts = [Prompt(tokens[-room:], cut=len(tokens) > room) for tokens in wholes]
        generated = continue_prompts(
            session,
            prompts,
            new_tokens=count,
            top_k=params.figure5_top_k,
            stop_tokens=session.ends,
        )
        for n, continuation in zip(running, generated, strict=True):
            samples[n] += continuation.tokens
        running = [n for n in running if samples[n][-1] not in session.ends]
        left -= count
    return samples
