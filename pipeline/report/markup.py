"""Pieces of the page: numbers for reading, tables, figures that take the page's colours."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

from pipeline.report.style import THEME, SizeLook, css_colour

_GAP = "-"
_PROSE_CHARACTERS = 40  # a longer cell wraps, and needs room for it
MORE = Markup('<div class="more" aria-hidden="true">more columns \N{RIGHTWARDS ARROW}</div>')
"""Stands before a table that may be wider than the page; shows where it is."""


def number(value: object) -> str:
    """A number for reading: grouped integers, four significant digits, a dash for a gap.

    >>> number(1234567), number(3.14159), number(None), number(0.00012), number(1e-9)
    ('1,234,567', '3.142', '-', '0.00012', '1e-09')
    >>> number(271.349), number(True), number("text"), number(float("nan"))
    ('271.3', 'yes', 'text', '-')
    """
    if hasattr(value, "item"):
        value = value.item()  # numpy's scalars
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return _GAP
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def score(value: float | None) -> str:
    """A score as the paper prints it, with two decimals.

    >>> score(35.134), score(1.2), score(None), score(1234.567)
    ('35.13', '1.20', '-', '1,234.57')
    """
    return _GAP if value is None or math.isnan(value) else f"{value:,.2f}"


def signed(value: float | None) -> str:
    """A difference with its sign.

    >>> signed(0.5), signed(-1.25), signed(None)
    ('+0.50', '-1.25', '-')
    """
    if value is None or math.isnan(value):
        return _GAP
    return f"{value:+,.2f}"


def estimate(found: tuple[float, float, float], form: str = "+.3f") -> str:
    """A number with its interval.

    >>> estimate((-0.0764, -0.08, -0.0712)), estimate((math.nan, math.nan, math.nan))
    ('-0.076 (-0.080 to -0.071)', '-')
    """
    value, low, high = found
    return f"{value:{form}} ({between(low, high, form)})" if math.isfinite(value) else _GAP


def between(low: float, high: float, form: str) -> str:
    """The ends of an interval, or a dash where a number has none.

    >>> between(1.0, 1.25, ".2f"), between(math.nan, math.nan, "+.3f")
    ('1.00 to 1.25', '-')
    """
    return f"{low:{form}} to {high:{form}}" if math.isfinite(low) else _GAP


def ends(interval: tuple[float, float] | None) -> str:
    """An interval of a score.

    >>> ends((35.1, 1036.25)), ends(None)
    ('35.10 to 1,036.25', '-')
    """
    return _GAP if interval is None else " to ".join(score(end) for end in interval)


def power(value: float) -> Markup:
    """A small number with its power of ten.

    >>> str(power(9.797e-9)).split()[::2]
    ['9.8', '10<sup>-9</sup>']
    """
    digits, exponent = f"{value:.1e}".split("e")
    return Markup(f"{digits} \N{MULTIPLICATION SIGN} 10<sup>{int(exponent)}</sup>")


def html_caption(text: str) -> Markup:
    """A caption whose first sentence, the table's or figure's name, stands out.

    >>> html_caption("Table 2. Shapes & counts")
    Markup('<strong>Table 2.</strong> Shapes &amp; counts')
    """
    name, dot, rest = text.partition(". ")
    return Markup(f"<strong>{escape(name)}.</strong> {escape(rest)}") if dot else escape(text)


def words(name: str) -> str:
    """A column's or a reason's name as words.

    >>> words("near_duplicate"), words("http_404")
    ('near duplicate', 'HTTP 404')
    """
    return name.replace("http_", "HTTP ").replace("_", " ")


def spelled(count: int) -> str:
    """A small count as a word.

    >>> spelled(4), spelled(12)
    ('four', '12')
    """
    names = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    return names[count] if count < len(names) else str(count)


def html_table(
    frame: pd.DataFrame, caption: str, headings: Mapping[str, str] | None = None
) -> Markup:
    """A data frame as an accessible table that scrolls by itself; a gap shows as a dash."""
    headings = headings or {}
    numeric = {name: pd.api.types.is_numeric_dtype(frame[name]) for name in frame.columns}
    head = "".join(
        f'<th scope="col"{_class(numeric[name])}>{escape(headings.get(name, words(name)))}</th>'
        for name in frame.columns
    )
    rows = []
    for values in frame.itertuples(index=False):
        cells = zip(frame.columns, values, strict=True)
        rows.append(
            "".join(_cell(value, numeric[name], name == frame.columns[0]) for name, value in cells)
        )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return Markup(
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">{MORE}'
        f"<table><caption>{html_caption(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _class(is_number: bool) -> str:
    return ' class="number"' if is_number else ""


def _cell(value: Any, is_number: bool, is_first: bool) -> str:
    if is_first:
        return f'<th scope="row">{escape(number(value))}</th>'
    if isinstance(value, str) and len(value) > _PROSE_CHARACTERS:
        return f'<td class="prose">{escape(value)}</td>'
    return f"<td{_class(is_number)}>{_breakable(number(value))}</td>"


def _breakable(text: str) -> str:
    """The text as HTML; a name may be broken after its underscores.

    >>> _breakable("a_long<name"), _breakable("no name")
    ('a_<wbr>long&lt;name', 'no name')
    """
    html = str(escape(text))
    return html if " " in text else re.sub("([_@])", r"\1<wbr>", html)


def inline_svg(path: Path, name: str, description: str, looks: Sequence[SizeLook] = ()) -> Markup:
    """An SVG for the page: scalable, described, ids made its own, colours the page's.

    `looks` are those of the sizes in it.
    """
    text = path.read_text(encoding="utf-8")
    svg = text[text.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    svg = re.sub(r'(id="|href="#|url\(#)', lambda match: f"{match[1]}{name}-", svg)
    colours = {colour: css_colour(colour) for colour in THEME}
    colours |= {look.colour: look.css for look in looks}  # last: they name colours of the theme
    for colour, css in colours.items():
        svg = svg.replace(colour, css)
    label = f'<svg role="img" aria-label="{escape(description)}"'
    return Markup(svg.replace("<svg", label, 1))


def data_uri(csv: str) -> str:
    """A CSV as a link that downloads it."""
    return "data:text/csv;base64," + base64.b64encode(csv.encode()).decode()
