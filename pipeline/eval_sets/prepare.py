"""The stage: published files in, one normalised Parquet file per set out.

`test/_manifest.json` lists the sets with their hashes, the example pairs for prompts, and the sets
that could not be had with the reason, so that every reader of `test/` knows what is missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.eval_sets.download import Publishers
from pipeline.eval_sets.eval_set import NUM_PAIRS, EvalSet, Pair
from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.eval_sets.sources import Folder, NotAvailable, Source, SourceFile
from pipeline.shared.errors import UserError
from pipeline.shared.files import once, sha256_file, write_json
from pipeline.shared.formats.examples import Example, write_examples
from pipeline.shared.params.text import EvalSetsParams
from pipeline.shared.running.listing import MANIFEST
from pipeline.shared.running.stage import Stage


def run(stage: Stage) -> dict[str, Any]:
    """Prepare every set that has files; returns counts, hashes and what is not available."""
    source = _open_source(stage)
    published = [eval_set for eval_set in EVAL_SETS.values() if eval_set.test]
    records: dict[str, dict[str, Any]] = {}
    with stage.progress("evaluation sets", total=len(published), unit="sets") as progress:
        for eval_set in published:
            done = stage.work / "sets" / f"{eval_set.name}.json"
            records[eval_set.name] = once(done, partial(_prepare, eval_set, source, stage))
            progress.update(note=eval_set.name)
    _write_manifests(stage.staging, records)
    counts = {
        name: {key: value for key, value in record.items() if key != "example_pairs"}
        for name, record in records.items()
    }
    missing = {
        name: record["not_available"]
        for name, record in records.items()
        if "not_available" in record
    }
    if missing:
        reasons = (f"{name} ({why.partition(';')[0]})" for name, why in missing.items())
        stage.log.warning("not available: %s; what gets them: metrics.json", ", ".join(reasons))
    if len(missing) == len(records):
        first = next(iter(missing.values()))
        raise UserError(f"no evaluation set is to be had; the first: {first}")
    return {"num_sets": len(records) - len(missing), "not_available": missing, "sets": counts}


def _open_source(stage: Stage) -> Source:
    params = stage.params.eval_sets
    if params.source == "published":
        return Publishers(stage.work.parent.parent / "eval_sets_downloads")
    if params.source == "sample_web":
        return Folder(stage.inputs["sample_web"], check_digests=False)
    if params.location is None:
        raise UserError(
            "params.yaml: eval_sets.location is null, but source: folder needs the folder of "
            "downloaded files; set it"
        )
    root = Path(params.location)
    if not root.is_dir():
        raise UserError(
            f"params.yaml: eval_sets.location = {root}: no such folder; put the published files "
            "there, in a subfolder per set (pipeline/eval_sets/), or change it"
        )
    return Folder(root)


def _prepare(eval_set: EvalSet, source: Source, stage: Stage) -> dict[str, Any]:
    """Write one set's files; returns its record for manifest and metrics."""
    assert eval_set.read_test is not None
    try:
        files = {name: source.locate(file) for name, file in eval_set.test.items()}
        pair_files = {name: source.locate(file) for name, file in eval_set.pairs.items()}
    except NotAvailable as reason:
        return {"not_available": str(reason)}
    examples = eval_set.read_test(files)
    params, seed = stage.params.eval_sets, stage.params.seeds.corpus
    if eval_set.scoring == "running_text":
        text = Prefix(examples, params.max_text_bytes)
        chosen, pairs, departures = list(text), list[Pair](), text.departures
    else:
        chosen, pairs, departures = _choose(eval_set, examples, params, seed)
    if not chosen:
        paths = ", ".join(str(file.path) for file in files.values())
        return {"not_available": f"{paths}: no example left to score; give a fuller file"}
    if eval_set.read_pairs is not None:
        pairs = list(islice(eval_set.read_pairs(pair_files), NUM_PAIRS))
    path = stage.staging / "test" / f"{eval_set.name}.parquet"
    write_examples(path, chosen)
    record = {
        "num_examples": len(chosen),
        "text_bytes": sum(len(example.text.encode()) for example in chosen),
        "sha256": sha256_file(path),
        "sources": {name: _describe(file) for name, file in (files | pair_files).items()},
        "example_pairs": pairs,
        "departures": departures,
        **_inverse_check(eval_set, chosen),
    }
    return record | _prepare_train(eval_set, source, stage)


