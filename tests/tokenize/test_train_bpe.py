"""The trained BPE equals its trainer's, whatever the order of the texts or the threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_documents import english_passages
from tokenizers import ByteLevelBPETokenizer

from pipeline.errors import UserError
from pipeline.tokenize import train_bpe
from pipeline.tokenize.train_bpe import train_tokenizer
from pipeline.tokenizer import Tokenizer, find_merges, to_bytes

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
