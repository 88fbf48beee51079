"""What code decides a stage's result: all that `python -m pipeline.<stage>` can import.

Found in the sources alone: imports at the top and inside functions, relative ones, and modules
that a string names in full (what is started with `-m`). With each package goes the data in its
folder, which it can read. Plumbing is left out, and so is what only plumbing imports.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.shared.running.plumbing import PLUMBING

TOPS = ("pipeline", "models")
_MODULE_NAME = re.compile(rf"(?:{'|'.join(TOPS)})(?:\.\w+)+")
_NO_DATA = re.compile(r"^\.|~$|\.tmp-|\.py[a-z]?$")  # hidden, an editor's, half a file, code


class Module(NamedTuple):
    """One source file of the project."""

    path: Path
    digest: str
    """SHA-256 of its syntax tree; comments and docstrings are not in it."""
    names: frozenset[str]
    """Dotted names that it imports or names, of whatever package."""


class Closure(NamedTuple):
    """What can shape a stage's result."""

    modules: frozenset[str]
    packages: frozenset[str]
    """Top-level import names of other people's packages."""


class CodeTree:
    """The sources under `root`; each is read once."""

    def __init__(self, root: Path, plumbing: Collection[str] = PLUMBING) -> None:
        """`plumbing` names the modules to leave out."""
        self.root = root
        self._plumbing = frozenset(plumbing)
        self.read: dict[str, Module | None] = {}
        """By name, what was asked for until now."""

    def closure(self, *start: str) -> Closure:
        """The modules and packages that these modules can import, themselves included."""
        modules: set[str] = set()
        packages: set[str] = set()
        waiting = list(start)
        while waiting:
            name = waiting.pop()
            if name in modules or name in self._plumbing:
                continue
            if module := self.module(name):
                modules.add(name)
                waiting += [part for found in (name, *module.names) for part in _parts(found)]
            elif _top(name) not in {*TOPS, *sys.stdlib_module_names}:
                packages.add(_top(name))
        return Closure(frozenset(modules), frozenset(packages))

    def files(self, closure: Closure) -> dict[str, str]:
        """SHA-256 of each module and each data file of its packages, by path under `root`."""
        found: dict[Path, str] = {}
        for name in closure.modules:
            module = self.module(name)
            assert module is not None
            found[module.path] = module.digest
            if module.path.name == "__init__.py":
                found |= {path: _hash_bytes(path) for path in _data_files(module.path.parent)}
        return {str(path.relative_to(self.root)): digest for path, digest in found.items()}

    def module(self, name: str) -> Module | None:
        """The project's module of that name, or None."""
        if name not in self.read:
            path = self._find(name)
            self.read[name] = _read_module(name, path) if path else None
        return self.read[name]

    def _find(self, name: str) -> Path | None:
        if _top(name) not in TOPS:
            return None
        base = self.root.joinpath(*name.split("."))
        candidates = (base / "__init__.py", base.with_name(f"{base.name}.py"))
        return next((path for path in candidates if path.is_file()), None)


def _top(name: str) -> str:
    return name.partition(".")[0]


def _parts(name: str) -> Iterator[str]:
    """`a.b.c` and the packages around it, whose `__init__` runs first."""
    pieces = name.split(".")
    for end in range(1, len(pieces) + 1):
        yield ".".join(pieces[:end])


def _read_module(name: str, path: Path) -> Module:
    tree = ast.parse(path.read_bytes(), filename=str(path))
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    names = frozenset(_names(tree, package))
    digest = hashlib.sha256(repr(_plain(tree)).encode()).hexdigest()
    return Module(path, digest, names)


def _names(tree: ast.AST, package: str) -> Iterator[str]:
    """Every module that a source can import; `from a import b` may mean `a.b`."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        waiting += _that_run(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and _is_module_name(node.value):
            yield str(node.value)


def _is_module_name(value: object) -> bool:
    return isinstance(value, str) and bool(_MODULE_NAME.fullmatch(value))


def _that_run(node: ast.AST) -> list[ast.AST]:
    """A node's children, but for what stands under `if TYPE_CHECKING` and never runs."""
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        return [*node.orelse]
    return [*ast.iter_child_nodes(node)]


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    pieces = package.split(".")
    base = pieces[: len(pieces) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def _plain(value: Any) -> Any:
    """A syntax tree without positions and bare strings, the same in every version of Python.

    A bare string does nothing: it is a docstring, of a module, a function or a field.
    """
    if isinstance(value, ast.JoinedStr):  # some versions end the format of a value by an empty text
        texts = [part for part in value.values if getattr(part, "value", None) != ""]
        return ("JoinedStr", [_plain(part) for part in texts])
    if isinstance(value, ast.AST):
        fields = [(name, _plain(field)) for name, field in ast.iter_fields(value)]
        return (type(value).__name__, [field for field in fields if field[1] not in (None, [])])
    if isinstance(value, list):
        return [_plain(item) for item in value if not _does_nothing(item)]
    return value


def _does_nothing(node: Any) -> bool:
    """Whether a statement is a bare string."""
    bare = node.value if isinstance(node, ast.Expr) else None
    return isinstance(bare, ast.Constant) and isinstance(bare.value, str)


def _data_files(package: Path) -> Iterator[Path]:
    """The files in a package's folder that are no code; folders of other packages are not its."""
    for folder, folders, names in os.walk(package):
        folders[:] = [
            name
            for name in folders
            if not (_NO_DATA.search(name) or name == "__pycache__")
            and not Path(folder, name, "__init__.py").is_file()
        ]
        yield from (Path(folder, name) for name in names if not _NO_DATA.search(name))


def _hash_bytes(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
