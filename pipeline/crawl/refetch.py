"""When a page is asked for again: never before its user says so, by the kind of its state."""

from __future__ import annotations

from pipeline.crawl.archive import IsDue
from pipeline.shared.formats.fates import FETCHED
from pipeline.shared.params.web import RefetchParams

_DAY_S = 86_400.0
_UNREACHABLE = frozenset({
    "timeout",
    "dns",
    "unreachable",
    "tls",
    "host_down",
    "robots_unreachable",
})
_SERVER_ERRORS = frozenset({"broken", "http_408", "http_429"})


def kind_of(state: str) -> str:
    """The key of `crawl.refetch_after_days` that speaks of a state.

    >>> kind_of("fetched"), kind_of("http_404"), kind_of("http_503"), kind_of("dns")
    ('done', 'no_page', 'server_error', 'unreachable')
    """
    if state == FETCHED:
        return "done"
    if state in _UNREACHABLE:
        return "unreachable"
    is_error = state in _SERVER_ERRORS or state.startswith("http_5")
    return "server_error" if is_error else "no_page"


def make_is_due(days: RefetchParams, began_utc: float) -> IsDue:
    """Tells what is asked for again by a crawl that began at a time, in seconds since 1970."""
    after_days = days.model_dump()

    def is_due(state: str, asked_utc: float) -> bool:
        wait_days = after_days[kind_of(state)]
        return wait_days is not None and asked_utc < began_utc - wait_days * _DAY_S

    return is_due
