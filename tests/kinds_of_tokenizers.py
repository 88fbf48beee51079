"""Tokenizers of the kinds that people have beside their models, made by the library itself."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from tokenizers import Tokenizer as Library
from transformers import PreTrainedTokenizerFast

from pipeline.shared.formats.foreign_tokenizer import AnyTokenizer
from pipeline.shared.formats.tokenizer import END_OF_TEXT
from pipeline.shared.formats.tokenizer_files import TextIds, read_tokenizer

CORPUS = [
    f"The number {n} is followed by {n + 1}, isn't it?\n\tYes, John: ça suffit!" for n in range(300)
]
# GPT-4's way to cut a text, which many take for their own tokenizer.
DIGITS_BY_THREE = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+(?!\S)|\s+"
Kind = tuple[Library, dict[str, Any]]


def train(pre: Any = None, *, special: tuple[str, ...] = (END_OF_TEXT,)) -> Library:
    """A byte-level BPE whose special tokens have the first ids."""
    trained = Library(models.BPE())
    trained.pre_tokenizer = pre or pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(special),
        show_progress=False,
    )
    trained.train_from_iterator(CORPUS, trainer)
    return trained


def plain() -> Kind:
    return train(), {}


def end_last() -> Kind:
    trained = train(special=())
    trained.add_special_tokens([END_OF_TEXT])
    return trained, {}


def cut_and_padded() -> Kind:
    trained = train()
    trained.enable_truncation(4)
    trained.enable_padding(length=9, pad_token=END_OF_TEXT)
    return trained, {}


def digits() -> Kind:
    cut = [pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    return train(pre_tokenizers.Sequence(cut)), {}


def another_pattern() -> Kind:
    cut = pre_tokenizers.Split(Regex(DIGITS_BY_THREE), "isolated")
    bytes_alone = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return train(pre_tokenizers.Sequence([cut, bytes_alone])), {}


def prefix_space() -> Kind:
    return train(pre_tokenizers.ByteLevel(add_prefix_space=True)), {}


def normalized() -> Kind:
    trained = train()
    trained.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    return trained, {}


def added_tokens() -> Kind:
    trained = train()
    trained.add_tokens(["John", AddedToken("or", lstrip=True, rstrip=True)])
    trained.add_special_tokens(["<unk>", "<pad>"])
    return trained, {"unk_token": "<unk>", "pad_token": "<pad>"}


def other_ends() -> Kind:
    trained = train(special=("<s>", "</s>"))
    trained.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return trained, {"bos_token": "<s>", "eos_token": "</s>"}


def write_config(folder: Path, vocab_size: int, **more: object) -> None:
    config = {"model_type": "gpt2", "vocab_size": vocab_size, **more}
    (folder / "config.json").write_text(json.dumps(config))


def save(kind: Callable[[], Kind], folder: Path) -> Path:
    """As transformers 5 saves a tokenizer beside a model."""
    trained, names = kind()
    ends = {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT} | names
    PreTrainedTokenizerFast(tokenizer_object=trained, **ends).save_pretrained(folder)
    write_config(folder, trained.get_vocab_size())
    return folder


MUTE = TextIds(None, None)


def read(folder: Path, *, rows: int = 1000, ids: TextIds = MUTE) -> AnyTokenizer:
    tokenizer = read_tokenizer(folder, rows=rows, ids=ids)
    assert tokenizer is not None
    return tokenizer


def write_ranks(path: Path, ranks: dict[bytes, int]) -> None:
    lines = (b"%s %d\n" % (base64.b64encode(token), rank) for token, rank in ranks.items())
    path.write_bytes(b"".join(lines))
