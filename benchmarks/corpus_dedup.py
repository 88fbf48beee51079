"""Near-duplicates: documents/s, memory, recall and precision beside five other tools.

Real documents, and after every third an edited copy of one; whether a document truly is a
near-duplicate of an earlier one is counted from its sets of words, without a hash. Contenders run
in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from corpus import versions
from dedup_contenders import THRESHOLD, Flags, shingle
from many_documents import edit, read_texts
from result_table import Row, compare

from pipeline.shared.text.words import normalise

_PEERS = ("gaoya", "rensa_dedup", "rensa_lsh", "fastsketchlsh", "datasketch", "datatrove")
_FEWER = {"datasketch": 20_000, "datatrove": 3_000}
_LONGEST = 20_000  # characters: a novel's truth takes as long as a thousand pages'
_COPIED = 3  # a copy after so many


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this part takes."""
    parser.add_argument("--corpus", type=Path, required=True, help="folder of *.jsonl.zst")
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", nargs="*", choices=_PEERS, default=_PEERS)


def measure(arguments: argparse.Namespace) -> tuple[list[Row], str]:
    """Run every contender on the same documents; returns rows and what they mean."""
    texts = make_texts(arguments.corpus, arguments.documents)
    names = ["figure4", *arguments.peers]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pq.write_table(pa.table({"text": texts}), folder / "texts.parquet")
        runs: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for turn in range(arguments.rounds):
            for contender in names:
                if turn == 0 or contender not in _FEWER:
                    count = min(_FEWER.get(contender, len(texts)), len(texts))
                    runs[contender].append(_run(contender, folder, count))
    truth = find_truth(texts)
    rows = [row for peer in arguments.peers for row in _rows(peer, runs, truth)]
    return rows, _notes(texts, truth, runs)


def make_texts(folder: Path, count: int) -> list[str]:
    """Real documents as lower-case words, and after every third an edited copy of one of them."""
    generator = random.Random(1)
    texts: list[str] = []
    originals: list[str] = []
    for text in (normalise(text) for _, text in read_texts(folder) if len(text) < _LONGEST):
        originals.append(text)
        texts.append(text)
        if len(originals) % _COPIED == 0:
            changed = generator.choice([0.0, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05])
            texts.append(edit(generator.choice(originals), changed, generator))
        if len(texts) >= count:
            break
    return texts[:count]


def find_truth(texts: Sequence[str]) -> Flags:
    """Whether each text is a near-duplicate of an earlier one: [texts].

    Exact, by sets of strings. Two sets as similar as the threshold share one of the first members,
    in any order that both keep to, of which a set has (1 - threshold) of its size and one more; so
    these find the pairs to compare.
    """
    holders: dict[str, list[int]] = defaultdict(list)
    sets: list[set[str]] = []
    truth = np.zeros(len(texts), np.bool_)
    for number, text in enumerate(texts):
        members = set(shingle(text))
        first = sorted(members, key=_order)[: int((1 - THRESHOLD) * len(members)) + 1]
        others = {other for member in first for other in holders[member]}
        truth[number] = any(_is_similar(members, sets[other]) for other in others)
        for member in first:
            holders[member].append(number)
        sets.append(members)
    return truth


def _is_similar(left: set[str], right: set[str]) -> bool:
    shorter, longer = sorted((len(left), len(right)))
    if shorter < THRESHOLD * longer:
        return False
    shared = len(left & right)
    return shared >= THRESHOLD * max(shorter + longer - shared, 1)


def _order(member: str) -> tuple[int, str]:
    """An order in which common runs of words are not all first, as those with "a" would be."""
    return zlib.crc32(member.encode()), member


def _run(contender: str, folder: Path, count: int) -> dict[str, Any]:
    """Costs and flags of one contender, in a process of its own."""
    out = folder / "flags.npy"
    command = [sys.executable, str(Path(__file__).with_name("dedup_contenders.py")), contender]
    command += [str(folder / "texts.parquet"), str(out), f"--documents={count}"]
    environment = os.environ | dict.fromkeys(("RAYON_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    costs = json.loads(done.stdout.splitlines()[-1])
    return costs | {"flags": np.load(out), "rate": count / costs["cpu_s"]}


def _rows(peer: str, runs: dict[str, list[dict[str, Any]]], truth: Flags) -> list[Row]:
    ours, theirs = runs["figure4"], runs[peer]
    ratios = [mine["rate"] / its["rate"] for mine, its in zip(ours, theirs, strict=False)]
    rates = [median(run["rate"] for run in own) for own in (ours, theirs)]
    scores = [score(own[0]["flags"], truth) for own in (ours, theirs)]
    rows = [_row("speed, one thread", *rates, peer, "documents per CPU s", ratio=median(ratios))]
    for place, name in enumerate(("recall", "precision")):
        rows.append(_row(f"{name} at 0.8", *(each[place] for each in scores), peer, "of one"))
    if len(theirs[0]["flags"]) == len(truth):  # else it was given fewer documents
        memory = [median(run["memory_mib"] for run in own) for own in (ours, theirs)]
        rows.append(_row("memory", *memory, peer, "MiB", higher_is_better=False))
    return rows


def _row(case: str, ours: float, its: float, peer: str, unit: str, **more: Any) -> Row:
    higher_is_better = more.get("higher_is_better", True)
    plain = compare(case, ours, its, peer, unit, higher_is_better=higher_is_better)
    return replace(plain, ratio=more.get("ratio", plain.ratio))


def score(flags: Flags, truth: Flags) -> tuple[float, float]:
    """Recall and precision of what a contender says of the first documents."""
    right = int((flags & truth[: len(flags)]).sum())
    return right / int(truth[: len(flags)].sum()), right / max(int(flags.sum()), 1)


def _notes(texts: Sequence[str], truth: Flags, runs: dict[str, list[dict[str, Any]]]) -> str:
    size_mb = sum(map(len, texts)) / 1e6
    fewer = ", ".join(f"{name} {count:,}" for name, count in _FEWER.items())
    walls = ", ".join(
        f"{name} {len(own[0]['flags']) / median(run['wall_s'] for run in own):,.0f}"
        for name, own in runs.items()
    )
    packages = versions("rensa", "gaoya", "FastSketchLSH", "datasketch", "datatrove", "numpy")
    return f"""
{len(texts):,} documents, {size_mb:.0f} MB, lower-case words; {int(truth.sum()):,} are truly
near-duplicates of an earlier one (Jaccard of 0.8 or more over runs of five words, by sets of
strings; nearly all of them planted, with 0 to 5 % of the words replaced). Slow peers get fewer
documents ({fewer}) and one round. Peers that take tokens get them from Python's `split`.
Documents per second of wall time: {walls}. {packages}."""
