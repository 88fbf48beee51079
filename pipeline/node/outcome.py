"""What a node gives back: each stage's published files, its log, and notes for what stays there."""

from __future__ import annotations

import platform
import subprocess
import tempfile
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from models.weights_note import WEIGHTS, write_note
from pipeline.node.chain import STAGES, Chain, NodeTask
from pipeline.node.identity import hash_code
from pipeline.node.pack import PAYLOAD
from pipeline.node.pieces import write_pieces
from pipeline.shared.files import read_json, write_json
from pipeline.shared.running.listing import METRICS

LOGS = Path("work") / "node"
STATE = "state"
"""Of tune: the winner's checkpoint, which only train reads."""
_STATE_NOTE = "stays_on_the_node.json"
_STAYS = "on the machine that trained them"


def write_results(chain: Chain, out: Path, *, weights_bytes: int) -> int:
    """Write all that is done so far, in pieces; returns their bytes.

    Weights come along, smallest first, while they fit into `weights_bytes`.
    """
    done = [task for size in chain.sizes for task in _tasks_done(chain, size)]
    with tempfile.TemporaryDirectory(prefix="node-") as temporary:
        members: dict[str, Path] = {}
        for task in done:
            folder = Path(temporary) / task.stage / task.size
            folder.mkdir(parents=True)
            kept_bytes, files = _files_of(chain, task, folder, weights_bytes)
            weights_bytes -= kept_bytes
            members |= {f"{task.stage}/{task.size}/{path.name}": path for path in files}
        members |= {f"logs/{path.name}": path for path in sorted(LOGS.glob("*.log"))}
        head = {
            "identity": read_json(Path(PAYLOAD))["identity"],
            "code": hash_code(Path()),
            "machine": describe_machine(),
            "stages": [task.title for task in done],
        }
        return write_pieces(out, members, head)


def _tasks_done(chain: Chain, size: str) -> list[NodeTask]:
    tasks = [NodeTask(stage, size) for stage in STAGES]
    return [task for task in tasks if chain.is_done(task)]


def _files_of(
    chain: Chain, task: NodeTask, notes: Path, weights_bytes: int
) -> tuple[int, list[Path]]:
    """A stage's published entries, those that stay replaced by notes; bytes of weights first."""
    entries = sorted(path for path in chain.out(task).iterdir() if path.name[0] != ".")
    kept_bytes, files = 0, []
    for path in entries:
        if path.name == STATE:
            files.append(_note_state(path, notes / STATE))
        elif path.name == WEIGHTS and path.stat().st_size > weights_bytes:
            files.append(_note_weights(path, notes))
        else:
            kept_bytes += path.stat().st_size if path.name == WEIGHTS else 0
            files.append(path)
    return kept_bytes, files


def _note_weights(path: Path, folder: Path) -> Path:
    sha256: str = read_json(path.parent / METRICS)["model_sha256"]
    return write_note(folder, sha256=sha256, num_bytes=path.stat().st_size, where=_STAYS)


def _note_state(state: Path, folder: Path) -> Path:
    """In place of the checkpoint, its name and bytes; a `train` that finds none begins anew.

    A search that came from another node has its note there already.
    """
    if (state / _STATE_NOTE).is_file():
        return state
    stays = {path.name: path.stat().st_size for path in sorted(state.iterdir())}
    folder.mkdir()
    write_json(folder / _STATE_NOTE, {"where": _STAYS, "bytes": stays})
    return folder


def describe_machine() -> dict[str, Any]:
    """What the report of a run must name: GPU, system, Python and packages."""
    try:
        query = [
            "nvidia-smi",
            "--query-gpu=name,memory.total,driver_version",
            "--format=csv,noheader",
        ]
        gpus = subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        gpus = []
    packages = sorted({(found.name.lower(), found.version) for found in distributions()})
    return {
        "gpus": gpus,
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": dict(packages),
    }


def in_words(chain: Chain, task: NodeTask) -> str:
    """What a finished stage came to, for the line that says so."""
    metrics = read_json(chain.out(task) / METRICS)
    if task.stage == "tune":
        return (
            f"learning rate {metrics['learning_rate']:g} of {metrics['trials']}, held-out loss "
            f"{metrics['valid_loss']:.4f}, {metrics['trained_tokens']:,} tokens trained"
        )
    if task.stage == "train":
        rate, mfu = metrics["tokens_per_s"], metrics["mfu"]
        speed = f"{rate:,.0f} tokens/s" if rate else "trained by tune"
        speed += f", MFU {mfu:.1%}" if mfu else ""
        return f"{metrics['parameters']:,} parameters, loss {metrics['valid_loss']:.4f}, {speed}"
    firsts = {name: next(iter(values.items()), None) for name, values in metrics["scores"].items()}
    return ", ".join(f"{name} {first[1]:.4g}" for name, first in firsts.items() if first)
