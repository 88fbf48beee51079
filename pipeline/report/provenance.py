"""What a study was made from: hashes, seed, packages, parameters."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pandas as pd
import yaml

from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.params import SIZES
from pipeline.report.study import Study

_PACKAGES = (
    *("torch", "lightning", "numpy", "pandas", "pyarrow", "tiktoken", "dvc", "prefect", "mlflow"),
    *("matplotlib", "aiohttp", "resiliparse", "rensa", "py3langid", "sacrebleu", "rouge-score"),
)


def hashes(study: Study) -> pd.DataFrame:
    """SHA-256 of tokenizer, token splits and evaluation sets, shortened by nothing."""
    trained = study.stages[f"train@{SIZES[0]}"]
    rows = [
        ("tokenizer", study.stages["tokenize"].get("tokenizer_sha256")),
        ("train split", trained.get("train_sha256")),
        ("valid split", trained.get("valid_sha256")),
    ]
    sets: dict[str, dict[str, Any]] = study.stages["eval_sets"].get("sets", {})
    rows += [
        (EVAL_SETS[name].title if name in EVAL_SETS else name, record.get("sha256"))
        for name, record in sets.items()
    ]
    frame = pd.DataFrame(rows, columns=["what", "sha256"])
    return frame.dropna().reset_index(drop=True)


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
