"""The trained BPE equals its trainer's, whatever the order of the texts or the threads."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import regex
from made_documents import english_passages
from tokenizers import ByteLevelBPETokenizer

from pipeline.shared.errors import UserError
from pipeline.shared.formats.tokenizer import Tokenizer, find_merges, to_bytes, to_text
from pipeline.tokenize import train_bpe
from pipeline.tokenize.train_bpe import train_tokenizer

GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
TEXTS = english_passages(400)


def test_the_merges_are_those_of_a_reference_trainer() -> None:
    reference = ByteLevelBPETokenizer()
    reference.train_from_iterator(TEXTS, vocab_size=999, min_frequency=0, show_progress=False)
    vocabulary = reference.get_vocab()
    tokenizer = train_tokenizer(TEXTS, vocab_size=1000)
    assert {to_bytes(token): id_ for token, id_ in vocabulary.items()} == tokenizer.ranks
    assert len(list(find_merges(tokenizer.ranks))) == 1000 - 257
    other = english_passages(500)[400:]
    assert [reference.encode(text).ids for text in other] == tokenizer.encode_batch(other)


def slow_merges(texts: list[str], num_merges: int) -> list[tuple[bytes, bytes]]:
    """Byte-pair encoding as it is told: the most frequent pair becomes a token, again and again."""
    alphabet = sorted((bytes([byte]) for byte in range(256)), key=to_text)
    ids = {token: id_ for id_, token in enumerate(alphabet)}
    words = Counter(word for text in texts for word in regex.findall(GPT2_PATTERN, text))
    split = {word: [bytes([byte]) for byte in word.encode()] for word in words}
    merges: list[tuple[bytes, bytes]] = []
    while len(merges) < num_merges:
        pairs: Counter[tuple[bytes, bytes]] = Counter()
        for word, count in words.items():
            for pair in pairwise(split[word]):
                pairs[pair] += count
        best = min(pairs, key=lambda pair: (-pairs[pair], ids[pair[0]], ids[pair[1]]))
        merges.append(best)
        ids.setdefault(b"".join(best), len(ids))
        for word, pieces in split.items():
            place = 0
            while place < len(pieces) - 1:
                if (pieces[place], pieces[place + 1]) == best:
                    pieces[place : place + 2] = [b"".join(best)]
                place += 1
            split[word] = pieces
    return merges


def test_the_merges_are_those_of_a_slow_trainer_of_a_few_lines() -> None:
    tokenizer = train_tokenizer(TEXTS[:100], vocab_size=257 + 150)
    assert list(find_merges(tokenizer.ranks)) == slow_merges(TEXTS[:100], 150)


def test_the_order_of_the_texts_does_not_matter() -> None:
    forwards = train_tokenizer(TEXTS, vocab_size=600)
    assert train_tokenizer(reversed(TEXTS), vocab_size=600).sha256 == forwards.sha256


@pytest.mark.parametrize("threads", ["1", "4"])
def test_the_number_of_threads_does_not_matter(project: Path, threads: str) -> None:
    code = (
        "from made_documents import english_passages\n"
        "from pipeline.tokenize.train_bpe import train_tokenizer\n"
        "print(train_tokenizer(english_passages(400), vocab_size=600).sha256)"
    )
    search = os.pathsep.join([str(project), str(project / "tests")])
    environment = os.environ | {"RAYON_NUM_THREADS": threads, "PYTHONPATH": search}
    found = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert found.strip() == train_tokenizer(TEXTS, vocab_size=600).sha256


def test_too_little_text_for_the_vocabulary_is_an_error_with_its_remedy() -> None:
    with pytest.raises(UserError, match=r"vocab_size = 5000: the training text yields only \d+"):
        train_tokenizer(["a few words only"], vocab_size=5000)


def test_a_tokenizer_that_differs_from_its_trainer_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = train_bpe._ranks

    def swapped(trained: object) -> dict[bytes, int]:
        ranks = right(trained)
        names = sorted(ranks, key=ranks.__getitem__)
        ranks[names[300]], ranks[names[301]] = 301, 300
        return ranks

    monkeypatch.setattr(train_bpe, "_ranks", swapped)
    with pytest.raises(RuntimeError, match="disagree on"):
        train_tokenizer(TEXTS, vocab_size=600)


def test_the_vocabulary_begins_with_single_bytes_in_gpt2s_order() -> None:
    tokenizer: Tokenizer = train_tokenizer(TEXTS, vocab_size=300)
    first = sorted(tokenizer.ranks, key=tokenizer.ranks.__getitem__)[:256]
    assert first[:3] == [b"!", b'"', b"#"]
    assert sorted(first) == [bytes([byte]) for byte in range(256)]
