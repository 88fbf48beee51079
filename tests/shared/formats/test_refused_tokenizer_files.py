"""A tokenizer that cannot be read as transformers reads it is refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kinds_of_tokenizers import MUTE, another_pattern, plain, read, save, write_ranks

from pipeline.shared.errors import CorruptDataError
from pipeline.shared.formats.tokenizer import END_OF_TEXT, to_bytes
from pipeline.shared.formats.tokenizer_files import read_tokenizer


def test_ranks_of_another_pattern_are_refused(tmp_path: Path) -> None:
    data = json.loads((save(another_pattern, tmp_path / "a") / "tokenizer.json").read_text())
    tokens = [token for token in data["model"]["vocab"] if token != END_OF_TEXT]
    write_ranks(tmp_path / "x.tiktoken", {to_bytes(token): n for n, token in enumerate(tokens)})
    with pytest.raises(CorruptDataError, match="GPT-2's pattern never gives its token"):
        read(tmp_path)


def test_no_file_of_a_tokenizer_is_none(tmp_path: Path) -> None:
    assert read_tokenizer(tmp_path, rows=50_257, ids=MUTE) is None


def write_json(folder: Path, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / name
    data = json.loads(path.read_text()) if path.is_file() else {}
    change(data)
    path.write_text(json.dumps(data))


def word_piece(folder: Path) -> None:
    write_json(folder, "tokenizer.json", lambda d: d["model"].update(type="WordPiece"))


def whole_words(folder: Path) -> None:
    split = {"type": "Whitespace"}
    write_json(folder, "tokenizer.json", lambda d: d.update(pre_tokenizer=split))


def no_ends(folder: Path) -> None:
    write_json(folder, "tokenizer_config.json", lambda d: d.update(eos_token="</s>"))
    write_json(folder, "tokenizer.json", lambda d: d.update(added_tokens=[]))
    write_json(folder, "tokenizer.json", lambda d: d["model"]["vocab"].pop(END_OF_TEXT))


def bytes_missing(folder: Path) -> None:
    write_json(folder, "tokenizer.json", lambda d: d["model"]["vocab"].pop("Ã"))


def two_sayings(folder: Path) -> None:
    """Version 4 of transformers takes the file's rules, 5 those of the class."""
    write_json(folder, "tokenizer_config.json", lambda d: d.update(tokenizer_class="GPT2Tokenizer"))
    write_json(folder, "tokenizer.json", lambda d: d.update(normalizer={"type": "NFC"}))


def no_json(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"model": ')


def odd_json(folder: Path) -> None:
    write_json(folder, "tokenizer.json", lambda d: d.update(added_tokens=[{"content": "x"}]))


def sentence_pieces(folder: Path) -> None:
    (folder / "tokenizer.json").rename(folder / "spiece.model")


def settings_alone(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def no_merges(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text("{}")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (word_piece, "model.type = 'WordPiece' is no byte-level BPE"),
        (whole_words, "its pre_tokenizer is not byte-level"),
        (no_ends, "no token is known to end a text .</s> is not among the tokens.; name it as"),
        (bytes_missing, "no tokens for 1 bytes, such as 0xc3"),
        (two_sayings, 'GPT2Tokenizer.*write "tokenizer_class": "PreTrainedTokenizerFast" there'),
        (no_json, r"tokenizer\.json"),
        (odd_json, "its tokenizer's files are not as transformers writes them"),
        (sentence_pieces, r"spiece\.model is no byte-level BPE; put the model's tokenizer\.json"),
        (settings_alone, r"tokenizer_config\.json speaks of a tokenizer, not there"),
        (no_merges, r"no merges\.txt beside it"),
    ],
)
def test_what_cannot_be_read_as_transformers_reads_it_is_refused_in_one_line(
    tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(save(plain, tmp_path))
    with pytest.raises(CorruptDataError, match=message) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_model_of_fewer_rows_than_tokens_is_refused(tmp_path: Path) -> None:
    save(plain, tmp_path)
    with pytest.raises(CorruptDataError, match="has 330 tokens, but the model rows for 329"):
        read(tmp_path, rows=329)
