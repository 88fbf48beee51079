"""Figure 5's texts: how the model goes on with contexts from the test split, and what really came.

The overlap stage measures how much of either is in the training text.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pipeline.evaluate.continuation import Prompt, continue_prompts
from pipeline.evaluate.documents import choose_documents
from pipeline.evaluate.session import Session
from pipeline.files import open_atomic


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
    generated = continue_prompts(
        session,
        [Prompt(tokens, cut=False) for tokens in contexts],
        new_tokens=num_new,
        top_k=params.figure5_top_k,
    )
    decode = session.tokenizer.decode
    real = [document.tokens[num_context : num_context + num_new].tolist() for document in documents]
    table = pd.DataFrame({
        "id": [document.id for document in documents],
        "context": [decode(tokens) for tokens in contexts],
        "completion": [decode(tokens) for tokens in real],
        "sample": [decode(continuation.tokens) for continuation in generated],
    })
    with open_atomic(path) as file:
        table.astype("string[pyarrow]").to_parquet(file, compression="zstd", index=False)
    return len(table)
