"""Documentation text as blocks: headings, paragraphs, list items, definitions, code.

Docstrings mix reST, numpydoc, Google style, Markdown and plain text. A reader of blank lines,
indentation and first characters tells them apart well enough; what is no prose (tables, doctests of
many lines, signatures) is left out and counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Literal, NamedTuple

from pipeline.sample_web.material import word_list

Kind = Literal["heading", "paragraph", "item", "definition", "code"]


class TextBlock(NamedTuple):
    """One block of a page."""

    kind: Kind
    text: str
    """Plain text, markup removed; code keeps its lines."""
    term: str = ""
    """What a definition defines: `axis : int, optional`."""
    source: str = ""
    """The text with its reST markup, where it has any."""

    @property
    def is_text(self) -> bool:
        """Whether it is neither heading nor code."""
        return self.kind not in {"heading", "code"}

    @property
    def running_text(self) -> str:
        """Term and text in one line."""
        return f"{self.term}: {self.text}" if self.term else self.text


_MOST_CODE_LINES = 8
_LEAST_WORDS = 3
_UNDERLINE = re.compile(r"([=\-~^*#\"'+`_.])\1{2,}\s*$")
_BULLET = re.compile(r"(?:[-*+•]|\(?(?:\d{1,2}|[a-z]|#)[.)])\s+(?=\S)")
_FIELD = re.compile(r":(\w[^:`]*):\s*")
_DIRECTIVE = re.compile(r"\.\. ?(?:([\w:-]+)::)?\s*(.*)")
_PROSE_DIRECTIVES = frozenset(word_list("prose_directives"))
_GOOGLE_TERM = re.compile(r"(\*{0,2}\w[\w.]*(?: ?\([^()]*(?:\([^()]*\))?[^()]*\))?): +(?=\S)")
_SECTION = re.compile(r"(?:#{1,6} +(?P<markdown>\S.*?) *#*|(?P<google>[A-Z][a-z]+(?: [a-z]+)?):)$")


def read_blocks(text: str, left_out: Counter[str]) -> list[TextBlock]:
    """The blocks of a docstring or long description; counts in `left_out` what is left out."""
    blocks: list[TextBlock] = []
    code_indent = -1  # of the block that announced code, while that code lasts
    for lines in _chunks(text.expandtabs().splitlines()):
        indent = _indent(lines[0])
        if code_indent >= 0 and indent > code_indent:
            _add_code(blocks, lines, left_out)
            continue
        code_indent = -1
        blocks += _read_chunk(lines, left_out)
        if _opens_code(lines):
            code_indent = indent
    return blocks


def _chunks(lines: list[str]) -> Iterator[list[str]]:
    """Runs of lines without a blank one; a fence (```) is one run whatever is in it."""
    chunk: list[str] = []
    fenced = False
    for line in [*lines, ""]:
        if line.lstrip().startswith("```"):
            fenced = not fenced
        if line.strip() or fenced:
            chunk.append(line)
        elif chunk:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _joined(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines)


def _opens_code(lines: list[str]) -> bool:
    """Whether deeper lines after this run are literal: after `::` or a directive of no prose."""
    match = _DIRECTIVE.match(lines[0].strip())
    if match:
        return match[1] not in _PROSE_DIRECTIVES
    return lines[-1].rstrip().endswith("::")


def _add_code(blocks: list[TextBlock], lines: list[str], left_out: Counter[str]) -> None:
    """Append code to the block of code before it, if both together are short enough."""
    base = min(_indent(line) for line in lines if line.strip())
    text = "\n".join(line[base:].rstrip() for line in lines)
    if len(lines) > _MOST_CODE_LINES or not blocks or blocks[-1].kind == "code":
        left_out["code"] += 1
    else:
        blocks.append(TextBlock("code", text))


def _read_chunk(lines: list[str], left_out: Counter[str]) -> list[TextBlock]:
    first = lines[0].strip()
    if first.startswith((">>>", "$ ", "```", "In [")):
        blocks: list[TextBlock] = [TextBlock("paragraph", "")]
        inside = [line for line in lines if "```" not in line]
        if inside:
            _add_code(blocks, inside, left_out)
        return blocks[1:]
    if first.startswith(".."):
        return _read_directive(lines, left_out)
    if len(lines) >= 2 and _UNDERLINE.match(lines[1].strip()):
        rest = lines[2:]
        return [TextBlock("heading", plain(first)), *(_read_chunk(rest, left_out) if rest else [])]
    if _UNDERLINE.match(first) or _is_table(first):
        rest = lines[1:] if _UNDERLINE.match(first) else []
        left_out["table"] += not rest
        return _read_chunk(rest, left_out) if rest else []
    section = _SECTION.match(first)
    if section and (len(lines) == 1 or section["google"] is None or _is_deeper(lines)):
        heading = TextBlock("heading", plain(section["markdown"] or section["google"]))
        return [heading, *(_read_chunk(lines[1:], left_out) if len(lines) > 1 else [])]
    return _read_listed(lines, left_out)


def _is_deeper(lines: list[str]) -> bool:
    return all(_indent(line) > _indent(lines[0]) for line in lines[1:])


def _is_table(line: str) -> bool:
    return bool(re.match(r"\+[-=+]+\+|\||<|\[!\[|!\[|={3,} +=|-{3,} +-", line))


def _read_directive(lines: list[str], left_out: Counter[str]) -> list[TextBlock]:
    match = _DIRECTIVE.match(lines[0].strip())
    if not match or match[1] not in _PROSE_DIRECTIVES:
        left_out["directive"] += 1
        return []
    text = _joined([match[2], *lines[1:]])
    if match[1] in {"versionadded", "versionchanged", "deprecated"}:
        said = {"versionadded": "Added in version", "versionchanged": "Changed in version"}
        version, _, rest = text.partition(" ")
        lead = f"{said.get(match[1], 'Deprecated since version')} {version.rstrip(':.,')}"
        return [TextBlock("paragraph", f"{lead}: {plain(rest)}" if rest.strip() else f"{lead}.")]
    return _block("paragraph", text, left_out)


def _read_listed(lines: list[str], left_out: Counter[str]) -> list[TextBlock]:
    """Items, fields and definitions where the lines begin so; else one paragraph."""
    base = min(_indent(line) for line in lines)
    heads = [number for number, line in enumerate(lines) if _indent(line) == base]
    groups = [
        lines[start:stop] for start, stop in zip(heads, [*heads[1:], len(lines)], strict=True)
    ]
    if not groups or heads[0] != 0:
        return _block("paragraph", _joined(lines), left_out)
    is_list = _BULLET.match(lines[0].strip()) or _FIELD.match(lines[0].strip())
    if not is_list and not all(_is_definition(group) for group in groups):
        return _block("paragraph", _joined(lines), left_out)
    blocks: list[TextBlock] = []
    for group in groups:
        blocks += _read_group(group, blocks, left_out)
    return blocks


def _is_definition(group: list[str]) -> bool:
    """A term with a deeper text below it, or `name (type): text`, or `name : type`."""
    first = group[0].strip()
    if _GOOGLE_TERM.match(first):
        return True
    return len(group) > 1 and len(first) < 100 and not first.endswith((".", ",", ":"))


def _read_group(
    group: list[str], before: list[TextBlock], left_out: Counter[str]
) -> list[TextBlock]:
    first = group[0].strip()
    text = _joined(group)
    if bullet := _BULLET.match(text):
        return _block("item", text[bullet.end() :], left_out)
    if field := _FIELD.match(text):
        names = field[1].split()
        term = names[-1] if len(names) > 1 else field[1].capitalize()
        return _block("definition", text[field.end() :], left_out, term)
    if google := _GOOGLE_TERM.match(first):
        return _block("definition", text[google.end() :], left_out, google[1])
    if len(group) > 1:
        return _block("definition", _joined(group[1:]), left_out, first)
    if before and before[-1].kind == "item":  # a line of a list that lost its indentation
        return _block("item", text, left_out)
    return _block("paragraph", text, left_out)


def _block(kind: Kind, text: str, left_out: Counter[str], term: str = "") -> list[TextBlock]:
    """The block if its text is prose, else nothing."""
    source = _FOOTNOTE.sub("", " ".join(text.split()))
    if source.endswith("::"):
        source = source[:-1]
    cleaned = plain(source)
    if not is_prose(cleaned):
        left_out["not_prose"] += 1
        return []
    return [TextBlock(kind, cleaned, plain(term), source if source != cleaned else "")]


_FOOTNOTE = re.compile(r" ?\[[#\w]+\]_\b")
_WORD = re.compile(r"[(\"'“]*[A-Za-z][A-Za-z'\u2019-]*[)\"'”]*[.,;:!?]*[)\"'”]*$")


def is_prose(text: str) -> bool:
    """Whether a text reads as sentences: at least three words, most of them plain words.

    >>> is_prose("Return the number of elements."), is_prose("x = f(a, b) + 3 * y_2")
    (True, False)
    """
    words = text.split()
    plain_words = sum(1 for word in words if _WORD.match(word))
    return len(words) >= _LEAST_WORDS and plain_words >= 0.6 * len(words)


_MARKUP = [
    (re.compile(r":(?:[a-z]+:)*[a-z]+:`~?(?:[^`<]*\.)?([^`<.]+)`"), r"\1"),  # :class:`~a.B`
    (re.compile(r":(?:[a-z]+:)*[a-z]+:`([^`<]+?)\s*<[^`>]*>`"), r"\1"),
    (re.compile(r"`([^`<]+?)\s*<[^`>]*>`_{0,2}"), r"\1"),  # `link <url>`_
    (re.compile(r"`[~.](?:[\w.]*\.)?(\w+)`"), r"\1"),  # `~.axes.Axes`
    (re.compile(r"!?\[([^\]]*)\]\((?:[^()]*)\)"), r"\1"),  # Markdown's link
    (re.compile(r"`{1,2}([^`]+)`{1,2}_{0,2}"), r"\1"),
    (re.compile(r"(?<![\w*])\*{1,2}(?=\S)([^*\n]+?)(?<=\S)\*{1,2}(?![\w*])"), r"\1"),
    (re.compile(r"\|([A-Za-z][\w ]*)\|"), r"\1"),
    (re.compile(r"(?<=\w)_{1,2}(?=[\s.,;:)]|$)"), ""),
    (re.compile(r"\[[#\w]+\]_?"), ""),  # footnotes
    (re.compile(r"\\(?=[*_`|\\ ])"), ""),
    (re.compile(r"\s+"), " "),
]
_MARKED = re.compile(r"[`*|_\[\\]")  # what every pattern but the last needs one of


def plain(text: str) -> str:
    """A text without reST or Markdown markup, its white space single.

    >>> plain("See :class:`~a.b.Thing`, ``x`` and *the* `page <http://p>`_.")
    'See Thing, x and the page.'
    """
    if not _MARKED.search(text):
        return " ".join(text.split())
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    return text.strip()