def _choose(
    eval_set: EvalSet, examples: Iterable[Example], params: EvalSetsParams, seed: int
) -> tuple[list[Example], list[Pair], list[str]]:
    """A sample of independent questions by hash of the id, in file order, and pairs beside it.

    Third, what of the published set is left out, in words.
    """
    in_order = list(examples)
    ranked = sorted(in_order, key=lambda example: sampling_key(seed, example.id))
    pairs: list[Pair] = []
    if eval_set.pairs_from_test:
        aside, ranked = ranked[:NUM_PAIRS], ranked[NUM_PAIRS:]
        pairs = [Pair(example.context, example.references[0]) for example in aside]
    chosen = {example.id for example in ranked[: params.max_examples]}
    kept = [example for example in in_order if example.id in chosen]
    left_out = [f"{len(kept):,} of its {len(in_order):,} examples"] * (len(kept) < len(in_order))
    return kept, pairs, left_out


def sampling_key(seed: int, id_: str) -> str:
    """A rank that depends on seed and id alone, so that samples of two runs or sets agree."""
    return hashlib.sha256(f"{seed}:{id_}".encode()).hexdigest()


class Prefix:
    """Whole examples from the start, of at most `max_bytes` of running text, but at least one."""

    def __init__(self, examples: Iterable[Example], max_bytes: int | None) -> None:
        """To be read once."""
        self._examples = examples
        self._max_bytes = max_bytes
        self._num_bytes = 0
        self.departures: list[str] = []
        """What of the text is left out, in words; known once it was read."""

    def __iter__(self) -> Iterator[Example]:
        """The examples."""
        for example in self._examples:
            size = len(example.target.encode())
            if self._max_bytes is not None and 0 < self._num_bytes > self._max_bytes - size:
                self.departures = [f"the first {self._num_bytes:,} bytes of the text"]
                return
            self._num_bytes += size
            yield example


def _inverse_check(eval_set: EvalSet, examples: list[Example]) -> dict[str, Any]:
    """Prove the de-tokenizer on each example; counts the lines that need an edit to come back."""
    if eval_set.detokenizer is None:
        return {}
    edits = 0
    for example in examples:
        detokenized = eval_set.detokenizer.detokenize(example.target)
        if eval_set.detokenizer.restore(detokenized) != example.target:
            raise AssertionError(f"{eval_set.name} {example.id}: the de-tokenizer lost something")
        edits += len(detokenized.edits)
    return {"detokenizer": eval_set.detokenizer.name, "detokenizer_edits": edits}


def _prepare_train(eval_set: EvalSet, source: Source, stage: Stage) -> dict[str, Any]:
    """Write the set's own training text, if it has one; from whichever of its files are there."""
    if eval_set.read_train is None:
        return {}
    files: dict[str, SourceFile] = {}
    reasons: list[str] = []
    for name, file in eval_set.train.items():
        try:
            files[name] = source.locate(file)
        except NotAvailable as reason:
            reasons.append(str(reason))
    missing: dict[str, Any] = {}
    if reasons:
        missing = {"train_files_missing": len(reasons), "train_not_available": reasons[0]}
    if not files:
        return missing
    path = stage.staging / "train" / f"{eval_set.name}.parquet"
    limit = stage.params.eval_sets.max_train_text_bytes
    text = Prefix(eval_set.read_train(files), limit)
    count = write_examples(path, text)
    departures = [part.replace("the text", "its own train text") for part in text.departures]
    if reasons:
        departures.append(f"{len(files)} of the {len(eval_set.train)} files of its own train text")
    record = {"train_examples": count, "train_sha256": sha256_file(path)}
    return record | {"train_departures": departures} | missing


def _describe(file: SourceFile) -> dict[str, str]:
    return {"name": file.path.name, "sha256": file.digest, "note": file.note}


def _write_manifests(staging: Path, records: Mapping[str, Mapping[str, Any]]) -> None:
    test = {name: record for name, record in records.items() if "sha256" in record}
    train = {name: record for name, record in records.items() if "train_sha256" in record}
    keys = ("num_examples", "sha256", "sources", "example_pairs", "departures")
    write_json(
        staging / "test" / MANIFEST,
        {
            "sets": {name: {key: record[key] for key in keys} for name, record in test.items()},
            "not_available": {
                name: record["not_available"]
                for name, record in records.items()
                if "not_available" in record
            },
        },
    )
    sets = {
        name: {"num_examples": record["train_examples"], "sha256": record["train_sha256"]}
        for name, record in train.items()
    }
    write_json(staging / "train" / MANIFEST, {"sets": sets})
