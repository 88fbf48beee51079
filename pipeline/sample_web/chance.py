"""Chance that depends on a seed and a name only: the same in every process and order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import TypeVar

Thing = TypeVar("Thing")


def chance(seed: int, *names: object) -> float:
    """A number in [0, 1), uniform over names.

    >>> chance(1, "page", 7) == chance(1, "page", 7), 0 <= chance(1, "page", 7) < 1
    (True, True)
    """
    digest = hashlib.sha256(repr((seed, *map(str, names))).encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56  # what a double holds exactly


def pick(options: Sequence[Thing], seed: int, *names: object) -> Thing:
    """One of the options."""
    return options[int(chance(seed, *names) * len(options))]


def shuffled(
    things: Iterable[Thing], name: Callable[[Thing], object], seed: int, purpose: str
) -> list[Thing]:
    """The things in an order that only their names, the seed and the purpose decide."""
    return sorted(things, key=lambda thing: (chance(seed, purpose, name(thing)), str(name(thing))))


def generator(seed: int, *names: object) -> Random:
    """A generator of its own for one thing."""
    return Random(int(chance(seed, *names) * 2**56))
