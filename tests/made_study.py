"""A small study for tests, written through the owners of each format; its scores follow a law.

Texts are real English. Half of each set's examples quote a training document, so that overlap has
something to find; losses fall with size, so that Figure 4 has something to show.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from made_documents import english_passages, make_documents
from made_scores import write_set
from shipped_sizes import SIZES

from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.shared.files import write_json
from pipeline.shared.formats.documents import Document, write_documents
from pipeline.shared.formats.examples import Example, write_examples
from pipeline.shared.formats.token_shards import TokenDocument, open_split, write_token_shards
from pipeline.shared.formats.training_documents import write_training_documents
from pipeline.shared.params.file import load_params
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.running.listing import hash_input

PARAMETERS = {"small": 38_128, "medium": 95_104, "large": 289_344, "xl": 1_071_872}
_SHAPE = {"n_layer": 4, "n_head": 2, "context": 256}
NUM_EXAMPLES = 12
_TOKENIZER = "ab" * 32


@dataclass(frozen=True)
class MadeStudy:
    """Where everything lies, and what the texts are."""

    folder: Path
    params: ProfileParams
    train: list[Document]
    test: list[Document]
    examples: Mapping[str, Sequence[Example]]

    @property
    def num_parameters(self) -> dict[str, int]:
        """By size; those of the shipped sizes, and as many again and half for other names."""
        if self.params.sizes == SIZES:
            return PARAMETERS
        return {size: round(40_000 * 2.5**rank) for rank, size in enumerate(self.params.sizes)}


def name_sizes(params: dict[str, Any], sizes: Sequence[str]) -> None:
    """Give the content of params.yaml other rungs in its tiny profile, each wider than the last."""
    params["sizes"] = list(sizes)
    params["profiles"]["tiny"]["models"] = {
        size: {"label": f"rung {rank}", "n_embd": 16 * (rank + 1), **_SHAPE}
        for rank, size in enumerate(sizes)
    }


def make_study(folder: Path, params_yaml: Path, *, num_documents: int = 30) -> MadeStudy:
    """Write every artefact that overlap and report read, but overlap's own."""
    params = load_params(params_yaml, "tiny").params
    documents = make_documents(num_documents, words=80)
    train, test = documents[: num_documents * 2 // 3], documents[num_documents * 2 // 3 :]
    write_documents(folder / "dedup" / "kept", documents)
    for split, members in (("train", train), ("valid", []), ("test", test)):
        shards = [
            TokenDocument(d.id, np.frombuffer(d.text.encode(), np.uint8).astype(np.uint16))
            for d in members
        ]
        write_token_shards(folder / "tokenize" / split, shards, tokenizer_sha256=_TOKENIZER)
    examples = _make_examples(train, num_documents)
    for name, of_set in examples.items():
        write_examples(folder / "eval_sets" / "test" / f"{name}.parquet", of_set)
    write_examples(folder / "eval_sets" / "train" / "ptb.parquet", examples["ptb"][:3])
    study = MadeStudy(folder, params, train, test, examples)
    write_evaluations(study)
    write_trainings(study)
    write_stage_metrics(study)
    return study


def _make_examples(train: list[Document], skip: int) -> dict[str, list[Example]]:
    """Even examples quote a training document, odd ones are found nowhere else."""
    fresh = english_passages(400, words=80)[skip + 10 :]
    sets: dict[str, list[Example]] = {}
    published = [name for name, eval_set in EVAL_SETS.items() if eval_set.test]
    for place, name in enumerate(published):
        sets[name] = []
        for number in range(NUM_EXAMPLES):
            quoted = train[(place + number) % len(train)].text
            source = fresh[place * NUM_EXAMPLES + number] if number % 2 else quoted
            is_short = name == "natural_questions" and number < 2
            text = " ".join(source.split()[: 5 if is_short else 12 + number])
            id_ = f"coqa-{number // 3}:{number % 3 + 1}" if name == "coqa" else f"{name}-{number}"
            sets[name].append(
                Example(
                    id=id_,
                    text=text,
                    context=f"given <{number}>",
                    target=text,
                    choices=["first", "second"],
                    answer=number % 2,
                    references=[f"wanted {name} {number}"],
                )
            )
    return sets


def write_evaluations(study: MadeStudy) -> None:
    """Results of every size on every set, with per-example scores, and Figure 5's samples."""
    for rank, size in enumerate(study.params.sizes):
        folder = study.folder / "evaluate" / size
        for name, eval_set in EVAL_SETS.items():
            if eval_set.scoring == "documents":
                documents = study.train if name == "webtext_train" else study.test
                ids = [document.id for document in documents]
            else:
                ids = [example.id for example in study.examples[name]]
            write_set(folder, name, ids, rank)
        _write_samples(study, folder, rank)
        write_json(folder / "metrics.json", _head("evaluate", size, rank) | {"not_run": {}})


def _write_samples(study: MadeStudy, folder: Path, rank: int) -> None:
    """Real completions, and samples of which the larger sizes' quote less of the training text."""
    rows = []
    for number, document in enumerate(study.test):
        quoted = study.train[number % len(study.train)].text.split()[: max(0, 24 - 6 * rank)]
        made = [f"word{rank}x{number}x{place}" for place in range(20)]
        rows.append({
            "id": document.id,
            "context": document.text[:40],
            "completion": document.text[40:],
            "sample": " ".join(quoted + made if number % 2 else made),
        })
    pd.DataFrame(rows).to_parquet(folder / "samples.parquet", index=False)


def write_trainings(study: MadeStudy) -> None:
    """Curves, sweeps and metrics of tune and train."""
    for rank, size in enumerate(study.params.sizes):
        train, tune = study.folder / "train" / size, study.folder / "tune" / size
        rows = []
        for step in range(1, 31):
            loss = 4.6 - 0.4 * rank + 3.2 * math.exp(-step / 5)
            wave = 0.05 * math.sin(7.0 * step + rank)
            rows.append((step * 50_000, loss + wave, loss, 1e-3))
        _write_csv(
            train / "loss_curve.csv", ("tokens", "train_loss", "valid_loss", "learning_rate"), rows
        )
        write_json(
            train / "metrics.json",
            _head("train", size, rank)
            | {
                "parameters": study.num_parameters[size],
                "non_embedding_parameters": study.num_parameters[size] // 2,
                "tokens": 1_500_000,
                "epochs": 1.02,
                "training_documents": 20,
                "training_text_tokens": 1_470_588,
                "tokens_per_parameter": 1_500_000 / study.num_parameters[size],
                "steps": 366,
                "train_loss": rows[-1][1],
                "valid_loss": rows[-1][2],
                "learning_rate": 3e-3,
                "model_sha256": f"{rank}c" * 32,
                "training_text_sha256": "ef" * 32,
                "tokens_per_s": 50_000.0 / (rank + 1),
                "flops_per_token": 6 * study.num_parameters[size],
                "devices": 1,
                "peak_flops_per_s": 300_000_000_000,
                "mfu": 0.25,
                "tokenizer_sha256": _TOKENIZER,
            },
        )
        rates = [1e-3, 3e-3, 1e-2]
        losses = [5.5 - 0.3 * rank + (math.log10(rate) + 2.5 + 0.1 * rank) ** 2 for rate in rates]
        sweep = [(rate, 200_000, loss) for rate, loss in zip(rates, losses, strict=True)]
        _write_csv(tune / "sweep.csv", ("learning_rate", "tokens", "valid_loss"), sweep)
        text = open_split(study.folder / "tokenize" / "train")
        write_training_documents(train, text)
        write_json(train / "config.json", {"n_layer": rank + 1, "vocab_size": 2048})
        best = rates[losses.index(min(losses))]
        write_json(tune / "learning_rate.json", {"learning_rate": best, "at_grid_edge": None})
        write_json(tune / "metrics.json", _head("tune", size, rank) | {"learning_rate": best})


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _head(stage: str, size: str | None = None, rank: int = 0) -> dict[str, Any]:
    seconds = 12.5 if size is None else 20.0 * (1 + rank)
    return {
        "stage": stage,
        "profile": "tiny",
        "size": size,
        "fingerprint": "0" * 16,
        "seconds": seconds,
        "attempts": 1,
        "peak_memory_mib": 300.0,
    }


def write_stage_metrics(study: MadeStudy) -> None:
    """metrics.json of the data stages, shaped as theirs."""

    def split(name: str) -> dict[str, str]:
        return {"manifest_sha256": hash_input(study.folder / "tokenize" / name)}

    metrics: dict[str, dict[str, Any]] = {
        "sample_web": {"enabled": True, "urls_by_kind": {"original": 60, "planted": 4}},
        "eval_sets": {
            "num_sets": 15,
            "not_available": {},
            "sets": {
                name: {
                    "num_examples": NUM_EXAMPLES,
                    "sources": {"test": {"name": "file", "sha256": "0", "note": ""}},
                }
                for name in study.examples
            },
        },
        "links": {
            "links": {"submissions": 3712, "kept": 3199, "duplicate_url": 256, "low_score": 257},
        },
        "crawl": {
            "fetch": {
                "pages": 3199,
                "had_before": 0,
                "attempts": 3211,
                "by_state": {"fetched": 3141, "robots_disallowed": 15, "http_404": 43},
                "warc_bytes": 9_518_607,
            },
        },
        "extract": {
            "extract": {
                "documents": 3127,
                "text_bytes": 10_688_838,
                "by_reason": {
                    "document": 3127,
                    "robots_disallowed": 15,
                    "http_404": 43,
                    "too_short": 14,
                },
            },
        },
        "dedup": {
            "documents": 3127,
            "text_bytes": 10_688_838,
            "kept": {"documents": 2813, "text_bytes": 9_402_986},
            "removed": {"documents": 314, "text_bytes": 1_285_852},
            "removed_by_reason": {
                "non_english": 15,
                "wikipedia": 32,
                "exact_duplicate": 26,
                "near_duplicate": 131,
                "eval_overlap": 110,
            },
            "eval_mode": "remove",
        },
        "tokenize": {
            "documents": 2813,
            "text_bytes": 9_402_986,
            "tokenizer": "trained",
            "tokenizer_sha256": _TOKENIZER,
            "vocab_size": 2048,
            "tokens": 3_182_602,
            "bytes_per_token": 2.9571,
            "splits": {
                "train": {"tokens": 2_880_086, "documents": 2543, "text_bytes": 8_513_157}
                | split("train"),
                "valid": {"tokens": 161_266, "documents": 136, "text_bytes": 474_729}
                | split("valid"),
                "test": {"tokens": 141_250, "documents": 134, "text_bytes": 415_100}
                | split("test"),
            },
        },
    }
    for name, values in metrics.items():
        write_json(study.folder / name / "metrics.json", _head(name) | values)
