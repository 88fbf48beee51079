"""What a study was made from, when and where: hashes, commit, machine, packages, parameters."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import yaml

from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.report.study import Study
from pipeline.shared.study.training import Training

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
    trained = {study.label(size): study.trained[size] for size in study.sizes}
    texts = {one.training_text_sha256 for one in trained.values()}
    if len(texts) == 1:  # as ever, unless sizes were trained apart
        rows.append(("list of the documents trained on, every size", texts.pop()))
    else:
        rows += [
            (f"list of the documents that {label} was trained on", one.training_text_sha256)
            for label, one in trained.items()
        ]
    rows += [(f"weights of {label}", one.model_sha256) for label, one in trained.items()]
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


def commit_date() -> str:
    """The day of that commit by its committer's clock, or nothing where none is known."""
    try:
        return _git("show", "--no-patch", "--format=%cs", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return ""


def today() -> str:
    """The day on which this page is made, by UTC: a day, so that a page made again is the same."""
    return datetime.now(UTC).date().isoformat()


def machine() -> str:
    """Where this page is made: system, processor, cores, memory. The host's name is not told."""
    gib = psutil.virtual_memory().total / 2**30
    parts = (
        f"{platform.system()} {platform.machine()}",
        _processor(),
        f"{os.cpu_count()} cores",
        f"{gib:.0f} GiB of memory",
    )
    return ", ".join(part for part in parts if part)


def _processor() -> str:
    """The processor's name, where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "")


def trained_on(study: Study) -> list[str]:
    """By size, what its training ran on by its own record, and how much of that it used."""
    said = []
    for size in study.sizes:
        trained = study.trained[size]
        parts = [f"{study.params.train.precision} on {_devices(trained)}"]
        if trained.peak_flops_per_s:
            parts.append(
                f"a matrix product reached {_tera(trained.peak_flops_per_s)}FLOP/s there once the "
                "training had ended, beside whatever else ran"
            )
        if trained.mfu:
            parts.append(f"the model had used {100 * trained.mfu:.0f} % of that")
        said.append(f"{study.label(size)}: {'; '.join(parts)}")
    return said


def _tera(number: float) -> str:
    return f"{number / 1e12:.3g} T" if number < 1e15 else f"{number / 1e12:,.0f} T"


def _devices(trained: Training) -> str:
    """What `compute` says today may be another machine's, so it fills no gap of the record."""
    if trained.devices is None:
        return "devices that were not recorded"
    kind = trained.accelerator.upper() if trained.accelerator else "device"
    return f"{trained.devices} {kind}{'s' if trained.devices > 1 else ''}"


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
