"""The page as it is read: on wide and narrow screens, and on paper."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
from pypdf import PdfReader
from real_browser import chromium

from pipeline.report.tables import TABLE3, factor, set_title

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning"),
]
WIDTHS = (1400, 800, 390)
LEAST_LABEL_PX = 10.0
PAPERS_CM = {"A4": (21.0, 29.7), "Letter": (21.59, 27.94)}
_LABELS = """
    const seen = [...document.querySelectorAll('.sheet svg')].filter(svg => svg.checkVisibility());
    const glyphs = 'g[id*="text_"] > g[transform*="scale"]';  // drawn 100 units high
    return seen.map(svg => [...svg.querySelectorAll(glyphs)].map(label => {
        const shown = label.getScreenCTM();
        return 100 * Math.hypot(shown.c, shown.d);
    }));
"""
_TABLES = """
    const tables = [...document.querySelectorAll('.scroll')];
    return tables.filter(table => table.checkVisibility()).map(table => {
        const cue = table.querySelector('.more');
        const shown = getComputedStyle(cue).opacity > 0.5 && cue.offsetHeight > 10;
        return [table.getAttribute('aria-label'), table.scrollWidth > table.clientWidth, shown];
    });
"""
_OPEN = "document.querySelectorAll('details').forEach(details => details.open = true)"
_TO_THE_END = "document.querySelectorAll('.scroll').forEach(table => table.scrollLeft = 1e6)"
_TWO_FRAMES = "requestAnimationFrame(() => requestAnimationFrame(arguments[0]))"


@pytest.fixture(scope="module")
def browser(out: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("chromium")) as started:
        started.get((out / "index.html").as_uri())
        yield started


def at_width(browser: Any, width: int) -> Any:
    """The page loaded anew in a window of that many pixels, its hidden parts opened."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.refresh()
    after(browser, _OPEN)
    return browser


def after(browser: Any, script: str) -> None:
    """Run a script, and wait until the page is drawn as it left it."""
    browser.execute_script(script)
    browser.execute_async_script(_TWO_FRAMES)


@pytest.mark.parametrize("width", WIDTHS)
def test_page_is_as_wide_as_its_window_and_every_label_can_be_read(
    browser: Any, width: int
) -> None:
    page = at_width(browser, width)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    labels = page.execute_script(_LABELS)
    assert len(labels) == 9 and all(labels)  # one form of each figure
    assert min(min(of_figure) for of_figure in labels) >= LEAST_LABEL_PX


@pytest.mark.parametrize("width", WIDTHS)
def test_table_says_that_it_goes_on_where_columns_are_hidden_and_nowhere_else(
    browser: Any, width: int
) -> None:
    page = at_width(browser, width)
    tables = page.execute_script(_TABLES)
    assert len(tables) > 12
    assert [name for name, hides, says in tables if hides != says] == []
    if width == min(WIDTHS):
        assert {"Figure 4 as numbers", "Table 4"} <= {name for name, hides, _ in tables if hides}
    after(page, _TO_THE_END)
    assert [name for name, _, says in page.execute_script(_TABLES) if says] == []


class Printed(NamedTuple):
    """What stands on paper."""

    text: str
    """Its words, one space between them."""
    outside: list[str]
    """Pieces of text that begin beyond an edge of their page."""


def printed(browser: Any, paper: str) -> Printed:
    """The page printed, as `chromium --print-to-pdf` does, and read again."""
    from selenium.webdriver.common.print_page_options import PrintOptions

    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.refresh()
    options = PrintOptions()
    options.page_width, options.page_height = PAPERS_CM[paper]
    outside: list[str] = []
    texts: list[str] = []
    for page in PdfReader(io.BytesIO(base64.b64decode(browser.print_page(options)))).pages:
        width, height = float(page.mediabox.width), float(page.mediabox.height)

        def look(text: str, user: list[float], line: list[float], *_: Any) -> None:
            x = user[0] * line[4] + user[2] * line[5] + user[4]
            y = user[1] * line[4] + user[3] * line[5] + user[5]
            if text.strip() and not (0 <= x <= width and 0 <= y <= height):  # noqa: B023 - called here
                outside.append(text)

        texts.append(page.extract_text(visitor_text=look))
    return Printed(" ".join(" ".join(texts).split()), outside)


@pytest.mark.parametrize("paper", PAPERS_CM)
def test_paper_has_every_column_of_the_page(browser: Any, out: Path, paper: str) -> None:
    text, outside = printed(browser, paper)
    assert outside == []
    rows = pd.read_csv(out / "table3.csv").to_dict("records")
    for column in TABLE3:
        assert set_title(column.set) in text
        for row in rows:
            assert f"{row[column.name] * factor(column.metric):,.2f}" in text, column.name
    for name in ("learning rate", "train tokens", "epochs", "Test, bits/byte"):
        assert name in text
    scores = pd.read_csv(out / "scores.csv").set_index(["size", "set", "metric"])
    last = scores.loc["xl", "one_billion_word", "perplexity"]
    assert f"{last['low']:,.2f}" in text and f"{last['high']:,.2f}" in text  # opened for paper


def test_nothing_on_paper_is_wider_than_the_sheet(browser: Any) -> None:
    page = at_width(browser, 700)  # less than either paper has between margins of 12 mm
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        wide = page.execute_script("""
            return [...document.querySelectorAll('main *:not(svg *)')]
                .filter(e => e.checkVisibility() && e.getBoundingClientRect().right > 701)
                .map(e => e.tagName + ' ' + e.textContent.slice(0, 60));
        """)
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert wide == []
