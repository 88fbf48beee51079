"""One thing that was looked at: a line, and what to do about it."""

from __future__ import annotations

from typing import Literal, NamedTuple

Level = Literal["ok", "note", "wrong"]


class Finding(NamedTuple):
    """A line of the doctor's."""

    level: Level
    """`wrong`: the study will fail, or not be what it says; `note`: it may be what is wanted."""
    what: str
    remedy: str = ""

    def as_line(self) -> str:
        """`wrong  disk: ...; free 3 GB`."""
        return f"{self.level:<6} {'; '.join(part for part in (self.what, self.remedy) if part)}"


def ok(what: str) -> Finding:
    """Nothing to do."""
    return Finding("ok", what)
