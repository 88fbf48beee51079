"""What is asked for on the command line."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_EXAMPLES = """\
how a study is named
  tiny                       a profile, by its artefacts in data/tiny
  ~/other/data/tiny          a study's folder, of any checkout
  tiny@v1.0                  a profile at a Git revision: tag, branch or commit
  seed-2                     a `dvc exp` experiment, or a revision, of the profile active there
  LABEL=any of these         as figure and tables shall call it; one LABEL twice makes replicates

examples
  Three seeds (docs/compare.md says how they are made); found to be replicates by their parameters:
    python -m pipeline.compare tiny seed-2 seed-3
  What the texts of the evaluation sets in the training text do:
    python -m pipeline.compare removed=tiny kept=with-eval-texts
  Three seeds against three, from folders that tell no parameters:
    python -m pipeline.compare a=~/a1/tiny a=~/a2/tiny a=~/a3/tiny \\
        b=~/b1/tiny b=~/b2/tiny b=~/b3/tiny
  Three budgets, for L(N, D):
    python -m pipeline.compare tiny half-the-tokens quarter-of-the-tokens

what belongs together
  Studies without a label whose recorded parameters differ in seeds alone are replicates of one
  group. Each group is held against the first one named, size by size.

what comes out, in the folder of --out
  index.html               the page: figure, tables and what the intervals mean
  compare.csv              a row a group and size: perplexity, bits per byte, spread, intervals
  ratios.csv               a row a group, size and metric: the group against the first
  slopes.csv               power laws in parameters, with and without embeddings, and floors
  fit.json                 L(N, D), or why it cannot be told
  compare.png, compare.svg
The same is put into MLflow, in the experiment figure4-compare.
"""
_LABELLED = re.compile(r"([^=/@]+)=(.+)")


@dataclass(frozen=True)
class Named:
    """One study as it was named."""

    where: str
    """A profile, a folder, PROFILE@REVISION or a revision."""
    label: str = ""
    """Of its group; empty where the parameters decide."""


@dataclass(frozen=True)
class CompareOptions:
    """One call of the command."""

    studies: list[Named]
    out: Path
    data: Path = Path("data")
    samples: int = 2000
    """Draws behind each interval."""
    seed: int = 1
    """Of the draws."""


def parse(argv: Sequence[str] | None = None) -> CompareOptions:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.compare",
        description="Put the Figure 4s of several studies or replicates into one figure and\n"
        "table, from their artefacts alone.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EXAMPLES,
    )
    add = parser.add_argument
    add("studies", nargs="+", metavar="[LABEL=]STUDY", help="the first is the reference")
    add("--out", type=Path, default=Path("data/compare"), metavar="FOLDER",
        help="of what comes out (default: data/compare)")  # fmt: skip
    add("--data", type=Path, default=Path("data"), metavar="FOLDER",
        help="in which profiles lie (default: data)")  # fmt: skip
    add("--samples", type=_count, default=2000, metavar="N",
        help="draws behind each interval (default: 2000)")  # fmt: skip
    add("--seed", type=int, default=1, help="of the draws (default: 1)")
    given = parser.parse_args(argv)
    named = [name_of(text) for text in given.studies]
    return CompareOptions(named, given.out, given.data, given.samples, given.seed)


def name_of(text: str) -> Named:
    """A study as it stands on the command line.

    >>> name_of("kept=tiny@main"), name_of("runs/lr=1/data/tiny").label
    (Named(where='tiny@main', label='kept'), '')
    """
    if (found := _LABELLED.fullmatch(text)) and not Path(text).is_dir():
        return Named(found[2], found[1])
    return Named(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of at least 100; give one")
    return int(text)
