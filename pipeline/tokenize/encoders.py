"""From texts to ids: by tiktoken, or by gigatoken, several times as fast and checked against it.

Ids go from the encoder's memory into arrays: as Python integers they would take 36 bytes each and
as much time again as tiktoken itself.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.shared.errors import UserError
from pipeline.shared.formats.tokenizer import Tokenizer, load_tokenizer

Ids = npt.NDArray[np.uint32]


@functools.lru_cache(maxsize=1)
def cached_tokenizer(folder: Path, sha256: str) -> Tokenizer:
    """The tokenizer of a folder, loaded once in a process; its hash tells studies apart."""
    tokenizer = load_tokenizer(folder)
    assert tokenizer.sha256 == sha256, f"{folder} changed while its stage ran"
    return tokenizer


def encode_by_tiktoken(
    tokenizer: Tokenizer, texts: Sequence[str], *, num_threads: int
) -> list[Ids]:
    """The ids of each text; <|endoftext|> written in it is text like any other."""
    encode = functools.partial(tokenizer.encoding.encode_to_numpy, disallowed_special=())
    if num_threads == 1:
        return [encode(text) for text in texts]
    with ThreadPoolExecutor(num_threads) as threads:
        return list(threads.map(encode, texts))


def encode_by_gigatoken(
    folder: Path, sha256: str, texts: Sequence[str], *, num_threads: int
) -> list[Ids]:
    """The same by gigatoken, for the tokenizer in `folder`.

    Raises:
        UserError: gigatoken is not installed.
    """
    layout = _gigatoken(folder, sha256).encode_batch(list(texts), parallel=num_threads > 1).layout
    ids, ends = np.asarray(layout.content.data), np.asarray(layout.offsets.data)
    return np.split(ids[: ends[-1]], ends[1:-1]) if texts else []


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
