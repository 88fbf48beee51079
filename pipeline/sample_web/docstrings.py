"""The docstrings of a Python file, read from its syntax tree without importing it.

Compiled packages attach docstrings by calls such as `add_newdoc(...)` or `add_docstr(...)`; those
are read too.
"""

from __future__ import annotations

import ast
import inspect
import re
import warnings
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_LEAST_BYTES = 1200  # of quoted text in a file: less makes no page, and parsing is slow
_QUOTED = re.compile(rb'"""(.*?)"""' + rb"|'''(.*?)'''", re.DOTALL)
_LEAST_ATTACHED = 200  # characters of a call's string: shorter ones are messages
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Entry(NamedTuple):
    """One documented thing of a file."""

    owner: str
    """The class it belongs to, or "" for the module itself and its functions."""
    name: str
    """As a reader would call it inside the module: `Linear.forward`; "" for the module."""
    text: str
    """The docstring, its indentation removed."""


def has_documentation(source: bytes) -> bool:
    """Whether a file quotes enough text to be worth parsing."""
    return sum(len(match.group()) for match in _QUOTED.finditer(source)) >= _LEAST_BYTES


def read_entries(source: bytes) -> list[Entry]:
    """The docstrings of one file, in its order.

    Raises:
        SyntaxError: the file is no Python of this version.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in others' files are not our concern
        tree = ast.parse(source)
    return list(_entries(tree.body, "", ast.get_docstring(tree)))


def read_topics(source: bytes) -> list[Entry]:
    """The topics of `pydoc_data/topics.py`: a dictionary of chapters."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            topics = ast.literal_eval(node.value)
            return [Entry(name, name, text.strip()) for name, text in topics.items()]
    return []


def _entries(body: Iterable[ast.stmt], owner: str, docstring: str | None) -> Iterator[Entry]:
    if docstring:
        yield Entry(owner, owner, docstring)
    for node in body:
        if isinstance(node, ast.ClassDef):
            name = f"{owner}.{node.name}" if owner else node.name
            yield from _entries(node.body, name, ast.get_docstring(node))
        elif isinstance(node, _DEFINITIONS):
            text = ast.get_docstring(node)
            if text:
                yield Entry(owner, f"{owner}.{node.name}" if owner else node.name, text)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield from _attached(node.value)
        elif isinstance(node, (ast.If, ast.Try)):
            yield from _entries([*node.body, *node.orelse], owner, None)


def _attached(call: ast.Call) -> Iterator[Entry]:
    """A docstring attached by a call: `add_newdoc("numpy", "zeros", \"\"\"...\"\"\")`."""
    strings = [text for argument in call.args for text in _constant(argument)]
    texts = [text for text in strings if len(text) >= _LEAST_ATTACHED]
    if texts and call.args:
        short = [text for text in strings if re.fullmatch(r"[\w.]+", text)]
        name = short[-1] if short else ast.unparse(call.args[0])[:60]
        yield Entry(name, name, inspect.cleandoc(texts[-1]))


def _constant(node: ast.expr) -> Iterator[str]:
    """The strings in an argument: plain, or formatted by a method, `+` or `%`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        yield from _constant(node.func.value)
    elif isinstance(node, ast.BinOp):
        yield from _constant(node.left)
    elif isinstance(node, ast.Tuple):
        for element in node.elts:
            yield from _constant(element)
