"""Pronoun schemas in the three published forms of the Winograd Schema Challenge.

Made from templates: each names two things, and a twin of its ending turns the answer around.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import NamedTuple


class Schema(NamedTuple):
    """One sentence with a pronoun that may mean one of two things."""

    before: str
    pronoun: str
    after: str
    first: str
    second: str
    answer: int
    """0: the first, 1: the second."""

    @property
    def text(self) -> str:
        """The sentence with its pronoun."""
        return f"{self.before} {self.pronoun} {self.after}"


_Template = tuple[str, str, str]
# {0} and {1} are the two; the first ending speaks of the first, the second of the second.
_OF_THINGS: list[_Template] = [
    ("{0} does not fit into {1} because", "is too large.", "is too small."),
    ("{0} was written into {1} until", "was finished.", "was full."),
    ("{0} was moved out of {1} because", "had grown too big for it.", "had become too crowded."),
]
_OF_ACTORS: list[_Template] = [
    ("{0} waits for {1} because", "cannot go on alone.", "has not finished yet."),
    ("{0} refused the request of {1} since", "was too busy.", "had asked too often."),
]
_THINGS = [
    ("the message", "the buffer"),
    ("the table", "the page"),
    ("the matrix", "the memory"),
    ("the archive", "the disk"),
    ("the module", "the package"),
    ("the list", "the array"),
    ("the document", "the column"),
    ("the picture", "the window"),
]
_ACTORS = [
    ("the server", "the client"),
    ("the parser", "the reader"),
    ("the worker", "the scheduler"),
    ("the database", "the proxy"),
    ("the printer", "the driver"),
    ("the compiler", "the linker"),
]


def schemas() -> list[Schema]:
    """All twins, one after the other."""
    return [*_twins(_OF_THINGS, _THINGS), *_twins(_OF_ACTORS, _ACTORS)]


def _twins(templates: list[_Template], pairs: list[tuple[str, str]]) -> Iterator[Schema]:
    for sentence, *endings in templates:
        for first, second in pairs:
            before = sentence.format(first, second)
            before = before[0].upper() + before[1:]
            for answer, ending in enumerate(endings):
                yield Schema(before, "it", ending, first, second, answer)


def masked_form(items: list[Schema]) -> str:
    """`wsc273.txt`: sentence with [MASK], [MASK], candidates, answer, blank line."""
    blocks = []
    for item in items:
        names = (item.first, item.second)
        blocks.append(
            f"{item.before} [MASK]  {item.after} \n[MASK]\n"
            f"{','.join(names)} \n{names[item.answer]} \n\n"
        )
    return "".join(blocks)


def partial_form(items: list[Schema]) -> str:
    """`winograd_wsc_partial.jsonl`: two contexts, the common continuation, which is right."""
    return "".join(
        json.dumps({
            "context_options": [f"{i.before} {i.first}", f"{i.before} {i.second}"],
            "continuation": i.after,
            "gold": i.answer,
        })
        + "\n"
        for i in items
    )


def collection_form(items: list[Schema]) -> str:
    """`WSCollection.xml`: the original collection's elements."""
    parts = ['<?xml version="1.0" encoding="ISO-8859-1"?>\n\n<collection>\n']
    for item in items:
        parts.append(
            f"\n<schema>\n<text>\n<txt1>{escape(item.before)}</txt1>\n"
            f"<pron> {item.pronoun} </pron>\n<txt2>{escape(item.after)}</txt2>\n</text>\n"
            f"<quote>\n<quote1></quote1>\n<pron>{item.pronoun} </pron>\n"
            f"<quote2>{escape(item.after.rstrip('.'))}</quote2>\n</quote>\n"
            f"<answers>\n<answer>{escape(item.first)}</answer>\n"
            f"<answer>{escape(item.second)}</answer>\n</answers>\n"
            f"<correctAnswer> {'AB'[item.answer]} </correctAnswer>\n"
            f"<source> sample </source>\n</schema>\n"
        )
    return "".join([*parts, "\n</collection>\n"])
