"""The stage's steps: tokenizer, tokens of every shard, splits gathered by hash."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.shared.errors import UserError
from pipeline.shared.formats.documents import Shard, list_filled_shards, read_documents
from pipeline.shared.formats.long_texts import part_text
from pipeline.shared.formats.token_shards import write_token_shards
from pipeline.shared.formats.tokenizer import Tokenizer, gpt2_tokenizer, load_tokenizer
from pipeline.shared.params.text import TokenizeParams
from pipeline.shared.running.listing import hash_input
from pipeline.shared.running.progress import BYTES
from pipeline.shared.running.stage import Stage
from pipeline.shared.running.storage import parse_place
from pipeline.tokenize.encode import EncodedCorpus, EncodeShard
from pipeline.tokenize.split import SPLITS, in_bounds, split_bounds, split_keys

_TOKENIZER = "tokenizer"
_NO_DOCUMENTS = (
    "dedup's metrics.json says why each went (removed_by_reason); change its parameters or give it "
    "more (dedup, extract, links in params.yaml)"
)
_MOST_LEARNT = 1000  # characters of a word: learning takes a time that grows with their square


def run(stage: Stage) -> dict[str, Any]:
    """Write `tokenizer/`, `train/`, `valid/` and `test/`; returns the exact counts."""
    shards = list_filled_shards(stage.inputs["documents"], remedy=_NO_DOCUMENTS)
    tokenizer = _make_tokenizer(stage, shards)
    corpus = _encode(stage, shards, tokenizer.sha256)
    bounds = split_bounds(stage.params.tokenize)
    splits = {}
    for split in SPLITS:
        documents = corpus.of_split(bounds[split])
        _require_documents(stage.params.tokenize, split, documents, len(corpus.table))
        totals = write_token_shards(
            stage.staging / split, corpus.read(documents), tokenizer_sha256=tokenizer.sha256
        )
        splits[split] = totals | _text_counts(totals, pc.sum(documents["text_bytes"]).as_py() or 0)
        splits[split]["manifest_sha256"] = hash_input(stage.staging / split)
        stage.log.info("%s: %s", split, splits[split])
    keys = ("documents", "tokens", "text_bytes")
    totals = {key: sum(counts[key] for counts in splits.values()) for key in keys}
    return {
        "tokenizer": tokenizer.name,
        "tokenizer_sha256": tokenizer.sha256,
        "vocab_size": tokenizer.vocab_size,
        **totals,
        **_text_counts(totals, totals["text_bytes"]),
        "pieces_parted": pc.sum(corpus.table["parted"]).as_py() or 0,
        "documents_checked": pc.sum(corpus.table["checked"]).as_py() or 0,
        "splits": splits,
    }


def _make_tokenizer(stage: Stage, shards: list[Shard]) -> Tokenizer:
    folder, params = stage.staging / _TOKENIZER, stage.params.tokenize
    if (folder / "encoding.json").is_file():  # written last by an earlier attempt
        return load_tokenizer(folder)
    if params.source == "gpt2":
        gpt2 = params.gpt2_bpe_folder
        tokenizer = gpt2_tokenizer(parse_place(gpt2) if gpt2 else None)
    else:
        from pipeline.tokenize.train_bpe import train_tokenizer  # its package loads for seconds

        tokenizer = train_tokenizer(_training_texts(stage, shards), vocab_size=params.vocab_size)
    tokenizer.save(folder)
    return tokenizer


def _training_texts(stage: Stage, shards: list[Shard]) -> Iterator[str]:
    """Texts of the train split, about `train_bytes` of them: those with the lowest hashes.

    Hashes are uniform, so a range of them holds its share of the bytes without a first pass.
    """
    params = stage.params.tokenize
    low, high = split_bounds(params)["train"]
    share = params.train_bytes / max(sum(shard.text_bytes for shard in shards), 1)
    bounds = (low, min(high, low + round(share * 2**64)))
    documents, total, cut = 0, 0, 0
    with stage.progress("train the BPE", total=None, unit="documents") as progress:
        for document in read_documents(stage.inputs["documents"]):
            if in_bounds(split_keys([document.id], seed=stage.params.seeds.split), bounds)[0]:
                documents, total = documents + 1, total + len(document.text.encode())
                progress.update()
                parts, times = part_text(document.text, _MOST_LEARNT)
                cut += times
                yield from parts
    stage.log.info("the BPE saw %s bytes of %s train documents", f"{total:,}", f"{documents:,}")
    if cut:
        stage.log.info("it saw words of more than %d characters in %d parts", _MOST_LEARNT, cut)


def _encode(stage: Stage, shards: list[Shard], tokenizer_sha256: str) -> EncodedCorpus:
    workers = stage.params.compute.workers
    encode = EncodeShard(
        tokenizer=stage.staging / _TOKENIZER,
        tokenizer_sha256=tokenizer_sha256,
        memory=stage.memory,
        seed=stage.params.seeds.split,
        num_threads=max(1, workers // len(shards)),
        encoder=stage.params.tokenize.encoder,
    )
    bytes_of = attrgetter("text_bytes")
    indexes = list(stage.map_shards("encode", encode, shards, unit=BYTES, weigh=bytes_of))
    stage.memory.keep(list(map(encode.key, shards)))
    return EncodedCorpus(indexes)


def _require_documents(
    params: TokenizeParams, split: str, documents: pa.Table, num_all: int
) -> None:
    fraction = {"valid": params.valid_fraction, "test": params.test_fraction}.get(split, 1.0)
    if fraction > 0 and len(documents) == 0:
        key = f"tokenize.{split}_fraction" if split != "train" else "the corpus"
        raise UserError(f"the {split} split got none of the {num_all} documents; enlarge {key}")


def _text_counts(totals: dict[str, int], text_bytes: int) -> dict[str, Any]:
    """Bytes of UTF-8 and bytes per token, <|endoftext|> (one a document) not counted as a token."""
    tokens = totals["tokens"] - totals["documents"]
    return {
        "text_bytes": text_bytes,
        "bytes_per_token": round(text_bytes / tokens, 4) if tokens else None,
    }
