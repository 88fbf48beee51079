"""The cost of millions of documents: time, memory and disk at growing sizes, and their growth.

Real documents are multiplied with edits, each size is run through the stages as processes of their
own, and a power of the number of documents is fitted to each cost. What does not grow (imports, the
index of the evaluation sets) is measured with the fewest documents and subtracted first.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from many_documents import multiply
from result_table import Row, compare
from stage_costs import Costs, run_stage

from pipeline.shared.files import read_json
from pipeline.shared.formats.documents import write_documents

_ASKED = (8_000_000, 45_000_000)  # WebText's documents, and the links it came from
_LIMIT_MIB = 8 * 1024
_MARKS = {
    "dedup": {"features": "*/dedup/*/verdicts/*", "decide": "*/dedup/*/written/*"},
    "tokenize": {},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this part takes."""
    parser.add_argument("--corpus", type=Path, required=True, help="folder of *.jsonl.zst")
    parser.add_argument("--eval-sets", type=Path, required=True, help="folder of <set>.parquet")
    parser.add_argument("--gpt2-bpe", type=Path, help="folder of vocab.bpe: tokenize too")
    parser.add_argument("--scratch", type=Path, required=True, help="an empty folder on a disk")
    parser.add_argument(
        "--documents", type=int, nargs="+", default=[100, 10_000, 100_000, 1_000_000]
    )
    parser.add_argument("--workers", type=int, default=2)


class Measured(NamedTuple):
    """One stage at one size."""

    stage: str
    documents: int
    text_mib: float
    costs: Costs


def measure(arguments: argparse.Namespace) -> tuple[list[Row], str]:
    """Run every size; returns the largest size's memory beside 8 GB, and the growth as Markdown."""
    found: list[Measured] = []
    for count in arguments.documents:
        found += _measure_size(arguments, count)
        print("\n".join(_table(found)), flush=True)
    largest = [each for each in found if each.documents == max(arguments.documents)]
    rows = [
        compare(
            f"memory of {each.stage}, {each.documents:,} documents",
            each.costs.memory_mib,
            _LIMIT_MIB,
            "a machine of 8 GB",
            "MiB",
            higher_is_better=False,
        )
        for each in largest
    ]
    stages = list(dict.fromkeys(each.stage for each in found))
    growth = [line for stage in stages for line in _growth(stage, found)]
    return rows, "\n".join([_ABOUT, "", *_table(found), "", *_HEAD_OF_GROWTH, *growth])


_ABOUT = """
Documents are the real ones, then copies with 0 to 30 % of their words replaced; stages run with two
worker processes. Memory is the largest sum over all of a stage's processes at one moment (PSS,
pages of mapped files included, which the system takes back when it needs them); disk is the largest
size of work folder and result together. CPU seconds are those of all processes."""


def _measure_size(arguments: argparse.Namespace, count: int) -> list[Measured]:
    folder = arguments.scratch / str(count)
    shutil.rmtree(folder, ignore_errors=True)
    write_documents(folder / "in", multiply(arguments.corpus, count, seed=1))
    _write_params(arguments, folder / "params.yaml")
    inputs = {
        "dedup": [f"--documents={folder / 'in'}", f"--eval-sets={arguments.eval_sets}"],
        "tokenize": [f"--documents={folder / 'dedup' / 'kept'}"],
    }
    if not arguments.gpt2_bpe:
        inputs.pop("tokenize")
    found = []
    for stage, options in inputs.items():
        costs = run_stage(
            [
                *(f"pipeline.{stage}", "--profile=single_gpu", *options),
                *(f"--params={folder / 'params.yaml'}", f"--work={folder / 'work'}"),
                f"--out={folder / stage}",
            ],
            folders=[folder / "work", folder / stage],
            marks=_MARKS[stage],
            log=folder / f"{stage}.log",
        )
        metrics = read_json(folder / stage / "metrics.json")
        found.append(Measured(stage, count, metrics["text_bytes"] / 2**20, costs))
        shutil.rmtree(folder / "work")
    shutil.rmtree(folder)
    return found


def _write_params(arguments: argparse.Namespace, path: Path) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())
    profile = params["profiles"]["single_gpu"]
    profile["compute"]["workers"] = arguments.workers
    if arguments.gpt2_bpe:
        profile["tokenize"]["gpt2_bpe_folder"] = str(arguments.gpt2_bpe)
    path.write_text(yaml.safe_dump(params))


def _table(found: list[Measured]) -> list[str]:
    lines = [
        "| stage | documents | text, MiB | documents per CPU s | CPU s | wall s | features until, "
        "decisions until (wall s) | memory, MiB | disk, MiB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for stage, documents, text_mib, costs in found:
        phases = ", ".join(f"{seconds:.0f}" for seconds in costs.phases_s.values())
        lines.append(
            f"| {stage} | {documents:,} | {text_mib:,.0f} | {documents / costs.cpu_s:,.0f} "
            f"| {costs.cpu_s:,.0f} | {costs.wall_s:,.0f} | {phases} | {costs.memory_mib:,.0f} "
            f"| {costs.disk_mib:,.0f} |"
        )
    return lines


_HEAD_OF_GROWTH = [
    "Growth: what the fewest documents cost, and a power fitted to what the others cost beyond it.",
    "WebText's 8 million documents of 5 KB are about 1.7 times as long as these.",
    "",
    "| stage | cost | exponent | " + " | ".join(f"{count:,} documents" for count in _ASKED) + " |",
    "|---|---|---|---|---|",
]


def _growth(stage: str, found: list[Measured]) -> list[str]:
    own = [each for each in found if each.stage == stage]
    counts = [each.documents for each in own]
    costs = {
        "CPU hours": [each.costs.cpu_s / 3600 for each in own],
        "memory, GiB": [each.costs.memory_mib / 1024 for each in own],
        "disk, GiB": [each.costs.disk_mib / 1024 for each in own],
    }
    lines = []
    for name, values in costs.items():
        beyond = np.maximum(np.array(values[1:]) - values[0], 1e-9)
        exponent, constant = np.polyfit(np.log(counts[1:]), np.log(beyond), 1)
        asked = [values[0] + np.exp(constant) * count**exponent for count in _ASKED]
        cells = " | ".join(f"{value:,.1f}" for value in asked)
        lines.append(f"| {stage} | {name} | {exponent:.2f} | {cells} |")
    return lines
