"""One spelling per URL, so that a page linked to in two ways is fetched once.

Lower-case ASCII host, no default port, no fragment, no dot segments, no tracking parameters. The
order of the other parameters stays: some sites read it. RFC 3986, section 6.2.
"""

from __future__ import annotations

import html
import ipaddress
import re
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import idna

_DEFAULT_PORTS = {"http": 80, "https": 443}
_TRACKING = re.compile(
    r"(utm|mtm|pk|hsa|mc|oly|vero|icid|ns|stm|itm)_.*"
    r"|(fb|g|dc|ms|y|tw|wbra|gbra|ig|ttc|li)(clk|sh)?(cl)?id"
    r"|_hs(enc|mi)|mkt_tok|xtor|cmpid|ref|ref_(src|url)|_ga|igshid|s_cid|spref",
    re.IGNORECASE,
)
_UNRESERVED = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)  # RFC 3986, section 2.3
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_PLAIN = re.compile(r"[A-Za-z0-9/:?#\[\]@!$&'()*+,;=._~-]*")  # most paths: nothing to escape
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_KEPT = "/:?#[]@!$&'()*+,;=-._~%"  # what `quote` leaves as it is
# Most URLs need nothing done; group 1 is the host, 2 the path, 3 what follows the question mark.
_CANONICAL = re.compile(
    r"https?://([a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)(/[A-Za-z0-9/:@!$'()*+,;=._~-]*)"
    r"(?:\?([A-Za-z0-9/:@!$'()*+,;=._~-]+))?"
)
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
    url = html.unescape(url.strip()) if "&amp;" in url else url.strip()
    if not url or len(url) > _MOST_CHARACTERS or _CONTROL.search(url):
        raise BadUrlError("empty, too long or with control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadUrlError(str(error)) from None
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        raise BadUrlError(f"scheme {scheme!r} is neither http nor https")
    if parts.username is not None:
        raise BadUrlError("carries a user name")
    place = _canonical_host(parts)
    if port is not None and port != _DEFAULT_PORTS[scheme]:
        place += f":{port}"
    query = _without_tracking(_escaped(parts.query))
    path = _without_dots(_escaped(parts.path)) or "/"
    return f"{scheme}://{place}{path}" + (f"?{query}" if query else "")


def _is_canonical(url: str) -> bool:
    """Whether a URL surely is its own canonical form, told faster than by making it."""
    found = _CANONICAL.fullmatch(url)
    if not found or len(url) > _MOST_CHARACTERS:
        return False
    host, path, query = found.groups()
    return (
        "/." not in path
        and _is_public_name(host)
        and not (query and _TRACKING.fullmatch(query.partition("=")[0]))
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
        parts = urlsplit(urljoin(url, location))
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadUrlError(str(error)) from None
    if parts.scheme not in _DEFAULT_PORTS:
        return f"{parts.scheme}:"  # never fetched: its scheme is the reason
    if not host:
        raise BadUrlError(f"{location!r} names no host")
    place = f"[{host}]" if ":" in host else _ascii_host(host)
    path, query = _escaped(parts.path) or "/", _escaped(parts.query)
    target = f"{parts.scheme}://{place}" + (f":{port}" if port is not None else "") + path
    target += f"?{query}" if query else ""
    if len(target) > _MOST_CHARACTERS:
        raise BadUrlError("too long")
    return target


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


def _canonical_host(parts: SplitResult) -> str:
    host = (parts.hostname or "").rstrip(".")
    if "%" in host:
        host = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), host).lower()
    if ":" in host:
        try:
            return f"[{ipaddress.IPv6Address(host).compressed}]"
        except ValueError:
            raise BadUrlError(f"host {host!r} is no IPv6 address") from None
    host = _ascii_host(host)
    if not re.fullmatch(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", host) or ".." in host:
        raise BadUrlError(f"host {host!r} is no host name")
    if not _is_public_name(host):
        raise BadUrlError(f"host {host!r} is no name of the public web")
    return host


def _is_public_name(host: str) -> bool:
    local = host.endswith((".local", ".localhost", ".internal"))
    return "." in host and ".." not in host and not local


def _ascii_host(host: str) -> str:
    if host.isascii():
        return host
    try:
        return idna.encode(host, uts46=True).decode()
    except (idna.IDNAError, UnicodeError) as error:
        raise BadUrlError(f"host {host!r}: {error}") from None


def _escaped(text: str) -> str:
    """Escape what must be escaped, and nothing else; escapes in upper case."""
    if _PLAIN.fullmatch(text):
        return text

    def normal(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if character in _UNRESERVED else match[0].upper()

    text = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", text)
    return quote(_ESCAPE.sub(normal, text), safe=_KEPT, errors="replace")


def _without_tracking(query: str) -> str:
    pairs = [pair for pair in query.split("&") if pair]
    return "&".join(pair for pair in pairs if not _TRACKING.fullmatch(pair.partition("=")[0]))


def _without_dots(path: str) -> str:
    """RFC 3986, section 5.2.4, for an absolute path."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments and segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept) if segments else ""
