"""`python -m flows.repair`: drop whatever of the study is not what DVC recorded.

Artefacts, finished work and DVC's cache are hard links to the same bytes, so that a study costs its
disk once; what changes one in place changes all, and DVC trusts its cache unread. Here everything
is read. What is wrong is deleted, and `dvc repro` restores it or, where the cache lost it, makes it
again: the stages compare their finished work themselves.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from flows.checkout.checkout import held
from flows.checkout.leavings import CheckoutError, read_lock_file

_DIGITS = 32  # of an MD5


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    argparse.ArgumentParser(
        prog="python -m flows.repair",
        description="Drop what is damaged, in DVC's cache and among the study's artefacts; "
        "`dvc repro` then restores it or makes it again. What is whole stays.",
    ).parse_args(arguments)
    root = Path.cwd()
    try:
        with held(root):
            cache = _cache(root)
            dropped = [*repair_cache(cache), *repair_outs(root, cache)]
    except CheckoutError as error:
        print(error, file=sys.stderr)
        return 1
    for path in dropped:
        print(f"{os.path.relpath(path, root)}: damaged, dropped")
    print("Now run `dvc repro`" if dropped else "Nothing is damaged")
    return 0


def repair_cache(cache: Path) -> list[Path]:
    """Delete the objects of a cache whose bytes are not those that their name is the MD5 of."""
    objects = [path for path in sorted(cache.glob("??/*")) if len(_name(path)) == _DIGITS]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashing lets go of the interpreter
        digests = list(pool.map(_md5, objects))
    damaged = [path for path, md5 in zip(objects, digests, strict=True) if _name(path) != md5]
    for path in damaged:
        path.unlink()
    return damaged


def repair_outs(root: Path, cache: Path) -> list[Path]:
    """Delete the files in the checkout that are not what DVC recorded of them."""
    recorded = [(path, md5) for path, md5 in _recorded(root, cache) if path.is_file()]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        digests = list(pool.map(_md5, [path for path, _ in recorded]))
    damaged = [path for (path, md5), found in zip(recorded, digests, strict=True) if found != md5]
    for path in damaged:
        path.unlink()
    return damaged


def _recorded(root: Path, cache: Path) -> Iterator[tuple[Path, str]]:
    """Each file that DVC recorded, and its MD5; of a folder whose listing is lost, none."""
    stages: dict[str, Any] = read_lock_file(root).get("stages", {})
    for out in (out for stage in stages.values() for out in stage.get("outs", [])):
        path, md5 = root / out["path"], str(out["md5"])
        listing = cache / md5[:2] / md5[2:]
        if not md5.endswith(".dir"):
            yield path, md5
        elif listing.is_file():
            for file in json.loads(listing.read_bytes()):
                yield path / file["relpath"], file["md5"]


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    return digest.hexdigest()


def _name(path: Path) -> str:
    """The MD5 that an object of DVC's cache is named by."""
    return (path.parent.name + path.name).removesuffix(".dir")


def _cache(root: Path) -> Path:
    """Where DVC keeps the files of this checkout."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "cache", "dir"],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise CheckoutError(f"{root}: DVC does not say where its cache is: {done.stderr.strip()}")
    return Path(done.stdout.strip()) / "files" / "md5"


if __name__ == "__main__":
    sys.exit(main())
