"""A throw-away DVC checkout with the study's stages, each a few lines of Python."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import psutil
import yaml
from PIL import Image

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
    "watch": [],
    "sample_web": [],
    "eval_sets": ["sample_web"],
    "links": ["sample_web"],
    "crawl": ["links"],
    "extract": ["crawl"],
    "dedup": ["extract", "eval_sets"],
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

FIGURE4 = """size,parameters,train_perplexity,test_perplexity,train_perplexity_low,\
train_perplexity_high,test_perplexity_low,test_perplexity_high
small,124439808,30.5,40.25,29,31,39,41
xl,1557611200,20.5,30.75,19,21,29,31
"""
# What the report stage does to leave a Figure 4.
MAKE_FIGURE4 = """
import shutil
out.mkdir(parents=True, exist_ok=True)
for name in ("figure4.png", "figure4.csv", "found.json"): shutil.copy(name, out)
"""


def write_checkout(root: Path, params: str | None = None) -> None:
    """A DVC repository without Git, which makes it quick; with two sizes or those of `params`."""
    (root / "work.py").write_text(WORK)
    profile = {"compute": {"accelerator": "cpu", "workers": 1, "threads": 1}}
    two = {"profile": "tiny", "sizes": SIZES, "profiles": {"tiny": profile, "other": profile}}
    params = params or yaml.safe_dump(two, sort_keys=False)
    (root / "params.yaml").write_text(params)
    sizes = yaml.safe_load(params)["sizes"]
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages(sizes)}, sort_keys=False))
    dvc(root, "init", "--no-scm", "--quiet")
    config = "[core]\n    no_scm = true\n    analytics = false\n    check_update = false\n"
    (root / ".dvc" / "config").write_text(config)


def stages(sizes: list[str]) -> dict[str, object]:
    """The `stages` of dvc.yaml."""
    found: dict[str, object] = {}
    for name, reads in CHAIN.items():
        sized = name in SIZED
        title, folder = (f"{name}@${{item.size}}", "/${item.size}") if sized else (name, "")
        deps = []
        for other in reads:
            if other not in SIZED:
                deps.append(f"data/tiny/{other}")
            elif sized:
                deps.append(f"data/tiny/{other}/${{item.size}}")
            else:
                deps += [f"data/tiny/{other}/{size}" for size in sizes]
        found[name] = {
            "cmd": f"python work.py {title} data/tiny/{name}{folder}",
            "deps": ["work.py", *deps],
            "outs": [f"data/tiny/{name}{folder}"],
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


def write_figure4(root: Path) -> None:
    """A Figure 4 for the report stage, with a PNG that is too large to inline as it is."""
    Image.frombytes("RGB", (400, 300), os.urandom(400 * 300 * 3)).save(root / "figure4.png")
    assert (root / "figure4.png").stat().st_size > 100_000
    (root / "figure4.csv").write_text(FIGURE4)
    found = {"documents": 3000, "kept": 2900, "test_perplexity": {"small": 40.25, "xl": 30.75}}
    (root / "found.json").write_text(json.dumps(found))
    (root / "do").mkdir()
    (root / "do" / "report").write_text(MAKE_FIGURE4)


@dataclass(frozen=True)
class Pages:
    """`make ui` at work in a checkout of its own, on ports of its own."""

    root: Path
    prefect: str
    mlflow: str
    said: str
    """What `make ui` printed."""
    settings: dict[str, str] = field(default_factory=dict)
    """Environment variables of this user's own."""

    def act(self, stage: str, code: str) -> None:
        """Have a stage do something before its work."""
        (self.root / "do").mkdir(exist_ok=True)
        (self.root / "do" / stage).write_text(code)

    def command(self, module: str, *arguments: str) -> subprocess.Popen[str]:
        """Start one of the flow's commands as a user does."""
        return subprocess.Popen(
            [sys.executable, "-m", f"flows.{module}", *arguments],
            cwd=self.root,
            env=environment() | self.settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def study(self, *arguments: str) -> tuple[int, str]:
        """Run the flow to its end; its exit code and what it printed."""
        process = self.command("study", *arguments)
        said = process.communicate(timeout=600)[0]
        return process.returncode, said

    def ask(self, path: str, **body: object) -> Any:
        """POST to Prefect's API."""
        request = urllib.request.Request(
            f"{self.prefect}/api/{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        deadline_s = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                # Its database is busy; Prefect's own client waits and asks again, too.
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > deadline_s:
                    raise
                time.sleep(1)

    def last_run(self) -> Any:
        """The newest flow run."""
        return self.ask("flow_runs/filter", sort="START_TIME_DESC", limit=1)[0]

    def tasks(self, run: Any) -> dict[str, Any]:
        """The task runs of a flow run, by name."""
        only = {"id": {"any_": [run["id"]]}}
        found = self.ask("task_runs/filter", flow_runs=only, limit=200)
        return {task["name"]: task for task in found}

    def kill_prefect(self) -> None:
        """`kill -9` of the Prefect server that `make ui` has started."""
        port = self.prefect.rpartition(":")[2]
        (server,) = [
            process
            for process in psutil.process_iter(["cmdline"])
            if (process.info["cmdline"] or [])[1:]
            == ["-m", "flows.servers.prefect_server", "--port", port]
        ]
        server.kill()

    def artifacts(self, run: Any) -> dict[str, str]:
        """The Markdown of a flow run's artifacts, by key."""
        only = {"id": {"any_": [run["id"]]}}
        found = self.ask("artifacts/filter", flow_runs=only, limit=200)
        return {artifact["key"]: artifact["data"] for artifact in found}


@contextmanager
def opened_pages(root: Path, **settings: str) -> Iterator[Pages]:
    """`make ui` in a checkout, on free ports, until the block ends."""
    prefect, mlflow = free_port(), free_port()
    ports = [f"--prefect-port={prefect}", f"--mlflow-port={mlflow}"]
    address = f"http://127.0.0.1:{prefect}", f"http://127.0.0.1:{mlflow}"
    pages = Pages(root, *address, said="", settings=settings)
    process = pages.command("ui", *ports)
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "Ctrl-C" in line:
            break
    assert "Ctrl-C" in said, said
    try:
        yield replace(pages, said=said)
    finally:
        process.terminate()
        process.communicate(timeout=60)


@contextmanager
def served(pages: Pages, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A `flows.schedule` at work; its runs end with it."""
    process = pages.command("schedule", *arguments)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=120)


def environment() -> dict[str, str]:
    """The environment of a user who has set nothing for Prefect or MLflow."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MLFLOW_"))}
    return own | {"PYTHONUNBUFFERED": "1"}


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
