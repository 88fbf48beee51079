"""Which domain a host belongs to."""

from __future__ import annotations

_WIKIPEDIA = ("wikipedia.org", "wikipedia.com", "wikimedia.org")


def is_wikipedia(host: str) -> bool:
    """Whether a host is Wikipedia's, in any language.

    >>> is_wikipedia("en.m.wikipedia.org."), is_wikipedia("notwikipedia.org")
    (True, False)
    """
    return belongs(host, _WIKIPEDIA)


def belongs(host: str, domains: tuple[str, ...]) -> bool:
    """Whether a host is one of some domains, or a name in one of them.

    A dot at its end, which names the root of all domains, makes no other host of it.
    """
    host = host.removesuffix(".")
    return host.endswith(domains) and any(
        host == domain or host.endswith("." + domain) for domain in domains
    )
