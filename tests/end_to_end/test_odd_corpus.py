"""A corpus of all that breaks tools goes from files to tokens."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_documents import english_passages
from stage_runs import StageRuns

from pipeline.shared.formats.documents import read_documents
from pipeline.shared.formats.examples import Example, write_examples
from pipeline.shared.formats.token_shards import open_split
from pipeline.shared.formats.tokenizer import load_tokenizer

PASSAGES = english_passages(62)
HIDDEN = PASSAGES[60].replace("e", "e\u00ad")  # an evaluation text behind soft hyphens
TEXTS = {
    "run": " ".join([PASSAGES[0], "\u0436" * 150_000, PASSAGES[1]]),
    "spaces": f"{PASSAGES[2]}{' ' * 1_100_000}{PASSAGES[3]}",
    "short": "Once",
}


def write_corpus(folder: Path) -> None:
    folder.mkdir()
    rows: list[dict[str, Any]] = [{"id": n, "content": PASSAGES[4 + n]} for n in range(20)]
    rows += [{"id": name, "content": text} for name, text in TEXTS.items()]
    rows[3] |= {"created": "1" * 40, "score": {"a": 1}}
    lines = b"\n".join(json.dumps(row).encode() for row in rows)
    (folder / "part-0.json.gz").write_bytes(gzip.compress(lines, mtime=0))
    more = [{"id": n, "text": PASSAGES[24 + n], "url": "http://[no/"} for n in range(20)]
    day = dt.datetime(2016, 5, 1, tzinfo=dt.UTC)
    table = pa.Table.from_pylist([row | {"date": day} for row in more])
    pq.write_table(table, folder / "part-1.parquet")
    (folder / "part-2.json").write_text(json.dumps([{"id": "eval", "text": HIDDEN}], indent=1))


def run(stage: str, project: Path, tmp_path: Path, inputs: dict[str, Path]) -> Path:
    runs = StageRuns(stage, project, tmp_path / stage, inputs)
    extract = {"source": "corpus", "location": str(tmp_path / "corpus"), "min_document_words": 1}
    runs.set_params(
        links={"source": "none"},
        compute={"workers": 1},
        extract=extract | {"rules_off": ["repeated_word", "long_words", "not_prose"]},
        tokenize={
            "vocab_size": 400,
            "train_bytes": 10**8,
            "valid_fraction": 0.3,
            "test_fraction": 0.0,
        },
    )
    return runs.run()


@pytest.mark.long
@pytest.mark.slow
def test_an_odd_corpus_goes_from_files_to_tokens(project: Path, tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus")
    (tmp_path / "nothing").mkdir()
    nothing = {"pages": tmp_path / "nothing"}
    made = run("extract", project, tmp_path, nothing)
    counts = json.loads((made / "metrics.json").read_text())["corpus"]
    assert counts["by_reason"] == {"document": 44}
    assert counts["ids_made_distinct"] == 20
    assert counts["unreadable_values"] == {"created": 1, "score": 1}
    sets = tmp_path / "sets"
    write_examples(sets / "lambada.parquet", [Example(id="e", text=PASSAGES[60])])
    kept = run("dedup", project, tmp_path, {"documents": made / "documents", "eval_sets": sets})
    texts = {each.id: each.text for each in read_documents(kept / "kept")}
    assert "eval" not in texts and "3#2" in texts
    reasons = json.loads((kept / "metrics.json").read_text())["removed_by_reason"]
    assert reasons["eval_overlap"] == 1
    out = run("tokenize", project, tmp_path, {"documents": kept / "kept"})
    tokenizer = load_tokenizer(out / "tokenizer")
    found = {
        document.id: tokenizer.decode(document.tokens[:-1].tolist())
        for split in ("train", "valid")
        for document in open_split(out / split).documents()
    }
    assert found == texts
    assert {"run", "spaces"} <= set(texts)
