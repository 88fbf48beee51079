"""A copy of the project's code that tests may edit, and what decides each stage's result there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.shared.running.code_closure import TOPS, CodeTree
from pipeline.shared.running.deciders import code_deciders, digest
from pipeline.shared.running.package_pins import read_pins
from pipeline.watch.run import stages

STAGES = stages()


class CopiedCode:
    """The packages under a folder of their own."""

    def __init__(self, project: Path, folder: Path) -> None:
        self.root = folder
        for top in TOPS:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(project / top, folder / top, ignore=ignored)
        shutil.copy(project / "constraints.txt", folder)
        self.pins = read_pins(project / "constraints.txt")
        self.tree = CodeTree(folder)
        self.before = self.digests()

    def digests(self, tree: CodeTree | None = None) -> dict[str, str]:
        """The hash of each stage's code."""
        tree = tree or self.tree
        return {stage: digest(code_deciders(tree, stage, self.pins)) for stage in STAGES}

    def changed(self, *modules: str) -> set[str]:
        """The stages whose hash is not what it was, now that these modules are edited."""
        now = self.digests(self._read_again(modules))
        return {stage for stage in STAGES if now[stage] != self.before[stage]}

    def _read_again(self, modules: tuple[str, ...]) -> CodeTree:
        tree = CodeTree(self.root)
        known = {name: self.tree.module(name) for name in self.tree.read if name not in modules}
        tree.read.update(known)
        return tree

    def path(self, module: str) -> Path:
        """A module's file."""
        found = self.tree.module(module)
        assert found is not None
        return found.path

    @contextmanager
    def edited(self, path: Path, content: bytes) -> Iterator[None]:
        """Have other bytes in a file while the block runs; it may be new."""
        before = path.read_bytes() if path.exists() else None
        path.write_bytes(content)
        try:
            yield
        finally:
            path.unlink() if before is None else path.write_bytes(before)
