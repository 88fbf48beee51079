"""More shards than a process may have files open, as the system grants them unasked."""

from __future__ import annotations

import multiprocessing
import resource
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from made_documents import edit, make_document, make_documents
from stage_runs import write_shards

from pipeline.dedup.decide import decide
from pipeline.dedup.eval_index import EvalIndex
from pipeline.dedup.features import ComputeFeatures, Features
from pipeline.shared.formats.documents import list_shards
from pipeline.shared.formats.examples import Example, write_examples
from pipeline.shared.params.file import load_params
from pipeline.shared.params.text import DedupParams
from pipeline.shared.running.shard_memory import Memory

SHARDS = 100
GRANTED, MOST = 50, 160
"""Files: fewer than there are shards; and for one a shard, but not for two."""


def decide_with_few_files(folders: list[Path], sets: Path, params: DedupParams) -> list[str]:
    """The ids of the documents that stay, in a process that may have so few files open."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (GRANTED, MOST))
    features = Features(folders)
    index = EvalIndex(sets, params.eval_ngram_words)
    left = decide(features, len(features), index, params).left
    ids: list[str] = features.ids(left).to_pylist()
    return ids


def test_shards_by_the_hundred_are_decided_over_with_one_file_open_of_each(
    project: Path, tmp_path: Path
) -> None:
    pages = make_documents(SHARDS - 1)
    near = make_document("near", edit(pages[0].text, 1), created_utc=1_600_000_000)
    folder = write_shards(tmp_path / "documents", [[page] for page in [*pages, near]])
    write_examples(tmp_path / "sets" / "ptb.parquet", [Example(id="e", text="Not in any page.")])
    params = load_params(project / "params.yaml", "tiny").params.dedup
    ngrams = tmp_path / "ngrams.npz"
    EvalIndex(tmp_path / "sets", params.eval_ngram_words).ngrams.save(ngrams)
    compute = ComputeFeatures(
        memory=Memory(tmp_path / "remembered", ""), eval_ngrams=ngrams, eval_sha256="",
        params=params, seed=1,
    )  # fmt: skip
    folders = [compute(shard) for shard in list_shards(folder)]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        left = pool.submit(decide_with_few_files, folders, tmp_path / "sets", params).result()
    assert left == [page.id for page in pages]
