"""`model.safetensors` as a note: weights too large to bring along stay where they were made.

The note stands under the weights' own name, so nobody takes a folder without weights for a model:
who opens it is told where they are. Copied here, they take its place.
"""

from __future__ import annotations

import json
from pathlib import Path

WEIGHTS = "model.safetensors"
_MOST_BYTES = 4096


def write_note(folder: Path, *, sha256: str, num_bytes: int, where: str) -> Path:
    """Write what the weights are that stay `where` ("on the machine that trained them")."""
    note = {"weights_are": where, "bytes": num_bytes, "sha256": sha256}
    path = folder / WEIGHTS
    path.write_text(json.dumps(note, indent=2) + "\n")
    return path


def read_note(path: Path) -> str | None:
    """What a note says, with the remedy; None for weights, which begin with eight bytes of length.

    A missing file is no note.
    """
    if not path.is_file() or path.stat().st_size > _MOST_BYTES:
        return None
    content = path.read_bytes()
    if not content.startswith(b'{\n  "weights_are"'):
        return None
    note = json.loads(content)
    return (
        f"a note in place of {note['bytes']:,} bytes of weights, which are {note['weights_are']}; "
        f"copy the file with SHA-256 {note['sha256']} here, or train the model here (dvc repro -f)"
    )
