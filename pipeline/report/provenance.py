"""What a study was made from: hashes, seed, packages, parameters."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pandas as pd
import yaml

from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.report.study import Study

_PACKAGES = (
    *("torch", "lightning", "numpy", "pandas", "pyarrow", "tiktoken", "dvc", "prefect", "mlflow"),
    *("matplotlib", "aiohttp", "resiliparse", "rensa", "py3langid", "sacrebleu", "rouge-score"),
)


def hashes(study: Study) -> pd.DataFrame:
    """SHA-256 of tokenizer, token splits, what was trained on, weights and evaluation sets."""
    tokens = study.stages["tokenize"]
    rows = [("tokenizer", tokens.get("tokenizer_sha256"))]
    rows += [
        (f"{name} split (its list of shards)", split.get("manifest_sha256"))
        for name, split in tokens["splits"].items()
    ]
    trained = {study.label(size): study.stages[f"train@{size}"] for size in study.sizes}
    texts = {record.get("training_text_sha256") for record in trained.values()}
    if len(texts) == 1:  # as ever, unless sizes were trained apart
        rows.append(("list of the documents trained on, every size", texts.pop()))
    else:
        rows += [
            (f"list of the documents that {label} was trained on", r.get("training_text_sha256"))
            for label, r in trained.items()
        ]
    rows += [(f"weights of {label}", r.get("model_sha256")) for label, r in trained.items()]
    sets: dict[str, dict[str, Any]] = study.stages["eval_sets"].get("sets", {})
    rows += [
        (EVAL_SETS[name].title if name in EVAL_SETS else name, record.get("sha256"))
        for name, record in sets.items()
    ]
    frame = pd.DataFrame(rows, columns=["what", "sha256"])
    return frame.dropna().reset_index(drop=True)


def commit() -> str:
    """The Git commit of the code that makes this page, and whether the code differs from it.

    Data and `dvc.lock` are left out: a study writes them while it runs.
    """
    code = ("pipeline", "models", "params.yaml", "dvc.yaml", "constraints.txt")
    try:
        head = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", *code)
    except (OSError, subprocess.CalledProcessError):
        return "not known: made outside a Git checkout"
    return f"{head} with uncommitted changes" if changed else head


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def packages() -> pd.DataFrame:
    """Python and the packages that shape results, as installed where this page was made."""
    rows = [("Python", platform.python_version())]
    for name in _PACKAGES:
        try:
            rows.append((name, version(name)))
        except PackageNotFoundError:
            rows.append((name, "not installed"))
    return pd.DataFrame(rows, columns=["package", "version"])


def parameters(study: Study) -> str:
    """The study's parameters as YAML; hardware is none of them."""
    values = study.params.model_dump(mode="json", exclude={"compute"})
    return str(yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100))
