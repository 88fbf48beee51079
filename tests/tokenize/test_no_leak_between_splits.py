"""Dedup, then tokenize: no near-duplicate pair lies across two splits."""

from __future__ import annotations

import random
from itertools import combinations
from pathlib import Path

from made_documents import edit, make_document, make_documents
from stage_runs import StageRuns, write_shards

from pipeline.shared.formats.examples import Example, write_examples
from pipeline.shared.formats.token_shards import open_split
from pipeline.shared.formats.tokenizer import load_tokenizer
from pipeline.shared.text.words import split_words
from pipeline.tokenize.split import SPLITS

THRESHOLD = 0.8


def shingles(text: str) -> set[tuple[str, ...]]:
    words = split_words(text)
    return {tuple(words[start : start + 5]) for start in range(len(words) - 4)}


def similarity(left: set[tuple[str, ...]], right: set[tuple[str, ...]]) -> float:
    return len(left & right) / len(left | right)


def test_no_near_duplicate_pair_lies_across_two_splits(project: Path, tmp_path: Path) -> None:
    pages = make_documents(150)
    copies = [
        make_document(f"copy{number}-{edits}", edit(page.text, edits, seed=number * 10 + edits))
        for number, page in enumerate(pages)
        for edits in range(3)  # 0, 1 or 2 of 60 words: similarity 1, 0.84 and 0.7
    ]
    documents = [*pages, *copies]
    random.Random(1).shuffle(documents)
    write_examples(tmp_path / "sets" / "set.parquet", [Example(id="1", text="of " * 20)])
    inputs = {
        "documents": write_shards(tmp_path / "in", [documents]),
        "eval_sets": tmp_path / "sets",
    }
    dedup = StageRuns("dedup", project, tmp_path, inputs)
    dedup.set_params(tokenize={"vocab_size": 400, "test_fraction": 0.3, "valid_fraction": 0.2})
    tokenize = StageRuns("tokenize", project, tmp_path, {"documents": dedup.run() / "kept"})
    out = tokenize.run("tokenized")
    tokenizer = load_tokenizer(out / "tokenizer")
    by_split = {
        split: [
            shingles(tokenizer.decode(document.tokens[:-1].tolist()))
            for document in open_split(out / split).documents()
        ]
        for split in SPLITS
    }
    assert all(len(texts) > 20 for texts in by_split.values())
    assert sum(map(len, by_split.values())) < 350  # of 600: about half could leak
    for left, right in combinations(SPLITS, 2):
        worst = max(similarity(a, b) for a in by_split[left] for b in by_split[right])
        assert worst < THRESHOLD
