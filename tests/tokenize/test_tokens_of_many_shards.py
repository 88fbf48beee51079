"""More shards than a process may have files open, as the system grants them unasked."""

from __future__ import annotations

import multiprocessing
import resource
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from made_documents import make_documents
from stage_runs import write_shards

from pipeline.shared.formats.documents import list_shards
from pipeline.shared.running.shard_memory import Memory
from pipeline.tokenize.encode import EncodedCorpus, EncodeShard
from pipeline.tokenize.train_bpe import train_tokenizer

SHARDS = 100
GRANTED, MOST = 50, 160
"""Files: fewer than there are shards, and enough for one a shard."""


def gather_with_few_files(indexes: list[Path]) -> dict[str, list[int]]:
    """Tokens by document, in a process that may have so few files open."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (GRANTED, MOST))
    corpus = EncodedCorpus(indexes)
    return {d.id: d.tokens.tolist() for d in corpus.read(corpus.of_split((0, 2**64)))}


def test_a_split_is_gathered_from_shards_by_the_hundred(tmp_path: Path) -> None:
    pages = make_documents(SHARDS)
    tokenizer = train_tokenizer((page.text for page in pages), vocab_size=300)
    tokenizer.save(tmp_path / "tokenizer")
    encode = EncodeShard(
        tokenizer=tmp_path / "tokenizer", tokenizer_sha256=tokenizer.sha256,
        memory=Memory(tmp_path / "remembered", ""), seed=1, num_threads=1, encoder="tiktoken",
    )  # fmt: skip
    shards = list_shards(write_shards(tmp_path / "documents", [[page] for page in pages]))
    indexes = [encode(shard) for shard in shards]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        found = pool.submit(gather_with_few_files, indexes).result()
    expected = {page.id: [*tokenizer.encode(page.text), tokenizer.end_of_text] for page in pages}
    assert found == expected
