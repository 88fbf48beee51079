"""Which examples of a set hang together, so that an interval draws them together.

The questions of one story are answered from one reading of it. Drawn one by one, as if each told
something new, they give an interval that is too narrow. Drawn are the clusters, whole.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from typing import NamedTuple

from pipeline.eval_sets.eval_set import Together
from pipeline.shared.formats.examples import Example

EACH = "each example by itself"
Key = Callable[[Sequence[Example]], Sequence[Hashable]]


class Clusters(NamedTuple):
    """The cluster of each example."""

    numbers: list[int]
    """By example; clusters are numbered from 0 in the order of their first example."""
    what: str
    """What a cluster is, for the protocol."""


def cluster(examples: Sequence[Example], together: Together) -> Clusters:
    """The clusters of a set's examples, as its declaration says that they hang together."""
    key, what = _KINDS[together]
    places: dict[Hashable, int] = {}
    numbers = [places.setdefault(value, len(places)) for value in key(examples)]
    return Clusters(numbers, what.format(neighbours=run_length(len(examples))))


def run_length(num_examples: int) -> int:
    """Neighbours in a run: the cube root of the number of examples, rounded up.

    That order balances the bias of short blocks and the noise of few (Kuensch 1989; Hall, Horowitz
    and Jing 1995). The 4,900 KiB of enwik8's test part are drawn in runs of 17.

    >>> run_length(4900), run_length(27), run_length(1)
    (17, 3, 1)
    """
    return next(n for n in range(1, num_examples + 2) if n**3 >= num_examples)


def _each(examples: Sequence[Example]) -> Sequence[Hashable]:
    return range(len(examples))


def _stories(examples: Sequence[Example]) -> Sequence[Hashable]:
    return [example.id.rpartition(":")[0] for example in examples]


def _runs(examples: Sequence[Example]) -> Sequence[Hashable]:
    length = run_length(len(examples))
    return [place // length for place in range(len(examples))]


def _chains(linked: Callable[[Example, Example], bool]) -> Key:
    """Examples that follow one another and are linked, each with the one before it."""

    def key(examples: Sequence[Example]) -> Sequence[Hashable]:
        numbers = [0] * min(1, len(examples))
        for before, example in pairwise(examples):
            numbers.append(numbers[-1] + (not linked(before, example)))
        return numbers

    return key


def _share_sentences(before: Example, example: Example) -> bool:
    return not set(before.text.split("\n")).isdisjoint(example.text.split("\n"))


def _share_beginning(before: Example, example: Example) -> bool:
    return before.context == example.context


_KINDS: dict[Together, tuple[Key, str]] = {
    "each": (_each, EACH),
    "stories": (_stories, "the questions of one story together"),
    "passages": (
        _chains(_share_sentences),
        "neighbouring questions whose passages share a sentence together",
    ),
    "twins": (_chains(_share_beginning), "neighbours that begin alike (twin schemas) together"),
    "neighbours": (_runs, "runs of {neighbours} neighbours (the cube root of the examples)"),
}
