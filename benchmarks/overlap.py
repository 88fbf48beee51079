"""Measure the overlap stage per core beside datatrove's decontamination, rbloom and fastbloom-rs.

    python benchmarks/overlap.py --corpus FOLDER

Contenders run in processes of their own and take turns.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from corpus import version_of_python, versions
from many_documents import read_texts
from overlap_contenders import FILTERS, TEXT
from result_table import Row, command_line, compare, write_results

_FEWER = {"datatrove": 20}
_ASKED_WORDS = 40
_WEBTEXT_BYTES, _WEBTEXT_NGRAMS = 40e9, 6e9
Runs = dict[str, list[dict[str, Any]]]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True, help="folder of *.jsonl.zst")
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--keys", type=int, default=16_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "texts.parquet"
        texts = _write_texts(arguments, path)
        text_runs, filter_runs = _run_all(arguments, path)
    mb = sum(len(text.encode()) for text in texts) / 1e6
    rows = _text_rows(text_runs, texts, mb) + _filter_rows(filter_runs, arguments.keys)
    notes = _notes(text_runs, filter_runs, arguments, mb)
    print("written:", write_results("overlap", "cpu", rows, notes))


def _write_texts(arguments: argparse.Namespace, path: Path) -> list[str]:
    """Documents, and beside one in ten a passage that is asked for; half of these are held."""
    every = [text for _, text in read_texts(arguments.corpus)][: arguments.documents * 21 // 20]
    texts, fresh = every[: arguments.documents], every[arguments.documents :]
    sources = [texts[n * 20] for n in range(len(fresh))] + fresh
    passages = [" ".join(text.split()[:_ASKED_WORDS]) for text in sources]
    asked = passages + [""] * (len(texts) - len(passages))
    pq.write_table(pa.table({"text": texts, "asked": asked}), path)
    return texts


def _run_all(arguments: argparse.Namespace, path: Path) -> tuple[Runs, Runs]:
    text_runs, filter_runs = defaultdict(list), defaultdict(list)
    for _ in range(arguments.rounds):
        for contender in TEXT:
            count = arguments.documents // _FEWER.get(contender, 1)
            text_runs[contender].append(_run("text", contender, path, count) | {"count": count})
        for contender in FILTERS:
            filter_runs[contender].append(_run("filter", contender, path, arguments.keys))
    return text_runs, filter_runs


def _run(part: str, contender: str, path: Path, count: int) -> dict[str, Any]:
    script = Path(__file__).with_name("overlap_contenders.py")
    command = [sys.executable, str(script), part, contender, str(path), f"--count={count}"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    costs: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(part, contender, costs, file=sys.stderr)
    return costs


def _text_rows(runs: Runs, texts: list[str], mb: float) -> list[Row]:
    rows = []
    for peer in TEXT:
        if peer != "figure4":
            share = runs[peer][0]["count"]
            its_mb = sum(len(text.encode()) for text in texts[:share]) / 1e6
            ours = median(mb / run["read_s"] for run in runs["figure4"])
            theirs = median(its_mb / run["read_s"] for run in runs[peer])
            rows.append(compare("text held against an index", ours, theirs, peer, "MB/CPU s"))
    return rows


def _filter_rows(runs: Runs, keys: int) -> list[Row]:
    rows = []
    for peer in FILTERS:
        if peer == "figure4":
            continue
        for case, name in (
            ("filter: filled", "fill_s"),
            ("filter: asked for held keys", "ask_s"),
            ("filter: asked for absent keys", "ask_absent_s"),
        ):
            ours, theirs = (
                median(keys / 1e6 / run[name] for run in runs[one]) for one in ("figure4", peer)
            )
            rows.append(compare(case, ours, theirs, peer, "million keys/CPU s"))
        memory = [median(run["memory_mib"] for run in runs[one]) for one in ("figure4", peer)]
        rows.append(compare("filter: memory", *memory, peer, "MiB", higher_is_better=False))
    return rows


def _notes(text_runs: Runs, filter_runs: Runs, arguments: argparse.Namespace, mb: float) -> str:
    own = text_runs["figure4"]
    seconds = {name: median(run[name] for run in own) for name in ("read_s", "sort_s", "merge_s")}
    ngrams = own[0]["ngrams"]
    fill = median(run["fill_s"] for run in filter_runs["figure4"]) / arguments.keys
    nanoseconds = {name: 1e9 * value / ngrams for name, value in seconds.items()}
    # 40 GB of text at the measured MB/s; what is done by the n-gram, by the 6e9 n-grams
    hours = {
        "reading": _WEBTEXT_BYTES / 1e6 / (mb / seconds["read_s"]) / 3600,
        "sorting": _WEBTEXT_NGRAMS * seconds["sort_s"] / ngrams / 3600,
        "joining": _WEBTEXT_NGRAMS * seconds["merge_s"] / ngrams / 3600,
        "filter": _WEBTEXT_NGRAMS * fill / 3600,
    }
    total = sum(hours.values())
    parts = ", ".join(f"{name} {value:.2f}" for name, value in hours.items())
    tested = ", ".join(
        f"{name} {int(run[0]['false'])} at {run[0]['bits_a_key']:.2f} bits a key"
        for name, run in filter_runs.items()
    )
    memory = median(run["memory_mib"] for run in own)
    return f"""`{command_line()}`; Python {version_of_python()}.

{arguments.documents:,} documents, {mb:,.0f} MB, {ngrams:,} 8-grams; \
{arguments.keys:,} keys of 64 bits in filters for a rate of 1e-8. datatrove got a \
twentieth of the documents; it stops at a document's first match. Peers of the filter are given \
Python's integers, which is their fastest way in; those are part of their memory.

This stage by part, one core: reading (words, n-grams, matches, copied spans) \
{mb / seconds["read_s"]:.0f} MB/s or {ngrams / 1e6 / seconds["read_s"]:.1f} million 8-grams/s; \
{nanoseconds["read_s"]:.0f} ns an 8-gram, sorting {nanoseconds["sort_s"]:.0f} ns, joining shards \
{nanoseconds["merge_s"]:.0f} ns, filling the filter {1e9 * fill:.0f} ns. \
Memory {memory:,.0f} MiB with all of the text's n-grams at once; the stage holds those of a shard \
of 64 MiB or of a range of 8 million.

Absent keys that a filter claimed, of {arguments.keys:,}: {tested}.

WebText (40 GB, 6e9 8-grams), by these rates: CPU hours {parts}; {total:.1f} together, on 16 cores \
{60 * total / 16:.0f} minutes. Not measured: that 16 cores share the memory's bandwidth, and the \
disk (72 GB of n-grams written and read twice).

{versions("rbloom", "fastbloom_rs", "datatrove", "numpy")}."""


if __name__ == "__main__":
    main()
