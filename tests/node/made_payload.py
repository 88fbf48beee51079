"""A payload whose stages are a script of a few lines: they take no time and do as they are told."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.node.chain import STAGES, read_chain
from pipeline.node.identity import identify
from pipeline.shared.files import write_json
from pipeline.shared.params.file import load_params

# Told to `hang` it sleeps until it is told to end, to `fail` it ends with 1, to `lack` it says that
# a package was not there.
_STAGE = """\
import argparse, hashlib, json, pathlib, signal, sys, time
parser = argparse.ArgumentParser()
for name in ("--stage", "--size", "--out"):
    parser.add_argument(name)
asked = parser.parse_args()
out = pathlib.Path(asked.out)
title = f"{asked.stage}@{asked.size}"
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
does = pathlib.Path("does") / title
does = does.read_text() if does.is_file() else ""
if does == "hang":
    pathlib.Path("hangs").write_text(title)
    time.sleep(600)
if does == "fail":
    print("the loss is no number", file=sys.stderr)
    sys.exit(1)
out.mkdir(parents=True, exist_ok=True)
metrics = {"seconds": 1, "profile": "tiny"}
if asked.stage == "tune":
    (out / "state").mkdir()
    (out / "state" / "5.pt").write_bytes(b"checkpoint")
    (out / "learning_rate.json").write_text("{}")
    metrics |= {"learning_rate": 0.001, "trials": 3, "valid_loss": 4.0, "trained_tokens": 7}
if asked.stage == "train":
    weights = b"w" * 10_000
    (out / "model.safetensors").write_bytes(weights)
    metrics |= {"parameters": 5, "valid_loss": 4.0, "tokens_per_s": 9.0, "mfu": 0.5}
    metrics["model_sha256"] = hashlib.sha256(weights).hexdigest()
if asked.stage == "evaluate":
    (out / "lambada.json").write_text(title)
    metrics["scores"] = {"cnn_dm": {}, "lambada": {"perplexity": 30.0}}
    metrics["packages_lacking"] = {"cnn_dm": "rouge-score"} if does == "lack" else {}
(out / "metrics.json").write_text(json.dumps(metrics))
"""


@dataclass(frozen=True)
class MadePayload:
    """A folder as it lies on a node, data unpacked."""

    folder: Path

    @property
    def site(self) -> Path:
        """Packages that the node's processes find before any others."""
        return self.folder / "site"

    def hide(self, package: str) -> None:
        """Have a package be as one that is not installed."""
        (self.site / package).mkdir(parents=True)
        (self.site / package / "__init__.py").write_text("raise ModuleNotFoundError(__name__)")

    def does(self, title: str, what: str) -> None:
        """Have a stage `hang`, `fail` or `lack` a package; empty text has it work again."""
        (self.folder / "does").mkdir(exist_ok=True)
        (self.folder / "does" / title).write_text(what)

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Start `python -m pipeline.node run`."""
        project = Path(__file__).parent.parent.parent
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline.node", "run", *options],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": f"{self.site}{os.pathsep}{project}"},
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *options: str) -> tuple[int, str]:
        """Run to the end; exit code and log."""
        process = self.start(*options)
        log = process.communicate(timeout=120)[1]
        return process.returncode, log


def make_payload(folder: Path, project: Path) -> MadePayload:
    """Write a payload of the tiny profile with one input, a tokenizer of a few bytes."""
    (folder / "data" / "tiny" / "tokenize" / "tokenizer").mkdir(parents=True)
    (folder / "data" / "tiny" / "tokenize" / "tokenizer" / "ranks").write_text("abc")
    (folder / "stage.py").write_text(_STAGE)
    (folder / "params.yaml").write_text((project / "params.yaml").read_text())
    (folder / "constraints.txt").touch()  # no code lies here, so none is pinned
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": _stages()}))
    write_payload_json(folder)
    return MadePayload(folder)


def _stages() -> dict[str, Any]:
    return {
        stage: {
            "cmd": f"python stage.py --stage {stage} --size ${{item.size}} "
            f"--out data/${{profile}}/{stage}/${{item.size}}",
            "deps": ["data/${profile}/tokenize/tokenizer", "pipeline/train"],
        }
        for stage in STAGES
    }


def write_payload_json(folder: Path) -> None:
    """Say of the folder, as it is now, that it was packed so."""
    study = load_params(folder / "params.yaml", "tiny")
    chain = read_chain(study, folder / "dvc.yaml")
    inputs = [folder / path for path in chain.inputs()]
    found = identify(study.params, inputs)
    found["inputs"] = {
        str(Path(name).relative_to(folder)): value for name, value in found["inputs"].items()
    }
    write_json(folder / "payload.json", {"profile": "tiny", "identity": found, "code": {}})
