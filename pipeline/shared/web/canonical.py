"""One spelling per URL, so that a page linked to in two ways is fetched once.

Read as browsers read it, by the URL standard; then without port, user, fragment and what is on the
kept lists of trackers, and each character escaped or not in one way (RFC 3986, section 6.2). The
order of the other parameters stays: some sites read it. This spelling tells pages apart; what is
fetched is the link as it was posted, since a site may answer no other.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, quote, urlsplit

import ada_url

from pipeline.shared.web.trackers import TRACKERS, without_trackers

_WEB = frozenset({"http", "https"})
_UNRESERVED = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)  # RFC 3986, section 2.3
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_PLAIN = re.compile(r"[A-Za-z0-9/:?#\[\]@!$&'()*+,;=._~-]*")  # most paths: nothing to escape
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_KEPT = "/:?#[]@!$&'()*+,;=-._~%"  # what `quote` leaves as it is
# Most URLs need nothing done; group 1 is the host, 2 the path, 3 what follows the question mark.
_CANONICAL = re.compile(
    r"https?://([a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)(/[A-Za-z0-9/:@!$'()*+,;=._~-]*)"
    r"(?:\?([A-Za-z0-9/:@!$()*+,;=._~-]+))?"
)
_HOST = re.compile(r"[a-z0-9_-][a-z0-9_.-]*")
_MOST_CHARACTERS = 2048  # longer URLs are session states or attacks, and few servers take them


class BadUrlError(ValueError):
    """No URL of the public web; the message is the reason."""


def canonical_url(url: str) -> str:
    """The canonical form of an absolute http or https URL.

    >>> canonical_url("HTTP://Ex%41mple.com:80/a/./b/../c%7e?utm_source=x&b=2&a=1#top")
    'http://example.com/a/c~?b=2&a=1'
    >>> canonical_url("https://BÜCHER.example")
    'https://xn--bcher-kva.example/'

    Raises:
        BadUrlError: not http or https, no host, a local host name, too long, malformed.
    """
    if _is_canonical(url):
        return url
    parts = _read(url)
    place = _public_host(parts.hostname or "")
    if parts.port is not None:
        place += f":{parts.port}"
    query = without_trackers(_escaped(parts.query))
    return f"{parts.scheme}://{place}{_escaped(parts.path)}" + (f"?{query}" if query else "")


def requested_url(posted: str) -> str:
    """What a browser asks for that is given a link: all of it but the fragment.

    >>> requested_url("http://Example.com/a/../b?utm_source=x&amp;ref=1#top")
    'http://example.com/b?utm_source=x&ref=1'

    Raises:
        BadUrlError: as `canonical_url`.
    """
    parts = _read(posted)
    host = _public_host(parts.hostname or "")
    place = host if parts.port is None else f"{host}:{parts.port}"
    return _without_fragment(parts._replace(netloc=place))


def _read(url: str) -> SplitResult:
    """The parts of a URL by the URL standard."""
    url = url.replace("&amp;", "&").strip()  # as it stands in some dumps
    if not url or len(url) > _MOST_CHARACTERS or _CONTROL.search(url):
        raise BadUrlError("empty, too long or with control characters")
    try:
        parts = urlsplit(ada_url.normalize_url(url))
    except (ValueError, UnicodeError):
        raise BadUrlError("no URL") from None
    if parts.scheme not in _WEB:
        raise BadUrlError(f"scheme {parts.scheme!r} is neither http nor https")
    if parts.username is not None:
        raise BadUrlError("carries a user name")
    return parts


def _is_canonical(url: str) -> bool:
    """Whether a URL surely is its own canonical form, told faster than by making it."""
    found = _CANONICAL.fullmatch(url)
    if not found or len(url) > _MOST_CHARACTERS:
        return False
    host, path, query = found.groups()
    return (
        "/." not in path
        and _is_public_name(host)
        and host.rpartition(".")[2].isalpha()  # or else it may be an address
        and not (query and query.partition("=")[0] in TRACKERS)
    )


def target_key(url: str) -> str:
    """What two canonical URLs of one page share: http and https lead to the same page."""
    return url.partition("://")[2]


def redirect_target(url: str, location: str) -> str:
    """The absolute URL that a Location header means, without fragment.

    It is not made canonical: a server that asks for `?ref=x` may send everything else there again.

    >>> redirect_target("http://a.test/x/y", "../z?q=é#top")
    'http://a.test/z?q=%C3%A9'

    Raises:
        BadUrlError: it is malformed or too long.
    """
    try:
        parts = urlsplit(ada_url.join_url(url, location))
    except (ValueError, UnicodeError):
        raise BadUrlError(f"no URL behind {url}") from None
    if parts.scheme not in _WEB:
        return f"{parts.scheme}:"  # never fetched: its scheme is the reason
    target = _without_fragment(parts)
    if len(target) > _MOST_CHARACTERS:
        raise BadUrlError("too long")
    return target


def _without_fragment(parts: SplitResult) -> str:
    place = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{place}{parts.path}" + (f"?{parts.query}" if parts.query else "")


def origin_of(url: str) -> str:
    """Scheme, host and port of an absolute URL.

    >>> origin_of("https://example.com:8443/a?b")
    'https://example.com:8443'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def host_of(url: str) -> str:
    """The host of a canonical URL, without its port.

    >>> host_of("http://example.com:8080/a"), host_of("http://[::1]/")
    ('example.com', '::1')
    """
    place = url.partition("://")[2].partition("/")[0]
    if "[" in place or "@" in place or "?" in place or "#" in place:
        return urlsplit(url).hostname or ""
    return place.partition(":")[0].lower()


def _public_host(host: str) -> str:
    """A host as it stands in a canonical URL; `host` as the URL standard makes it."""
    if ":" in host:
        return f"[{host}]"
    host = host.rstrip(".")
    if not _HOST.fullmatch(host):
        raise BadUrlError(f"host {host!r} is no host name")
    if not _is_public_name(host):
        raise BadUrlError(f"host {host!r} is no name of the public web")
    return host


def _is_public_name(host: str) -> bool:
    local = host.endswith((".local", ".localhost", ".internal"))
    return "." in host and ".." not in host and not local


def _escaped(text: str) -> str:
    """Escape what must be escaped, and nothing else; escapes in upper case."""
    if _PLAIN.fullmatch(text):
        return text

    def normal(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if character in _UNRESERVED else match[0].upper()

    text = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", text)
    return quote(_ESCAPE.sub(normal, text), safe=_KEPT, errors="replace")
