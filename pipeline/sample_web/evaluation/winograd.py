"""Pronoun schemas in the three published forms of the Winograd Schema Challenge.

Made from frames: each names two things, and a twin of its ending turns the answer around.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from pipeline.sample_web.material import read_data, render


class Schema(NamedTuple):
    """One sentence with a pronoun, `it`, that may mean one of two things."""

    before: str
    after: str
    names: tuple[str, str]
    answer: int
    """0: the first name, 1: the second."""


def schemas() -> list[Schema]:
    """All twins, one after the other."""
    return [schema for kind in read_data("schemas")["kinds"] for schema in _twins(**kind)]


def _twins(frames: list[list[str]], pairs: list[list[str]]) -> Iterator[Schema]:
    for frame, *endings in frames:
        for first, second in pairs:
            before = frame.format(first, second)
            before = before[0].upper() + before[1:]
            for answer, ending in enumerate(endings):
                yield Schema(before, ending, (first, second), answer)


def masked_form(items: list[Schema]) -> str:
    """`wsc273.txt`: sentence with [MASK], [MASK], candidates, answer, blank line."""
    return "".join(
        f"{item.before} [MASK]  {item.after} \n[MASK]\n"
        f"{','.join(item.names)} \n{item.names[item.answer]} \n\n"
        for item in items
    )


def partial_form(items: list[Schema]) -> Iterator[dict[str, Any]]:
    """Rows of `winograd_wsc_partial.jsonl`: two contexts, how both go on, which is right."""
    for item in items:
        contexts = [f"{item.before} {name}" for name in item.names]
        yield {"context_options": contexts, "continuation": item.after, "gold": item.answer}


def collection_form(items: list[Schema]) -> str:
    """`WSCollection.xml`: the original collection's elements."""
    return render("WSCollection.xml", schemas=items) + "\n"
