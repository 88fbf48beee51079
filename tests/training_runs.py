"""Runs the train and tune stages on a small corpus, in processes that can be killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from made_documents import english_passages
from stage_processes import start_stage

from pipeline.shared.files import write_json
from pipeline.shared.formats.token_shards import TokenDocument, write_token_shards
from pipeline.shared.formats.tokenizer import Tokenizer

SIZE = "small"

TRAIN: Mapping[str, Any] = {
    "tokens": 24_000,  # 46 steps of 512
    "batch_tokens": 512,
    "micro_batch_sequences": 2,  # of 128 tokens: 2 micro-batches
    "warmup_tokens": 2_000,
    "eval_every_tokens": 4_096,
    "valid_tokens": 1_500,
    "dropout": 0.1,  # so that the random state matters
}
MODEL: Mapping[str, Any] = {"n_layer": 2, "n_head": 2, "n_embd": 16, "context": 128}
EVALUATE: Mapping[str, Any] = {"strides": [128], "figure4_stride": 128}  # fits that context


@dataclass(frozen=True)
class TrainingRuns:
    """One sized stage with its inputs."""

    name: str
    project: Path
    folder: Path
    """Holds params.yaml, work/, the inputs and the outs."""

    @property
    def work(self) -> Path:
        """The folder of work folders, one per fingerprint."""
        return self.folder / "work" / "tiny" / f"{self.name}@{SIZE}"

    @property
    def checkpoints(self) -> list[Path]:
        """Of the train stage, oldest first."""
        return sorted(self.work.glob("*/rate_*/*.pt"))

    def set_params(self, **sections: Mapping[str, Any]) -> None:
        """Write the project's params.yaml with the small training's and these changes."""
        params = yaml.safe_load((self.project / "params.yaml").read_text())
        tiny = params["profiles"]["tiny"]
        tiny["models"][SIZE].update(MODEL)
        tiny["train"].update(TRAIN)
        tiny["compute"]["checkpoint_every_s"] = 1e-3  # after each step
        tiny["evaluate"].update(EVALUATE)
        for section, changes in sections.items():
            tiny[section].update(changes)
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params))

    def set_learning_rate(self, rate: float) -> None:
        """Write what the tune stage would have, but for a checkpoint."""
        write_json(self.folder / "tuned" / "learning_rate.json", {"learning_rate": rate})

    def arguments(self, out: str) -> list[str]:
        """What follows `python -m pipeline.<name>`."""
        argv = ["--profile", "tiny", "--size", SIZE, f"--params={self.folder / 'params.yaml'}"]
        argv += [f"--work={self.folder / 'work'}", f"--tokens={self.folder / 'tokens'}"]
        if self.name == "train":
            argv += [f"--tuned={self.folder / 'tuned'}"]
        return [*argv, f"--out={self.folder / out}"]

    def start(
        self,
        out: str,
        *,
        max_file_bytes: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> BaseProcess:
        """Start the stage; its log is `<out>.log`, which processes can share."""
        return start_stage(
            self.name,
            self.arguments(out),
            folder=self.folder,  # for MLflow's database, which else were the project's own
            log=self.folder / f"{out}.log",
            environment=environment,
            max_file_bytes=max_file_bytes,
        )

    def run(self, out: str = "out", *, max_file_bytes: int | None = None) -> int | None:
        """Run to its end; returns the exit code."""
        process = self.start(out, max_file_bytes=max_file_bytes)
        process.join()
        return process.exitcode

    def log(self, out: str = "out") -> str:
        """What the runs of one out folder said."""
        return (self.folder / f"{out}.log").read_text()

    def signal_when(
        self, condition: Callable[[], bool], signum: signal.Signals, out: str
    ) -> int | None:
        """Start, send the signal as soon as `condition` holds, return the exit code."""
        process = self.start(out)
        deadline_s = time.monotonic() + 60
        while process.is_alive() and not condition():
            assert time.monotonic() < deadline_s, f"never came to it: {self.log(out)}"
            time.sleep(0.001)
        assert process.pid is not None
        assert process.is_alive(), f"ended before the signal: {self.log(out)}"
        children = _children(process.pid)
        os.kill(process.pid, signum)
        process.join()
        while any(Path(f"/proc/{child}").exists() for child in children):
            assert time.monotonic() < deadline_s, f"left behind: {children}"
            time.sleep(0.01)
        return process.exitcode


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def make_tokens(folder: Path, *, noise_documents: int = 0) -> None:
    """Token shards of English text, one token a byte, as the tokenize stage leaves them.

    Noise is bytes at random that no English has, in documents of one sequence, amid the others.
    """
    tokenizer = Tokenizer("trained", {bytes([byte]): byte for byte in range(256)})
    tokenizer.save(folder / "tokenizer")
    documents = [
        TokenDocument(
            f"document{number:03d}",
            np.array([*tokenizer.encode(text), tokenizer.end_of_text], dtype=np.uint16),
        )
        for number, text in enumerate(english_passages(60))
    ]
    random = np.random.default_rng(1)
    noise = [
        TokenDocument(f"noise{number}", random.integers(128, 256, 128, dtype=np.uint16))
        for number in range(noise_documents)
    ]
    splits = {"train": documents[:25] + noise + documents[25:50], "valid": documents[50:]}
    for split, chosen in splits.items():
        write_token_shards(folder / split, chosen, tokenizer_sha256=tokenizer.sha256)
