"""The resumable work folder of a stage: work/<profile>/<stage>/<fingerprint>/.

DVC deletes a stage's outs before each rerun, so state that must outlast a kill lives here. The
fingerprint covers parameters, inputs and code: the same command goes on where it stopped, any
change starts afresh. An flock keeps a second process (an orphan of a killed DVC, say) out.
"""

from __future__ import annotations

import ast
import fcntl
import hashlib
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pipeline.errors import RetryableError
from pipeline.files import sha256_file

# Of a folder of shards: lists each file with its hash. Arrow and pandas pass over a leading _.
MANIFEST = "_manifest.json"
METRICS = "metrics.json"  # of a stage's out: written last
COMPLETE = "complete.json"  # its presence says that `out/` is whole

_LOCK_WAIT_S = 5.0

# Changing how a stage is started, logged or parsed does not change what it computes.
_PLUMBING = frozenset(
    f"pipeline.{name}"
    for name in (
        *(
            "stage",
            "work_folder",
            "progress",
            "params",
            "params_text",
            "params_types",
            "params_web",
        ),
        *("params_file", "yaml12", "storage", "shared.running.memory"),
        *("executor", "cluster"),
        *("tracking", "tracked_run", "run_store", "study_record", "mlflow_view"),
    )
)


def fingerprint(
    settings: Mapping[str, Any], inputs: Mapping[str, Path], modules: Iterable[str]
) -> str:
    """16 hexadecimal digits that name a stage's parameters, inputs and code."""
    state = {
        "settings": settings,
        "inputs": {name: hash_input(path) for name, path in inputs.items()},
        "code": {name: _hash_code(name) for name in sorted(modules)},
    }
    text = json.dumps(state, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def hash_input(path: Path) -> str:
    """Hash a file by its bytes, a folder by its manifest or, without one, file by file."""
    if not path.is_dir():
        return sha256_file(path)
    if (path / MANIFEST).is_file():
        return sha256_file(path / MANIFEST)
    children = [child for child in path.iterdir() if not child.name.startswith(".")]
    names = {child.name: hash_input(child) for child in children if child.name != METRICS}
    return hashlib.sha256(json.dumps(names, sort_keys=True).encode()).hexdigest()


def list_files(folder: Path) -> list[tuple[str, int, int]]:
    """Name, bytes and time of change (ns) of every file of a user's own folder, or of a file.

    Such a folder may hold terabytes, so its files are not read to tell whether they changed.
    """
    found = [folder] if folder.is_file() else folder.rglob("*")
    files = sorted(path for path in found if path.is_file())
    stats = [(str(path.relative_to(folder)), path.stat()) for path in files]
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]


def loaded_modules() -> list[str]:
    """The project's modules that this process has imported and that shape a result."""
    names = [name for name in sys.modules if name.split(".")[0] in {"pipeline", "models"}]
    return [name for name in names if name not in _PLUMBING and _source(name)]


def _source(module: str) -> Path | None:
    file = getattr(sys.modules[module], "__file__", None)
    return Path(file) if file else None


def _hash_code(module: str) -> str:
    """Hash a module's syntax tree without docstrings, so that prose does not undo work."""
    source = _source(module)
    assert source is not None
    tree = ast.parse(source.read_bytes())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            del body[0]
    digest = hashlib.sha256(ast.dump(tree).encode())
    if source.name == "__init__.py":  # a package's templates decide as much as its code
        for resource in sorted([*source.parent.glob("*.html"), *source.parent.glob("*.css")]):
            digest.update(resource.read_bytes())
    return digest.hexdigest()


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


@contextmanager
def locked(
    folder: Path, *, what: str = "this stage", wait_s: float = _LOCK_WAIT_S
) -> Iterator[None]:
    """Hold the lock of a folder; it falls with the process, however that ends.

    An attempt that is ending, because its DVC was killed say, is given `wait_s` to do so.

    Raises:
        RetryableError: another live process works on the same, which `what` names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ends_s = time.monotonic() + wait_s
    with (folder / "lock").open("a+") as lock:
        while not _take(lock):
            if time.monotonic() >= ends_s:
                lock.seek(0)
                owner = lock.read().strip() or "unknown"
                raise RetryableError(
                    f"{folder}: another live process (pid {owner}) works on {what}; "
                    "wait for it or end it, then run the same command again"
                )
            time.sleep(0.1)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _take(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def sweep_stale(folder: Path, current: str, log: logging.Logger) -> None:
    """Remove what other fingerprints left, but keep the newest unfinished work.

    Finished work is in DVC's cache; unfinished work of a long training may be wanted back when a
    parameter is set back.
    """
    others = [path for path in folder.iterdir() if path.is_dir() and path.name != current]
    unfinished = [path for path in others if not (path / COMPLETE).is_file()]
    newest = max(unfinished, key=lambda path: path.stat().st_mtime, default=None)
    for path in others:
        if path == newest:
            log.warning(
                "%s: kept, unfinished work of other parameters, inputs or code; it goes on "
                "when they are set back, and may be deleted",
                path,
            )
        else:
            shutil.rmtree(path)
