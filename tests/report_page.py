"""A page of a report as a reader and a browser meet it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "input", "link", "wbr"}


class Page(HTMLParser):
    """Ids, links and attributes of a page; fails on tags that do not close."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.svg_labels: list[str | None] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.headings: list[str] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the tag says."""
        values = dict(attrs)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if "id" in values:
            self.ids.append(str(values["id"]))
        if tag == "svg" and values.get("class") != "spark":  # those are of the checkout's history
            self.svg_labels.append(values.get("aria-label"))
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """`<path id="..."/>` and the like."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Check that it closes the last open tag."""
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        """Keep what a reader reads."""
        if not {"style", "svg"} & set(self.open):
            self.text.append(data)

    def said(self) -> str:
        """The page's text on one line."""
        return " ".join(" ".join(self.text).split())
