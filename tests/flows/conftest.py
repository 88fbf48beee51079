"""A throw-away DVC checkout with the study's stages, each a few lines of Python."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

# What each stage does: `python work.py STAGE OUT` writes OUT/metrics.json, unless a file
# `do/STAGE` holds Python that does something else first.
WORK = """
import json, pathlib, sys
stage, out = sys.argv[1], pathlib.Path(sys.argv[2])
script = pathlib.Path("do") / stage
if script.is_file():
    exec(compile(script.read_text(), str(script), "exec"))
print(f"hello from {stage}", flush=True)
out.mkdir(parents=True, exist_ok=True)
metrics = {"stage": stage, "documents": 1234567, "seconds": 1.5}
(out / "metrics.json").write_text(json.dumps(metrics))
"""

CHAIN = {
    "sample_web": [],
    "eval_sets": ["sample_web"],
    "crawl": ["sample_web"],
    "dedup": ["crawl", "eval_sets"],
    "tokenize": ["dedup"],
    "tune": ["tokenize"],
    "train": ["tune"],
    "evaluate": ["train", "eval_sets"],
    "overlap": ["evaluate"],
    "report": ["overlap"],
}
SIZED = {"tune", "train", "evaluate"}
SIZES = ["small", "xl"]

Act = Callable[[str, str], None]


@pytest.fixture(scope="session")
def fresh_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which nothing has run; copied, since DVC takes a second to make one."""
    folder = tmp_path_factory.mktemp("checkout")
    write_checkout(folder)
    return folder


@pytest.fixture
def checkout(tmp_path: Path, fresh_checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The checkout's folder, which is also the working folder."""
    shutil.copytree(fresh_checkout, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def act(checkout: Path) -> Act:
    """Have a stage do something before its work, e.g. `act("train@small", "sys.exit(3)")`."""

    def write(stage: str, code: str) -> None:
        (checkout / "do").mkdir(exist_ok=True)
        (checkout / "do" / stage).write_text(code)

    return write


def write_checkout(root: Path) -> None:
    """A DVC repository without Git, which makes it quick."""
    (root / "work.py").write_text(WORK)
    profile = {"compute": {"accelerator": "cpu", "devices": 1}}
    params = {"profile": "tiny", "sizes": SIZES, "profiles": {"tiny": profile, "other": profile}}
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages()}, sort_keys=False))
    dvc(root, "init", "--no-scm", "--quiet")
    config = "[core]\n    no_scm = true\n    analytics = false\n    check_update = false\n"
    (root / ".dvc" / "config").write_text(config)


def stages() -> dict[str, object]:
    found: dict[str, object] = {}
    for name, reads in CHAIN.items():
        sized = name in SIZED
        title, folder = (f"{name}@${{item.size}}", "/${item.size}") if sized else (name, "")
        deps = []
        for other in reads:
            if other not in SIZED:
                deps.append(f"data/{other}")
            elif sized:
                deps.append(f"data/{other}/${{item.size}}")
            else:
                deps += [f"data/{other}/{size}" for size in SIZES]
        found[name] = {
            "cmd": f"python work.py {title} data/{name}{folder}",
            "deps": ["work.py", *deps],
            "outs": [f"data/{name}{folder}"],
        } | ({"matrix": {"size": "${sizes}"}} if sized else {})
    return found


def dvc(root: Path, *arguments: str) -> str:
    """Run DVC; returns what it wrote."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
