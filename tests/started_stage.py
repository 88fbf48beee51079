"""Starts the made stage as DVC would, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent / "made_stage.py"


class MadeStage:
    """Starts the made stage in a folder of its own."""

    def __init__(self, folder: Path, project: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        (folder / "documents").mkdir()
        (folder / "documents" / "a.txt").write_text("words")
        (folder / "params.yaml").write_text((project / "params.yaml").read_text())
        self._started: list[subprocess.Popen[str]] = []

    def does(self, code: str) -> None:
        """What the stage does before its work."""
        (self.folder / "does.py").write_text(code)

    def set(self, old: str, new: str) -> None:
        """Change params.yaml."""
        path = self.folder / "params.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    def start(self) -> subprocess.Popen[str]:
        """Start the stage, with its log in a pipe."""
        options = ["--profile", "tiny", "--documents", "documents", "--out", "out"]
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *options],
            cwd=self.folder,
            env=os.environ | {"MADE_STAGE_DOES": "does.py"},
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def run(self) -> tuple[int, str]:
        """Run to the end; the exit code and what was logged."""
        process = self.start()
        log = process.communicate(timeout=60)[1]
        return process.returncode, log

    def work(self) -> list[Path]:
        """The work folders, one a fingerprint."""
        folder = self.folder / "work" / "tiny" / "dedup"
        return [path for path in folder.iterdir() if path.is_dir()]

    def metrics(self) -> dict[str, object]:
        """What the stage published of itself."""
        metrics: dict[str, object] = json.loads((self.out / "metrics.json").read_text())
        return metrics

    def close(self) -> None:
        """End whatever still runs."""
        for process in self._started:
            process.kill()
            process.communicate()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


HANG = "import pathlib, time; pathlib.Path('there').touch(); time.sleep(60)"
