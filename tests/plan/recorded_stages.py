"""Data stages that are finished by hand and recorded by DVC itself, by the shipped chain."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

import yaml

from pipeline.shared.files import write_json
from pipeline.shared.formats.links import Link
from pipeline.shared.formats.row_shards import write_row_manifest, write_row_shard
from pipeline.shared.params.file import load_params
from pipeline.shared.study import places
from pipeline.watch.run import watch

COUNTS: dict[str, dict[str, Any]] = {
    "crawl": {"fetch": {"pages": 80, "warc_bytes": 9000}},
    "dedup": {"documents": 70, "text_bytes": 7000, "kept": {"text_bytes": 6000}},
    "tokenize": {"tokens": 1500},
}
"""What metrics.json of a stage says; of the others nothing."""
_PARTS = (
    *("sample_web/eval", "sample_web/links", "sample_web/site", "eval_sets/test"),
    *("crawl/pages", "extract/documents", "dedup/kept"),
)
"""What the stages read of one another, beside the links."""


def record_study(project: Path, root: Path, profile: str) -> Path:
    """A checkout in an empty folder whose data stages are done; returns its data/<profile>."""
    for name in ("params.yaml", "dvc.yaml", "constraints.txt", ".dvcignore"):
        shutil.copy(project / name, root)
    params = root / "params.yaml"
    params.write_text(re.sub(r"(?m)^profile: .*", f"profile: {profile}", params.read_text()))
    (root / "data" / "corpus").mkdir(parents=True)
    (root / "data" / "corpus" / "a.jsonl").write_text('{"text": "one"}\n')
    folder = root / "data" / profile
    for stage in places.STAGES:
        write_json(folder / stage / "metrics.json", COUNTS.get(stage, {}))
    for part in _PARTS:
        (folder / part).mkdir(parents=True)
        (folder / part / "file").write_text(part)
    write_links(folder, ["a.example", "a.example", "b.example"])
    _dvc(root, "init", "--quiet", "--no-scm")
    config = "[core]\n    no_scm = true\n    analytics = false\n    check_update = false\n"
    (root / ".dvc" / "config").write_text(config)
    record(root, profile, places.STAGES)
    return folder


def write_links(folder: Path, hosts: Sequence[str]) -> None:
    """The links of a study, one a host that is named."""
    kept = folder / places.LINKS
    shutil.rmtree(kept, ignore_errors=True)
    links = [Link(f"http://{host}/{n}", "", 3, 0, "test") for n, host in enumerate(hosts)]
    shards = [write_row_shard(kept / "00000.parquet", links, Link)] if links else []
    write_row_manifest(kept, shards)


def record(root: Path, profile: str, stages: Sequence[str]) -> None:
    """Have `watch` look at what decides results, and DVC write what lies there into dvc.lock."""
    with chdir(root):
        study = load_params(Path("params.yaml"), profile)
        out = Path("data", profile, "watch")
        watch(study, logging.getLogger("test"), work=Path("work"), out=out)
    _dvc(root, "commit", "--quiet", "--force", *stages)


def set_value(root: Path, key: str, value: Any) -> None:
    """Write one value into params.yaml."""
    path = root / "params.yaml"
    params = yaml.safe_load(path.read_text())
    *sections, last = key.split(".")
    where = params
    for section in sections:
        where = where[section]
    where[last] = value
    path.write_text(yaml.safe_dump(params, sort_keys=False))


def _dvc(root: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=root, check=True)
