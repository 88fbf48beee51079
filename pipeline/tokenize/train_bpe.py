"""Train a byte-level BPE as GPT-2's was, by the `tokenizers` library, and hand it to tiktoken.

The library counts words in parallel but breaks ties by token id, so that the merges depend
neither on the number of threads nor on the order of the texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from tokenizers import Tokenizer as HuggingFaceTokenizer
from tokenizers import models, pre_tokenizers, trainers

from pipeline.shared.errors import UserError
from pipeline.shared.formats.tokenizer import Tokenizer, to_bytes

_CHECKED_TEXTS, _CHECKED_CHARACTERS = 200, 100_000


def train_tokenizer(texts: Iterable[str], *, vocab_size: int) -> Tokenizer:
    """The tokenizer of `vocab_size` ids, <|endoftext|> included, that byte-pair encoding finds.

    The first 200 texts are encoded by both libraries, which must agree. A word of 100,000
    characters takes minutes: `part_text` cuts them.

    Raises:
        UserError: the texts have too few different words for that many merges.
    """
    checked: list[str] = []

    def remember(texts: Iterable[str]) -> Iterator[str]:
        for text in texts:
            if len(checked) < _CHECKED_TEXTS:
                checked.append(text[:_CHECKED_CHARACTERS])
            yield text

    trained = HuggingFaceTokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 1,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    trained.train_from_iterator(remember(texts), trainer)
    tokenizer = Tokenizer("trained", _ranks(trained))
    if tokenizer.vocab_size != vocab_size:
        raise UserError(
            f"tokenize.vocab_size = {vocab_size}: the training text yields only "
            f"{tokenizer.vocab_size} tokens; lower it or give more text (tokenize.train_bytes)"
        )
    _compare(trained, tokenizer, checked)
    return tokenizer


def _ranks(trained: HuggingFaceTokenizer) -> dict[bytes, int]:
    """Single bytes in vocabulary order, then merges in order: the numbering of GPT-2."""
    model = json.loads(trained.to_str())["model"]
    alphabet = sorted((id_, token) for token, id_ in model["vocab"].items() if len(token) == 1)
    tokens = [token for _, token in alphabet] + [left + right for left, right in model["merges"]]
    return {to_bytes(token): rank for rank, token in enumerate(dict.fromkeys(tokens))}


def _compare(trained: HuggingFaceTokenizer, tokenizer: Tokenizer, texts: list[str]) -> None:
    theirs = [encoding.ids for encoding in trained.encode_batch(texts)]
    ours = tokenizer.encode_batch(texts)
    wrong = [text for text, a, b in zip(texts, ours, theirs, strict=True) if a != b]
    if wrong:
        raise RuntimeError(
            f"tiktoken and tokenizers disagree on {len(wrong)} of {len(texts)} texts, the first "
            f"of which begins {wrong[0][:80]!r}"
        )
