"""Token shards come back as written, over shard boundaries too, and a damaged one is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stage_runs import read_bytes

from pipeline.shared.errors import CorruptDataError
from pipeline.shared.formats.token_shards import (
    DTYPE,
    TokenDocument,
    open_split,
    write_head,
    write_token_shards,
)
from pipeline.shared.running.listing import hash_input

LENGTHS = [5, 1, 30, 7, 12, 3]


def make_documents() -> list[TokenDocument]:
    generator = np.random.default_rng(1)
    return [
        TokenDocument(f"d{n}", generator.integers(0, 65_536, length).astype(DTYPE))
        for n, length in enumerate(LENGTHS)
    ]


@pytest.fixture(params=[10, 1_000], ids=["several shards", "one shard"])
def split(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("pipeline.shared.formats.token_shards._SHARD_TOKENS", request.param)
    write_token_shards(tmp_path, make_documents(), tokenizer_sha256="abc")
    return tmp_path


def test_documents_come_back_as_they_were_written(split: Path) -> None:
    opened = open_split(split)
    found = [(document.id, document.tokens.tolist()) for document in opened.documents()]
    assert found == [(document.id, document.tokens.tolist()) for document in make_documents()]
    assert (opened.num_tokens, opened.num_documents) == (sum(LENGTHS), len(LENGTHS))
    assert opened.tokenizer_sha256 == "abc"


def test_every_window_is_a_piece_of_the_concatenated_documents(split: Path) -> None:
    opened = open_split(split)
    tokens = np.concatenate([document.tokens for document in make_documents()])
    for start in range(len(tokens)):
        for length in (1, 2, 17, len(tokens) - start):
            if start + length <= len(tokens):
                window = opened.window(start, length)
                assert window.tolist() == tokens[start : start + length].tolist()


def test_a_window_past_the_end_is_an_error(split: Path) -> None:
    with pytest.raises(IndexError, match="window ends 2 tokens after the split"):
        open_split(split).window(sum(LENGTHS) - 3, 5)


def test_numpy_alone_reads_a_shard(tmp_path: Path) -> None:
    write_token_shards(tmp_path, make_documents(), tokenizer_sha256="abc")
    tokens = np.memmap(tmp_path / "00000.bin", np.uint16, "r")
    assert len(tokens) == sum(LENGTHS)


def test_the_same_tokens_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("once", "again"):
        write_token_shards(tmp_path / name, make_documents(), tokenizer_sha256="abc")
    assert read_bytes(tmp_path / "once") == read_bytes(tmp_path / "again")


def test_an_empty_split_is_a_split(tmp_path: Path) -> None:
    totals = write_token_shards(tmp_path, [], tokenizer_sha256="abc")
    assert totals == {"tokens": 0, "documents": 0}
    assert list(open_split(tmp_path).documents()) == []


@pytest.mark.parametrize("file", ["00000.bin", "00000.documents.parquet"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [("bit", "corrupted, its SHA-256"), ("truncated", "corrupted"), ("missing", "but missing")],
)
def test_a_damaged_file_is_named_with_its_remedy(
    split: Path, file: str, damage: str, message: str
) -> None:
    path = split / file
    content = bytearray(path.read_bytes())
    if damage == "bit":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "truncated":
        path.write_bytes(content[:-2])
    else:
        path.unlink()
    with pytest.raises(CorruptDataError, match=f"{file}: .*{message}.*dvc repro"):
        open_split(split)


def test_a_short_shard_is_named_even_without_reading_it(split: Path) -> None:
    path = split / "00000.bin"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(CorruptDataError, match=r"00000\.bin: \d+ bytes where _manifest\.json says"):
        open_split(split, verify=False)


def test_a_copied_head_passes_for_the_split_and_holds_its_first_documents(
    split: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    copy = tmp_path_factory.mktemp("copy") / "train"
    write_head(open_split(split).head(36), copy)
    assert hash_input(copy) == hash_input(split)
    opened = open_split(copy)
    found = [(document.id, document.tokens.tolist()) for document in opened.documents()]
    assert found == [(d.id, d.tokens.tolist()) for d in make_documents()[:3]]  # 5 + 1 + 30
    assert opened.head(10**9).num_tokens == 36
    assert opened.head(6).num_documents == 2


def test_a_damaged_head_is_named_with_the_list_that_it_breaks(
    split: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    copy = tmp_path_factory.mktemp("copy") / "train"
    write_head(open_split(split).head(36), copy)
    path = copy / "00000.bin"
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptDataError, match=r"00000\.bin.*_head\.json"):
        open_split(copy)
