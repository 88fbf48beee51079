"""The tokenize stage as a process: exact counts, the same bytes always, one line for bad input."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_documents import make_document, make_documents
from stage_runs import StageRuns, read_bytes, write_shards

from pipeline.shared.errors import UserError
from pipeline.shared.formats.documents import Document, list_shards
from pipeline.shared.formats.long_texts import NEVER_PARTED
from pipeline.shared.formats.token_shards import open_split
from pipeline.shared.formats.tokenizer import END_OF_TEXT, load_tokenizer
from pipeline.shared.running.shard_memory import Memory
from pipeline.tokenize import encode
from pipeline.tokenize.encoders import Encoded
from pipeline.tokenize.split import SPLITS

DOCUMENTS = [
    *make_documents(500),
    make_document("special", f"Some text {END_OF_TEXT} and <|endoftext|><|endoftext|> more."),
    make_document("empty", ""),
    make_document("unicode", "naïve 東京 🤦🏽 \x00 \u00a0 end"),
]
SHARDS = [DOCUMENTS[:100], DOCUMENTS[100:350], DOCUMENTS[350:]]
CHANGES = {"vocab_size": 700, "train_bytes": 1_000_000}


def make_stage(project: Path, folder: Path, shards: list[list[Document]] = SHARDS) -> StageRuns:
    documents = write_shards(folder / "documents", shards)
    stage = StageRuns("tokenize", project, folder, {"documents": documents})
    stage.set_params(tokenize=CHANGES, compute={"workers": 1})
    return stage


@pytest.fixture(scope="module")
def stage(project: Path, tmp_path_factory: pytest.TempPathFactory) -> StageRuns:
    stage = make_stage(project, tmp_path_factory.mktemp("tokenize"))
    stage.set_params(tokenize=CHANGES, compute={"workers": 2})
    return stage


@pytest.fixture(scope="module")
def out(stage: StageRuns) -> Path:
    return stage.run()


def read_texts(out: Path) -> dict[str, dict[str, str]]:
    """Text by document id for each split, with the closing <|endoftext|> taken off."""
    tokenizer = load_tokenizer(out / "tokenizer")
    texts: dict[str, dict[str, str]] = {}
    for split in SPLITS:
        texts[split] = {}
        for document in open_split(out / split).documents():
            assert document.tokens[-1] == tokenizer.end_of_text
            texts[split][document.id] = tokenizer.decode(document.tokens[:-1].tolist())
    return texts


def test_every_document_is_in_one_split_and_comes_back_as_it_was(out: Path) -> None:
    texts = read_texts(out)
    found = [(id_, text) for split in texts.values() for id_, text in split.items()]
    assert sorted(found) == sorted((document.id, document.text) for document in DOCUMENTS)


def test_metrics_are_the_exact_counts(out: Path) -> None:
    metrics = json.loads((out / "metrics.json").read_text())
    tokenizer = load_tokenizer(out / "tokenizer")
    assert metrics["documents"] == len(DOCUMENTS)
    assert metrics["text_bytes"] == sum(len(document.text.encode()) for document in DOCUMENTS)
    assert metrics["tokens"] == sum(len(tokenizer.encode(d.text)) + 1 for d in DOCUMENTS)
    assert metrics["tokenizer_sha256"] == tokenizer.sha256
    for split in SPLITS:
        opened, counts = open_split(out / split), metrics["splits"][split]
        assert opened.tokenizer_sha256 == tokenizer.sha256
        assert counts["documents"] == opened.num_documents > 0
        assert counts["tokens"] == opened.num_tokens == sum(map(len, opened.shards))
        tokens = counts["tokens"] - counts["documents"]
        assert counts["bytes_per_token"] == pytest.approx(counts["text_bytes"] / tokens, abs=1e-4)
        manifest = (out / split / "_manifest.json").read_bytes()
        assert counts["manifest_sha256"] == hashlib.sha256(manifest).hexdigest()


def test_end_of_text_in_a_document_is_not_its_end(out: Path) -> None:
    tokenizer = load_tokenizer(out / "tokenizer")
    for split in SPLITS:
        for document in open_split(out / split).documents():
            assert tokenizer.end_of_text not in document.tokens[:-1]


def test_the_tokenizer_saw_the_train_split_only(project: Path, out: Path, tmp_path: Path) -> None:
    """Other texts in valid and test leave the tokenizer and the train split as they are."""
    held_out = read_texts(out)["valid"].keys() | read_texts(out)["test"].keys()
    changed = [
        replace(document, text="zqxj " * 500) if document.id in held_out else document
        for document in DOCUMENTS
    ]
    other = make_stage(project, tmp_path, [changed]).run()
    for name in ("tokenizer", "train"):
        assert read_bytes(other / name) == read_bytes(out / name)
    assert read_bytes(other / "test") != read_bytes(out / "test")


def test_shards_and_workers_do_not_matter(project: Path, out: Path, tmp_path: Path) -> None:
    """Two workers made `out` from three shards; one works here."""
    backwards = make_stage(project, tmp_path, [DOCUMENTS[200:][::-1], DOCUMENTS[:200]])
    assert read_bytes(backwards.run()) == read_bytes(out)


def test_killed_at_any_moment_the_stage_ends_with_the_same_bytes(
    project: Path, out: Path, tmp_path: Path
) -> None:
    stage = make_stage(project, tmp_path)
    stage.set_params(tokenize=CHANGES, compute={"workers": 2})
    stage.kill_when(lambda work: (work / "attempts").exists())
    stage.kill_when(lambda work: (work / "out" / "tokenizer" / "encoding.json").exists())
    stage.kill_when(lambda work: bool(stage.remembered()))
    stage.kill_when(lambda work: (work / "out" / "train" / "00000.bin").exists())
    stage.kill_when(lambda work: (work / "out" / "metrics.json").exists())
    assert read_bytes(stage.run()) == read_bytes(out)
    assert json.loads((stage.folder / "out" / "metrics.json").read_text())["attempts"] >= 2


def test_a_finished_stage_is_published_again_with_nothing_beside_it(
    stage: StageRuns, out: Path
) -> None:
    before = read_bytes(out)
    assert read_bytes(stage.run()) == before
    assert sorted(path.name for path in out.iterdir()) == sorted([
        "metrics.json",
        "tokenizer",
        *SPLITS,
    ])


@pytest.mark.parametrize("damage", ["bit", "missing"])
def test_a_damaged_shard_is_one_line_and_nothing_is_published(
    project: Path, tmp_path: Path, damage: str
) -> None:
    stage = make_stage(project, tmp_path)
    path = stage.inputs["documents"] / "00001.parquet"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.unlink() if damage == "missing" else path.write_bytes(content)
    run = stage.fail()
    assert run.returncode == 1
    assert "00001.parquet" in run.stderr.splitlines()[-1]
    assert "dvc repro" in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "out").exists()


def test_too_few_documents_for_a_split_are_an_error_with_its_remedy(
    project: Path, tmp_path: Path
) -> None:
    stage = make_stage(project, tmp_path, [make_documents(3)])
    stage.set_params(tokenize={"vocab_size": 300, "test_fraction": 1e-9})
    run = stage.fail()
    assert "split got none of the 3 documents; enlarge tokenize." in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("shards", [[], [[], []]])
def test_no_document_at_all_is_one_clear_error(
    project: Path, tmp_path: Path, shards: list[list[Document]]
) -> None:
    run = make_stage(project, tmp_path, shards).fail()
    last = run.stderr.splitlines()[-1]
    assert f"{tmp_path / 'documents'}: holds no document; dedup's metrics.json" in last
    assert "Traceback" not in run.stderr


def test_gigatoken_gives_the_same_bytes(project: Path, out: Path, tmp_path: Path) -> None:
    stage = make_stage(project, tmp_path)
    stage.set_params(tokenize=CHANGES | {"encoder": "gigatoken"}, compute={"workers": 1})
    other = stage.run()
    assert read_bytes(other) == read_bytes(out)
    checked = json.loads((other / "metrics.json").read_text())["documents_checked"]
    assert 0 < checked < 30
    assert json.loads((out / "metrics.json").read_text())["documents_checked"] == 0


def make_encoder(out: Path, folder: Path, encoder: str) -> encode.EncodeShard:
    tokenizer = load_tokenizer(out / "tokenizer")
    return encode.EncodeShard(
        tokenizer=out / "tokenizer", tokenizer_sha256=tokenizer.sha256,
        memory=Memory(folder / "remembered", ""), seed=1, num_threads=1, encoder=encoder,
    )  # fmt: skip


def test_an_id_of_gigatokens_that_is_not_tiktokens_is_an_error(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = encode.encode_by_gigatoken

    def swapped(*arguments: Any, **options: Any) -> Encoded:
        ids, lengths = right(*arguments, **options)
        return Encoded(ids[::-1], lengths)

    monkeypatch.setattr(encode, "encode_by_gigatoken", swapped)
    monkeypatch.setattr(encode, "CHECKED_SHARE", 1.0)
    (shard,) = list_shards(write_shards(tmp_path / "documents", [DOCUMENTS[:5]]))
    encode_shard = make_encoder(out, tmp_path, "gigatoken")
    with pytest.raises(UserError, match="gigatoken and tiktoken disagree on a text that begins"):
        encode_shard(shard)


@pytest.mark.parametrize("encoder", ["tiktoken", "gigatoken"])
def test_a_text_too_long_for_a_tokenizer_has_the_ids_of_its_parts(
    out: Path, tmp_path: Path, encoder: str
) -> None:
    """Others before and behind it keep their own."""
    long = make_document("long", "a word" + " " * 2 * NEVER_PARTED + "and another")
    own = [*DOCUMENTS[:3], long, *DOCUMENTS[3:6]]
    (shard,) = list_shards(write_shards(tmp_path / "documents", [own]))
    tokenizer = load_tokenizer(out / "tokenizer")
    encode_shard = make_encoder(out, tmp_path, encoder)
    corpus = encode.EncodedCorpus([encode_shard(shard)])
    found = {d.id: d.tokens.tolist() for d in corpus.read(corpus.of_split((0, 2**64)))}
    assert found == {d.id: [*tokenizer.encode(d.text), tokenizer.end_of_text] for d in own}


@pytest.mark.shared_data
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_with_gpt2s_tokenizer_the_ids_are_gpt2s(
    project: Path, shared_data: Path, tmp_path: Path, scheme: str
) -> None:
    stage = make_stage(project, tmp_path)
    gpt2 = {"source": "gpt2", "vocab_size": 50_257}
    place = f"{scheme}{shared_data / 'gpt2_bpe'}"
    stage.set_params(tokenize=gpt2 | {"gpt2_bpe_folder": place})
    out = stage.run()
    assert load_tokenizer(out / "tokenizer").encode("Hello world") == [15496, 995]
    texts = read_texts(out)
    assert sum(map(len, texts.values())) == len(DOCUMENTS)
