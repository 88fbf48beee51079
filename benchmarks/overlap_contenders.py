"""The overlap stage's parts and their peers, each run by itself: `overlap_contenders.py NAME`.

Parts that read text get documents and what is asked for: sentences of some of them and of others.
Parts of a filter get sorted hashes, as the stage has them, and as many absent ones.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

Hashes = npt.NDArray[np.uint64]
Times = dict[str, float]
WORDS, BOUND = 8, 1e-8
_KEYS_A_PART = 2**23


def cpu_s() -> float:
    """CPU time of this process so far, in seconds."""
    times = os.times()
    return times.user + times.system


class Clock:
    """CPU seconds by name."""

    def __init__(self) -> None:
        self.times: Times = {}

    def measure(self, name: str, work: Callable[[], Any]) -> Any:
        """Run `work` and note its CPU time."""
        started = cpu_s()
        result = work()
        self.times[name] = cpu_s() - started
        return result


def figure4_text(texts: list[str], asked: list[str]) -> Times:
    """Texts to n-grams, matches with the asked texts, copied spans; then sorted and joined."""
    from pipeline.overlap.spans import SoughtTexts, keep_longest
    from pipeline.overlap.training_side import read_batches, sort_pairs
    from pipeline.shared.text.ngrams import ExactIndex
    from pipeline.shared.text.words import split_words

    clock = Clock()
    words = [split_words(text) for text in asked]
    index = ExactIndex(words, WORDS)
    sought = SoughtTexts.of(words, index)
    batches = clock.measure("read_s", lambda: list(read_batches(texts, index, sought)))
    hashes = np.concatenate([batch.hashes for batch in batches])
    owners = np.concatenate([batch.owners for batch in batches])
    spans = keep_longest([batch.spans for batch in batches])
    held = np.unique(np.concatenate([batch.places for batch in batches]))
    pairs = clock.measure("sort_s", lambda: sort_pairs(hashes, owners))
    shards = [(pairs[0][n::8], pairs[1][n::8]) for n in range(8)]  # each sorted, as a shard's
    joined = [np.concatenate(columns) for columns in zip(*shards, strict=True)]
    clock.measure("merge_s", lambda: sort_pairs(*joined))
    counts = {"ngrams": len(hashes), "found": len(held), "spans": len(spans.text)}
    return clock.times | counts


def datatrove_text(texts: list[str], asked: list[str]) -> Times:
    """Its decontamination filter, with an index of the asked texts by its own hashes."""
    from datatrove.data import Document
    from datatrove.pipeline.decont.n_grams import NGramsDecontConfig, NGramsDecontFilter
    from datatrove.utils.hashing import HashConfig
    from datatrove.utils.text import ngrams, simplify_text

    config = NGramsDecontConfig(n_grams=WORDS, hash_config=HashConfig(hash_fc="sha1"))
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        step = NGramsDecontFilter(folder, config)
        hashes = set()
        for text in asked:
            words = step.tokenizer.word_tokenize(simplify_text(text, config.norm_config))
            hashes |= {step.hash_func(" ".join(gram)) for gram in ngrams(words, WORDS)}
        np.array(sorted(hashes), np.uint64).tofile(f"{folder}/asked.index.hashes")
        step.load_index_hashes()
        documents = [Document(text=text, id=str(n)) for n, text in enumerate(texts)]
        found = clock.measure("read_s", lambda: sum(step.filter(d) is not True for d in documents))
    return clock.times | {"found": found}


def figure4_filter(keys: Hashes, absent: Hashes) -> Times:
    """Our filter, in parts as the stage fills it."""
    from pipeline.overlap.bloom import BloomFilter, shape_filter, slice_part

    num_parts = -(-len(keys) // _KEYS_A_PART)
    shape = shape_filter(len(keys), BOUND, num_parts=num_parts)

    def measure_part(part: int) -> Times:
        clock, bloom = Clock(), BloomFilter(shape, part)
        mine, theirs = (one[slice_part(one, part, num_parts)] for one in (keys, absent))
        clock.measure("fill_s", lambda: bloom.add(mine))
        assert clock.measure("ask_s", lambda: bloom.contains(mine)).all()
        false = clock.measure("ask_absent_s", lambda: bloom.contains(theirs)).sum()
        return clock.times | {"false": int(false)}

    parts = [measure_part(part) for part in range(num_parts)]
    times = {name: sum(part[name] for part in parts) for name in parts[0]}
    return times | {"bits_a_key": 8 * shape.num_bytes / len(keys)}


def rbloom_filter(keys: Hashes, absent: Hashes) -> Times:
    """rbloom, given Python's integers."""
    from rbloom import Bloom

    clock = Clock()
    bloom = Bloom(len(keys), BOUND)
    clock.measure("fill_s", lambda: bloom.update(keys.tolist()))
    held = clock.measure("ask_s", lambda: sum(key in bloom for key in keys.tolist()))
    assert held == len(keys)
    false = clock.measure("ask_absent_s", lambda: sum(key in bloom for key in absent.tolist()))
    return clock.times | {"false": false, "bits_a_key": bloom.size_in_bits / len(keys)}


def fastbloom_filter(keys: Hashes, absent: Hashes) -> Times:
    """fastbloom-rs, given integers in batches; its integers are signed."""
    from fastbloom_rs import FilterBuilder

    clock = Clock()
    signed, others = keys.view(np.int64), absent.view(np.int64)
    bloom = FilterBuilder(len(keys), BOUND).build_bloom_filter()
    clock.measure("fill_s", lambda: bloom.add_int_batch(signed.tolist()))
    assert all(clock.measure("ask_s", lambda: bloom.contains_int_batch(signed.tolist())))
    false = clock.measure("ask_absent_s", lambda: sum(bloom.contains_int_batch(others.tolist())))
    bits = 32 * len(bloom.get_int_array()) if hasattr(bloom, "get_int_array") else 0
    return clock.times | {"false": false, "bits_a_key": bits / len(keys)}


TEXT = {"figure4": figure4_text, "datatrove": datatrove_text}
FILTERS = {"figure4": figure4_filter, "rbloom": rbloom_filter, "fastbloom_rs": fastbloom_filter}


def main() -> None:
    """Run one contender; prints its costs as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("part", choices=["text", "filter"])
    parser.add_argument("name", choices=sorted({*TEXT, *FILTERS}))
    parser.add_argument("texts", type=Path, help="Parquet with columns `text` and `asked`")
    parser.add_argument("--count", type=int, required=True, help="documents, or keys")
    arguments = parser.parse_args()
    if arguments.part == "text":
        table = pq.read_table(arguments.texts)
        texts = table["text"].to_pylist()[: arguments.count]
        asked = [text for text in table["asked"].to_pylist() if text]
        run = lambda few: TEXT[arguments.name](texts[:few], asked)  # noqa: E731
    else:
        generator = np.random.default_rng(1)
        keys, absent = np.sort(generator.integers(0, 2**64, (2, arguments.count), np.uint64))
        run = lambda few: FILTERS[arguments.name](keys[:few], absent[:few])  # noqa: E731
    run(100)  # its imports
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before_mib = _status_mib("VmRSS")
    costs = run(arguments.count)
    print(json.dumps(costs | {"memory_mib": _status_mib("VmHWM") - before_mib}))


def _status_mib(name: str) -> float:
    """Resident memory of this process, now (VmRSS) or at its peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


if __name__ == "__main__":
    main()
