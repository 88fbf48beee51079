"""Tokenizers to compare, each a process of its own.

A contender holds the texts in memory before its clock starts, encodes them at every line of its
input and answers with seconds and a hash of all ids; figure4's stage is timed as a whole, from the
start of its process, shards read and written.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from pipeline.shared.formats.documents import read_documents
from pipeline.shared.formats.tokenizer import load_tokenizer

Encode = Callable[[], Iterable[object]]


def _tiktoken(folder: Path, texts: list[str], threads: int) -> Encode:
    encoding = load_tokenizer(folder).encoding
    return lambda: encoding.encode_ordinary_batch(texts, num_threads=threads)


def _tokenizers(folder: Path, texts: list[str], threads: int) -> Encode:
    from tokenizers import ByteLevelBPETokenizer

    names = [str(folder / name) for name in ("vocab.json", "merges.txt")]
    encoder = ByteLevelBPETokenizer(*names)
    return lambda: [encoding.ids for encoding in encoder.encode_batch(texts)]


def _gigatoken(folder: Path, texts: list[str], threads: int) -> Encode:
    from gigatoken import Tokenizer

    encoder = Tokenizer.from_tiktoken(folder / "ranks.tiktoken", pretokenizer="gpt2")
    return lambda: encoder.encode_batch(texts, parallel=threads > 1)


CONTENDERS = {"tiktoken": _tiktoken, "tokenizers": _tokenizers, "gigatoken": _gigatoken}


def main() -> None:
    """Encode once for every line of the input."""
    parser = argparse.ArgumentParser()
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("--documents", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    texts = [document.text for document in read_documents(arguments.documents)]
    encode = CONTENDERS[arguments.contender](arguments.tokenizer, texts, arguments.threads)
    for _ in sys.stdin:
        started_s = time.perf_counter()
        ids = encode()
        seconds = time.perf_counter() - started_s
        print(json.dumps({"seconds": seconds, "sha256": hash_ids(ids)}), flush=True)


def hash_ids(documents: Iterable[object]) -> str:
    """SHA-256 over the ids of all documents, in order."""
    digest = hashlib.sha256()
    for ids in documents:
        digest.update(np.asarray(ids, np.uint16).tobytes() + b"|")
    return digest.hexdigest()


if __name__ == "__main__":
    main()
