"""What figure4's extraction might be: its extractors and rules, each with and without the others.

A threshold on agreement and the rule for titles are one parameter each. The cross-validation
chooses among these.
"""

from __future__ import annotations

from labelled_pages import LabelledPage
from resiliparse.parse.html import HTMLTree

from pipeline.extract import extractors
from pipeline.extract.characters import decode
from pipeline.extract.main_text import agreement, find_titles, most_agreed, tidy, without_title

_THRESHOLDS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9)
_Opinions = tuple[str, str, str]


def _name(threshold: float, *, title_rule: bool) -> str:
    asked = f", asked below {threshold}" if threshold else ", never asked"
    return f"readability{asked}{'; title cut' if title_rule else ''}"


PARAMETERS = {
    _name(threshold, title_rule=rule): int(threshold > 0) + rule
    for rule in (False, True)
    for threshold in _THRESHOLDS
}
"""How many numbers of ours each candidate has, by its name."""


def candidates(pages: list[LabelledPage]) -> dict[str, list[str]]:
    """Each candidate's texts of the pages."""
    found: dict[str, list[str]] = {name: [] for name in PARAMETERS}
    for page in pages:
        html = decode(page.body, "text/html")
        tree = HTMLTree.parse(html)
        plain = _ask_all(html, tree)
        titles = find_titles(tree)
        cut = tuple(without_title(text, titles) for text in plain)
        for rule, opinions in ((False, plain), (True, cut)):
            agreed = agreement(*opinions[:2])
            for threshold in _THRESHOLDS:
                text = most_agreed(opinions) if agreed < threshold else opinions[0]
                found[_name(threshold, title_rule=rule)].append(text)
    return found


def _ask_all(html: str, tree: HTMLTree) -> _Opinions:
    quick = tidy(extractors.by_resiliparse(tree))
    page = extractors.parse_for_trafilatura(html)
    if page is None:
        return quick, quick, quick
    text = tidy(extractors.by_trafilatura(page))
    return text, quick, tidy(extractors.by_readability(page))
