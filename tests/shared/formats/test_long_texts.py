"""Texts that the tokenizers' libraries cannot take whole have the tokens of the whole text."""

from __future__ import annotations

import random
import re
from itertools import chain

import pytest

from pipeline.shared.formats import long_texts
from pipeline.shared.formats.long_texts import part_text
from pipeline.shared.formats.tokenizer import Tokenizer
from pipeline.tokenize.train_bpe import train_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    draw = random.Random(1)
    words = ["lighthouse", "keeper", "    ", "\n\n", "1234", "!!!", "\u00e9t\u00e9", "\u7684\u4e00"]
    texts = [" ".join(draw.choices(words, k=200)) for _ in range(50)]
    return train_tokenizer(texts, vocab_size=300)


def test_parts_beside_white_space_have_the_tokens_of_the_whole(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_texts, "_MOST_SPACES", 4)
    draw = random.Random(2)
    num_parted = 0
    for _ in range(3000):
        signs = " \t\n\x85\xa0\x1c\u3000ab12!\u00e9\u7684" + " " * 12
        text = "".join(draw.choices(signs, k=draw.randint(4, 60)))
        parts, within = part_text(text, 10**6)
        assert within == 0
        assert "".join(parts) == text
        num_parted += len(parts) > 1
        ids = [tokenizer.encoding.encode_ordinary(part) for part in parts]
        assert list(chain.from_iterable(ids)) == tokenizer.encoding.encode_ordinary(text)
    assert num_parted > 1000


def test_white_space_at_which_tiktoken_gives_up_is_encoded(tokenizer: Tokenizer) -> None:
    text = f"before{' ' * 1_200_000}after"
    with pytest.raises(ValueError, match="stack size"):
        tokenizer.encoding.encode_to_numpy(text)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert ids[-len(tokenizer.encode(" after")) :] == tokenizer.encode(" after")


@pytest.mark.parametrize("sign", ["a", "\u00e9", "\u7684", "9", "!", " ", "\x1c", "ab1!"])
def test_only_what_is_longer_than_asked_is_parted_within(sign: str) -> None:
    length = 1000
    for text in (sign * (3 * length), f"word {sign * (3 * length)}\nword"):
        parts, within = part_text(text, length)
        assert "".join(parts) == text
        pieces = re.findall(r"[a-z\xe0-\xff\u7684]+|\d+|[!\x1c]+|[ \n]+", text)
        assert within == sum((len(piece) - 1) // length for piece in pieces)
        assert len(parts) == within + 1


def test_a_text_of_usual_words_stays_as_it_is() -> None:
    text = "Usual words,\n\n  and usual   spaces; " * 40_000
    assert part_text(text) == ([text], 0)
    assert part_text(text, 1000) == ([text], 0)
