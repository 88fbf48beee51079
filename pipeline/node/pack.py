"""Everything a node needs, as a folder of a few dozen MB: code, parameters, the budget's tokens.

Of the train split only the documents that the budget reads go along. They pass for the whole split
(`token_shards.write_head`), so a node's results carry the same hashes as results made beside it.
"""

from __future__ import annotations

import logging
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from pipeline.node.chain import Chain, read_chain
from pipeline.node.identity import CODE, hash_code, identify
from pipeline.shared.errors import UserError
from pipeline.shared.files import extract_tar, link_or_copy, open_folder, write_json
from pipeline.shared.formats.token_shards import TokenSplit, open_split, write_head
from pipeline.shared.params.file import ActiveStudy
from pipeline.shared.params.profile import TrainParams
from pipeline.shared.params.yaml_file import load_yaml
from pipeline.shared.running.package_pins import PINS

PAYLOAD = "payload.json"
DATA = "data.tar.xz"


def pack(study: ActiveStudy, out: Path, log: logging.Logger) -> None:
    """Write the folder `out`, ready to be copied to a node.

    Raises:
        UserError: `out` exists, or the study's data stages are not made yet.
    """
    if out.exists():
        raise UserError(f"{out}: exists already; name another folder or delete it")
    chain = read_chain(study)
    for path in chain.inputs():
        if not path.exists():
            raise UserError(f"{path}: not made yet; run `dvc repro tokenize eval_sets` first")
    with open_folder(out) as folder:
        for name in CODE:
            shutil.copytree(name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("dvc.yaml", "params.yaml"):  # as JSON: a node has no library for YAML
            write_json(folder / name, load_yaml(Path(name)))
        shutil.copy(PINS, folder / PINS)
        _pack_data(chain, study.params.train, folder / DATA, log)
        payload: dict[str, Any] = {
            "profile": study.profile,
            "identity": identify(study.params, chain.inputs()),
            "code": hash_code(folder),
        }
        write_json(folder / PAYLOAD, payload)
    num_bytes = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    log.info("%s: %.1f MB, of which data %.1f", out, num_bytes / 1e6, _mb(out / DATA))


def _mb(path: Path) -> float:
    return path.stat().st_size / 1e6


def _pack_data(chain: Chain, train: TrainParams, target: Path, log: logging.Logger) -> None:
    with tempfile.TemporaryDirectory(prefix="node-", dir=target.parent) as temporary:
        for path in chain.inputs():
            copy = Path(temporary) / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            head = _head_of(path, train)
            if head is None:
                link_or_copy(path, copy)
            else:
                write_head(head, copy)
                log.info("%s: %s tokens of it", path, f"{head.num_tokens:,}")
        with tarfile.open(target, "w:xz", preset=6) as archive:
            archive.add(Path(temporary) / "data", arcname=".")


def _head_of(path: Path, train: TrainParams) -> TokenSplit | None:
    """What of a split the trainings read; None for what goes along whole."""
    if path.name == "train":
        from pipeline.shared.training.job import whole_steps  # brings torch

        return open_split(path).head(whole_steps(train) * train.batch_tokens)
    return None


def unpack(root: Path) -> None:
    """Unpack the data of a payload in `root`, unless that was done."""
    if (root / "data").is_dir():
        return
    with open_folder(root / "data") as folder, tarfile.open(root / DATA, "r:xz") as archive:
        extract_tar(archive, folder)
