"""From texts to ids: by tiktoken, or by gigatoken, several times as fast and checked against it.

Ids go from the encoder's memory into arrays: as Python integers they would take 36 bytes each and
as much time again as tiktoken itself.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.shared.errors import UserError
from pipeline.shared.formats.tokenizer import Tokenizer, load_tokenizer


class Encoded(NamedTuple):
    """The ids of several texts, one after the other."""

    ids: npt.NDArray[np.uint32]
    lengths: npt.NDArray[np.int64]
    """How many are each text's."""

    def of(self, number: int) -> npt.NDArray[np.uint32]:
        """The ids of one text."""
        start = int(self.lengths[:number].sum())
        return self.ids[start : start + self.lengths[number]]


@functools.lru_cache(maxsize=1)
def cached_tokenizer(folder: Path, sha256: str) -> Tokenizer:
    """The tokenizer of a folder, loaded once in a process; its hash tells studies apart."""
    tokenizer = load_tokenizer(folder)
    assert tokenizer.sha256 == sha256, f"{folder} changed while its stage ran"
    return tokenizer


def encode_by_tiktoken(tokenizer: Tokenizer, texts: Sequence[str], *, num_threads: int) -> Encoded:
    """The ids of the texts; <|endoftext|> written in one is text like any other."""
    encode = functools.partial(tokenizer.encoding.encode_to_numpy, disallowed_special=())
    if num_threads == 1:
        found = [encode(text) for text in texts]
    else:
        with ThreadPoolExecutor(num_threads) as threads:
            found = list(threads.map(encode, texts))
    lengths = np.fromiter(map(len, found), np.int64, len(found))
    return Encoded(np.concatenate(found) if found else np.empty(0, np.uint32), lengths)


def encode_by_gigatoken(
    folder: Path, sha256: str, texts: pa.StringArray, *, num_threads: int
) -> Encoded:
    """The same by gigatoken, for the tokenizer in `folder`; it reads Arrow's own memory.

    Raises:
        UserError: gigatoken is not installed.
    """
    tokenizer = _gigatoken(folder, sha256)
    import awkward  # comes with gigatoken

    strings = awkward.from_arrow(texts.cast(pa.large_string()))  # offsets of 64 bits, no copy
    layout = tokenizer.encode_batch(strings, parallel=num_threads > 1).layout
    ends = np.asarray(layout.offsets.data).astype(np.int64)
    return Encoded(np.asarray(layout.content.data)[: ends[-1]], np.diff(ends))


@functools.lru_cache(maxsize=1)
def _gigatoken(folder: Path, sha256: str) -> Any:
    try:
        from gigatoken import Tokenizer as GigatokenTokenizer
    except ImportError:
        raise UserError(
            "params.yaml: tokenize.encoder = gigatoken needs the package gigatoken; "
            "pip install -c constraints.txt -e '.[fast]', or set tiktoken"
        ) from None
    return GigatokenTokenizer.from_tiktoken(folder / "ranks.tiktoken", pretokenizer="gpt2")
