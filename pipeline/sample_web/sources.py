"""Where the built-in web's text comes from: documentation that every installation has.

Only packages that figure4 needs at run time are read, never a development tool, so that `make
study` and a developer's environment give the same web. Files are parsed, never imported.
"""

from __future__ import annotations

import platform
import re
import sysconfig
from collections.abc import Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

from pipeline.shared.errors import UserError

STANDARD_LIBRARY = "python"

# Those with much prose, in the order in which their pages are taken until the bound on text is
# reached. A test checks that each is a dependency of figure4 itself.
DISTRIBUTIONS = (
    *("sqlalchemy", "pandas", "networkx", "nltk", "mlflow", "prefect", "numpy", "scikit-learn"),
    *("matplotlib", "torchmetrics", "lightning", "pydantic", "jinja2", "docutils", "redis"),
    *("asyncssh", "aiohttp", "celery", "kombu", "beartype", "werkzeug", "flask", "click"),
    *("websockets", "requests", "urllib3", "rich", "prompt-toolkit", "fsspec", "torch", "scipy"),
    "sympy",
)
_SKIPPED_PARTS = frozenset({
    *("test", "tests", "testing", "_testing", "idlelib", "lib2to3", "turtledemo", "pydoc_data"),
    *("site-packages", "dist-packages", "_vendor", "vendor", "_vendored_packages", "externals"),
    # torch's internals: half of its bytes, little prose
    *("_inductor", "_dynamo", "_export", "_functorch", "_refs", "_prims", "_decomp", "_numpy"),
    *("_higher_order_ops", "_subclasses", "_library", "fx", "ao", "onnx"),
})  # fmt: skip
_TOPICS = "pydoc_data/topics.py"  # the language reference as `help()` shows it


class PackageSource(NamedTuple):
    """One file of documentation."""

    package: str
    """The distribution, or `python`."""
    module: str
    """Dotted name; `<package>` for a long description."""
    path: Path


def versions() -> dict[str, str]:
    """The version of Python and of each distribution read, which decide the text.

    Raises:
        UserError: one is not installed.
    """
    found = {name: find_distribution(name).version for name in DISTRIBUTIONS}
    return {STANDARD_LIBRARY: platform.python_version()} | found


def find_distribution(name: str) -> Distribution:
    """An installed distribution.

    Raises:
        UserError: it is not installed.
    """
    try:
        return distribution(name)
    except PackageNotFoundError:
        raise UserError(
            f"sample_web: the package {name} is not installed, and its documentation is part of "
            "the built-in web; run `pip install -c constraints.txt -e .`"
        ) from None


def unlike_pinned(found: Mapping[str, str], constraints: Path) -> list[str]:
    """What differs between the installed versions and those of a constraints file."""
    lines = constraints.read_text(encoding="utf-8").splitlines()
    pinned = dict(line.lower().split("==") for line in lines if re.fullmatch(r"[\w.-]+==\S+", line))
    return [
        f"{name} {version} is installed where {constraints.name} pins {pinned[name]}"
        for name, version in found.items()
        if name in pinned and version.partition("+")[0] != pinned[name]
    ]


def find_sources() -> list[PackageSource]:
    """Every file with documentation: standard library first, then `DISTRIBUTIONS`, by path."""
    sources = _standard_library()
    for name in DISTRIBUTIONS:
        sources += _distribution_sources(name)
    return sources


def _standard_library() -> list[PackageSource]:
    root = Path(sysconfig.get_paths()["stdlib"])
    paths = sorted(path.relative_to(root) for path in root.rglob("*.py"))
    wanted = [path for path in paths if _is_wanted(path) or path.as_posix() == _TOPICS]
    return [PackageSource(STANDARD_LIBRARY, _module_name(path), root / path) for path in wanted]


def _distribution_sources(name: str) -> list[PackageSource]:
    found = find_distribution(name)
    files = sorted(Path(str(file)) for file in found.files or [])
    sources = [
        PackageSource(name, _module_name(file), Path(str(found.locate_file(str(file)))))
        for file in files
        if file.suffix == ".py" and _is_wanted(file)
    ]
    metadata = [file for file in files if file.match("*.dist-info/METADATA")]
    return [
        *(PackageSource(name, name, Path(str(found.locate_file(str(file))))) for file in metadata),
        *sources,
    ]


def _is_wanted(path: Path) -> bool:
    folders = set(path.parts[:-1])
    return not folders & _SKIPPED_PARTS and not re.match(r"test_|conftest|\.\.", str(path.name))


def _module_name(path: Path) -> str:
    parts = [*path.parts[:-1], path.stem]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
