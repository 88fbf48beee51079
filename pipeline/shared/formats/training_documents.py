"""`documents.parquet` beside a model: what it was trained on. The sole owner of that format.

Whatever says "train" of a model (Figure 4, Table 6, Figure 5, clean subsets) means these documents.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.shared.errors import REMAKE, CorruptDataError
from pipeline.shared.files import open_atomic
from pipeline.shared.formats.token_shards import TokenSplit

NAME = "documents.parquet"


def write_training_documents(folder: Path, text: TokenSplit) -> None:
    """Write the `id` of each document of the training text, and its `tokens`, in its order."""
    lengths = {document.id: len(document.tokens) for document in text.documents()}
    table = pa.table({
        "id": pa.array(lengths.keys(), pa.string()),
        "tokens": pa.array(lengths.values(), pa.int64()),
    })
    with open_atomic(folder / NAME) as file:
        pq.write_table(table, file, compression="zstd")


def read_training_documents(folder: Path) -> list[str]:
    """The ids of the documents that the model in `folder` was trained on, in their order.

    Raises:
        CorruptDataError: the file is missing or damaged.
    """
    path = folder / NAME
    try:
        ids: list[str] = pq.read_table(path, columns=["id"])["id"].to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise CorruptDataError(
            f"{path}: does not say what the model was trained on ({error}); {REMAKE}"
        ) from None
    return ids
