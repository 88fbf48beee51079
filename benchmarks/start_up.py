"""Time the start of a training, from the command to the end of its first step.

    python benchmarks/start_up.py --nanogpt ../nanoGPT

figure4 is the train stage as DVC starts it: it locks, hashes its code and inputs, opens MLflow. Its
peers only import what they need and take one step (benchmarks/first_step.py): Lightning's Trainer
on one linear layer, below which nothing that uses Lightning can come, and nanoGPT. Each time a
fresh process, in turns.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import yaml
from result_table import Row, command_line, write_results
from training_jobs import write_tokens

from pipeline.shared.files import read_json, write_json
from pipeline.shared.formats.tokenizer import Tokenizer

_ROOT = Path(__file__).parent.parent
_OURS = "figure4"
_LEAST_MS = 100  # packages whose import takes less are added up
_IMPORT = re.compile(r"import time: +(\d+) \| +\d+ \| +([\w.]+)")  # own microseconds, module


def main() -> None:
    """The command line."""
    options = _parse()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stage = _prepare_stage(folder)
        first_step = [sys.executable, str(Path(__file__).with_name("first_step.py"))]
        peers = {"Lightning on a linear layer": [*first_step, "lightning"]}
        if options.nanogpt:
            peers["nanoGPT"] = [*first_step, "nanogpt", str(options.nanogpt / "model.py")]
        seconds: dict[str, list[float]] = {label: [] for label in (_OURS, *peers)}
        for number in range(options.rounds + 1):
            took_s = {_OURS: _time_stage(stage, folder)}
            for label, command in peers.items():
                took_s[label] = float(_run(command, folder).stdout.split()[-1])
            if number:  # the first round warms the disk's cache
                for label, value in took_s.items():
                    seconds[label].append(value)
                print(", ".join(f"{label} {value:.2f} s" for label, value in took_s.items()))
        imports = _run([sys.executable, "-X", "importtime", *stage[1:3], "--help"], folder).stderr
    rows = [_row(seconds[_OURS], seconds[label], label) for label in peers]
    print("written:", write_results("start_up", "cpu", rows, _notes(imports)))


def _prepare_stage(folder: Path) -> list[str]:
    """Write the tiny profile for two steps and the stage's inputs; returns its command."""
    params = yaml.safe_load((_ROOT / "params.yaml").read_text())
    tiny = params["profiles"]["tiny"]
    train = tiny["train"]
    train["tokens"] = 2 * train["batch_tokens"]
    train["warmup_tokens"] = 0
    tiny["tune"]["compare_at"] = [0.5, 1.0]
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    tokenizer = Tokenizer("trained", {bytes([byte]): byte for byte in range(256)})
    tokenizer.save(folder / "tokens" / "tokenizer")
    for split in ("train", "valid"):
        write_tokens(folder / "tokens" / split, 257, tokenizer_sha256=tokenizer.sha256)
    write_json(folder / "tuned" / "learning_rate.json", {"learning_rate": 0.01})
    command = f"-m pipeline.train --profile tiny --size small --params {folder}/params.yaml "
    command += f"--work {folder}/work --tokens {folder}/tokens "
    command += f"--tuned {folder}/tuned --out {folder}/out"
    return [sys.executable, *command.split()]


def _time_stage(command: list[str], folder: Path) -> float:
    for made in ("work", "out"):
        shutil.rmtree(folder / made, ignore_errors=True)
    _run(command, folder)
    return float(read_json(folder / "out" / "metrics.json")["start_up_s"])


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run in `folder`, where MLflow's database may lie, with this checkout's modules."""
    command = ["env", f"PYTHONPATH={_ROOT}", *command]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    return done


def _row(ours_s: list[float], theirs_s: list[float], label: str) -> Row:
    return Row(
        case="command to first step",
        ours=statistics.median(ours_s),
        peer=statistics.median(theirs_s),
        peer_name=label,
        unit="s",
        ratio=statistics.median(b / a for a, b in zip(ours_s, theirs_s, strict=True)),
        higher_is_better=False,
    )


def _notes(imports: str) -> str:
    """What was run, and which packages the stage imports before it can begin."""
    own_us: Counter[str] = Counter()
    for line in imports.splitlines():
        if match := _IMPORT.match(line):
            own_us[match[2].split(".")[0]] += int(match[1])
    named = [(name, us / 1e3) for name, us in own_us.most_common() if us >= _LEAST_MS * 1e3]
    others_ms = sum(own_us.values()) / 1e3 - sum(ms for _, ms in named)
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "lightning", "mlflow"))
    lines = [
        f"`{command_line()}`; {packages}. Ratios: median of paired rounds; above "
        "1 figure4 is faster.",
        "",
        "What the stage imports before it begins (`-X importtime`, which slows it down):",
        "",
        "| package | own ms |",
        "|---|---|",
        *(f"| {name} | {ms:,.0f} |" for name, ms in named),
        f"| all others | {others_ms:,.0f} |",
    ]
    return "\n".join(lines)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT")
    parser.add_argument("--rounds", type=int, default=7)
    return parser.parse_args()


if __name__ == "__main__":
    main()
