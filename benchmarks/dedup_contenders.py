"""One tool that finds near-duplicates, in a process of its own: `python dedup_contenders.py NAME`.

Every contender gets the same texts, lower-case words with a space between, and says of each whether
it is a near-duplicate of an earlier one: Jaccard of 0.8 over runs of five words, 128 permutations.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

Flags = npt.NDArray[np.bool_]

THRESHOLD, PERMUTATIONS, WORDS, BANDS = 0.8, 128, 5, 16
_BATCH = 1000


def shingle(text: str) -> list[str]:
    """Runs of five words as strings, as the peers that take tokens are given them."""
    words = text.split()
    return [" ".join(words[start : start + WORDS]) for start in range(len(words) - WORDS + 1)]


def _batches(texts: list[str]) -> Iterator[list[list[str]]]:
    for start in range(0, len(texts), _BATCH):
        yield [shingle(text) for text in texts[start : start + _BATCH]]


def figure4(texts: list[str]) -> Flags:
    """This project's own steps, without language, Wikipedia and evaluation sets."""
    from pipeline.dedup.minhash import band_keys, choose_bands
    from pipeline.dedup.near_duplicates import find_near_duplicates
    from pipeline.dedup.shingles import ShingleSets, count_offsets, distinct_members, make_shingles
    from pipeline.shared.text.words import batch_texts, hash_texts

    bands = choose_bands(PERMUTATIONS, THRESHOLD)
    keys, sets = [], []
    for batch in batch_texts(texts):
        shingles = make_shingles(hash_texts(texts[batch]), WORDS)
        keys.append(band_keys(shingles, num_permutations=PERMUTATIONS, bands=bands, seed=1))
        sets.append(distinct_members(shingles))
    found = find_near_duplicates(
        np.concatenate(keys, axis=1).__getitem__,
        bands.num_bands,
        np.arange(len(texts)),
        ShingleSets(
            [np.concatenate([members for members, _ in sets])],
            [count_offsets(np.concatenate([counts for _, counts in sets]))],
        ),
        threshold=THRESHOLD,
    )
    flags = np.zeros(len(texts), np.bool_)
    flags[found.removed] = True
    return flags


def gaoya(texts: list[str]) -> Flags:
    """Its index of strings, which makes the shingles itself."""
    from gaoya.minhash import MinHashStringIndex

    index = MinHashStringIndex(
        32, THRESHOLD, None, None, PERMUTATIONS, "word", False, (WORDS, WORDS), "vec"
    )
    index.par_bulk_insert_docs(list(range(len(texts))), texts)
    found = index.par_bulk_query(texts)
    return np.array([min(own, default=n) < n for n, own in enumerate(found)], np.bool_)


def rensa_dedup(texts: list[str]) -> Flags:
    """Rensa's own deduplicator."""
    from rensa import RMinHashDeduplicator

    dedup = RMinHashDeduplicator(THRESHOLD, PERMUTATIONS, True, BANDS)
    flags: list[bool] = []
    for batch in _batches(texts):
        first = len(flags)
        pairs = [(str(first + n), tokens) for n, tokens in enumerate(batch)]
        flags += [not added for added in dedup.add_pairs(pairs)]
    return np.array(flags, np.bool_)


def rensa_lsh(texts: list[str]) -> Flags:
    """Rensa's digests and its LSH index of 16 bands of 8 rows."""
    from rensa import RMinHash, RMinHashLSH

    index = RMinHashLSH(THRESHOLD, PERMUTATIONS, BANDS)
    flags: list[bool] = []
    for batch in _batches(texts):
        for digest in RMinHash.from_token_sets(batch, PERMUTATIONS, 1):
            flags.append(bool(index.query(digest)))
            index.insert(len(flags) - 1, digest)
    return np.array(flags, np.bool_)


def fastsketchlsh(texts: list[str]) -> Flags:
    """Fast similarity sketches and their LSH index of 16 bands of 8 rows."""
    from FastSketchLSH import LSH, FastSimilaritySketch

    sketch = FastSimilaritySketch(PERMUTATIONS, 1)
    index = LSH(PERMUTATIONS, BANDS, num_threads=1)
    flags: list[bool] = []
    for batch in _batches(texts):
        for row in np.asarray(sketch.batch(batch, num_threads=1), np.uint64):
            flags.append(bool(len(index.query(row))))
            index.insert(row[None])
    return np.array(flags, np.bool_)


def datasketch(texts: list[str]) -> Flags:
    """Its MinHash and the LSH index that it chooses for the threshold."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
    flags: list[bool] = []
    for batch in _batches(texts):
        for tokens in batch:
            digest = MinHash(PERMUTATIONS, seed=1)
            digest.update_batch([token.encode() for token in tokens])
            flags.append(bool(index.query(digest)))
            index.insert(len(flags) - 1, digest, check_duplication=False)
    return np.array(flags, np.bool_)


def datatrove(texts: list[str]) -> Flags:
    """Its four steps over files: signatures, buckets, clusters, and which documents go."""
    from datatrove.data import Document
    from datatrove.pipeline.dedup.minhash import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupSignature,
    )
    from datatrove.utils.hashing import HashConfig

    flags = np.zeros(len(texts), np.bool_)
    hashing = HashConfig(hash_fc="sha1")  # its xxhash is broken with xxhash 4
    config = MinhashConfig(WORDS, num_buckets=BANDS, hashes_per_bucket=8, hash_config=hashing)
    with tempfile.TemporaryDirectory() as folder:
        places = [f"{folder}/{name}" for name in ("signatures", "buckets", "clusters")]
        documents = (Document(text=text, id=str(n)) for n, text in enumerate(texts))
        MinhashDedupSignature(places[0], config).run(documents, 0, 1)
        for band in range(BANDS):
            MinhashDedupBuckets(places[0], places[1], config=config).run(None, band, BANDS)
        MinhashDedupCluster(places[1], places[2], config).run(None, 0, 1)
        for path in Path(places[2]).glob("*.remove"):
            flags[[number for (number,) in struct.iter_unpack("<I", path.read_bytes())]] = True
    return flags


CONTENDERS: dict[str, Callable[[list[str]], Flags]] = {
    contender.__name__: contender
    for contender in (
        figure4,
        gaoya,
        rensa_dedup,
        rensa_lsh,
        fastsketchlsh,
        datasketch,
        datatrove,
    )
}


def main() -> None:
    """Run one contender; prints its costs as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("texts", type=Path, help="Parquet with a column `text`")
    parser.add_argument("out", type=Path, help="where the flags go (.npy)")
    parser.add_argument("--documents", type=int, required=True)
    arguments = parser.parse_args()
    texts = pq.read_table(arguments.texts)["text"].to_pylist()[: arguments.documents]
    run = CONTENDERS[arguments.name]
    run(texts[:10])  # its imports
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before_mib = _status_mib("VmRSS")
    started_s, cpu_s = time.monotonic(), _cpu_s()
    flags = run(texts)
    costs = {"wall_s": time.monotonic() - started_s, "cpu_s": _cpu_s() - cpu_s}
    np.save(arguments.out, flags)
    print(json.dumps(costs | {"memory_mib": _status_mib("VmHWM") - before_mib}))


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _status_mib(name: str) -> float:
    """Resident memory of this process, now (VmRSS) or at its peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


if __name__ == "__main__":
    main()
