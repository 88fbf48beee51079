"""The web's word lists, phrases, stories and templates: the files of the folder data/."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

FOLDER = Path(__file__).with_name("data")


@cache
def read_data(name: str) -> dict[str, Any]:
    """The content of `<name>.toml`."""
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


def word_list(name: str) -> list[str]:
    """One of the lists of words.toml."""
    found: list[str] = read_data("words")[name]
    return found


def render(template: str, **values: object) -> str:
    """A file of Jinja's with these values, escaped as HTML; the last line has no end."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(loader=jinja2.FileSystemLoader(FOLDER), autoescape=True)


def read_stories(language: str) -> list[list[str]]:
    """The stories of a language, each a title and paragraphs, written for this web.

    In the file a title is a line after `#`; an empty line ends a paragraph.
    """
    text = (FOLDER / f"stories.{language}.txt").read_text(encoding="utf-8")
    told = text.removeprefix("# ").split("\n# ")
    return [[" ".join(part.split()) for part in story.split("\n\n")] for story in told]
