"""Measure the data stages, each part beside its peers in the same run.

    python benchmarks/corpus.py extract --help
    python benchmarks/corpus.py dedup

A part is a file `corpus_<part>.py` of this folder: `add_arguments(parser)` says what it takes, and
`measure(arguments)` gives its rows and, as Markdown, what they mean. Results are named by what was
chosen of the options in its `WHOLE`, if it has any.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from importlib.metadata import version
from pathlib import Path

from result_table import command_line, name_part, write_results

_FILES = sorted(Path(__file__).parent.glob("corpus_*.py"))
_PARTS = [path.stem.removeprefix("corpus_") for path in _FILES]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parts = parser.add_subparsers(dest="part", required=True, metavar="PART")
    for name in _PARTS:
        module = importlib.import_module(f"corpus_{name}")
        about = (module.__doc__ or "").partition("\n")[0]
        part = parts.add_parser(name, help=about, description=about)
        module.add_arguments(part)
        part.set_defaults(measure=module.measure, wholes=getattr(module, "WHOLE", {}))
    arguments = parser.parse_args()
    rows, notes = arguments.measure(arguments)
    about = f"`{command_line()}`; Python {version_of_python()}."
    name = name_part(f"corpus_{arguments.part}", arguments, arguments.wholes)
    print("written:", write_results(name, "cpu", rows, f"{about}\n{notes}"))


def version_of_python() -> str:
    """The interpreter's version, as `3.11.7`."""
    return sys.version.split()[0]


def versions(*packages: str) -> str:
    """Installed versions, for a part's notes.

    >>> versions("pytest").startswith("pytest ")
    True
    """
    return ", ".join(f"{package} {version(package)}" for package in packages)


if __name__ == "__main__":
    main()
