"""One spelling per page, and no page lost to a wrong one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.shared.web.canonical import (
    BadUrlError,
    canonical_url,
    redirect_target,
    requested_url,
    target_key,
)
from pipeline.shared.web.trackers import TRACKERS


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("HTTP://Example.COM", "http://example.com/"),
        ("http://example.com:80/", "http://example.com/"),
        ("https://example.com:443/", "https://example.com/"),
        ("https://example.com:8443/", "https://example.com:8443/"),
        ("http://example.com./a", "http://example.com/a"),
        ("http://example.com/a/../b/./c", "http://example.com/b/c"),
        ("http://example.com/a/..", "http://example.com/"),
        ("http://example.com/../../a/", "http://example.com/a/"),
        ("http://example.com/a//b", "http://example.com/a//b"),
        ("http://example.com/%7euser/%e9", "http://example.com/~user/%E9"),
        ("http://example.com/a b/é", "http://example.com/a%20b/%C3%A9"),
        ("http://example.com/100%", "http://example.com/100%25"),
        ("http://example.com/a#top", "http://example.com/a"),
        ("http://example.com/?b=2&a=1", "http://example.com/?b=2&a=1"),
        ("http://example.com/?utm_source=reddit&id=7&fbclid=x", "http://example.com/?id=7"),
        ("http://example.com/?utm_source=reddit", "http://example.com/"),
        ("http://example.com/?a=1&amp;b=2", "http://example.com/?a=1&b=2"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://faß.example/", "http://xn--fa-hia.example/"),
        (" http://example.com/a\n", "http://example.com/a"),
        ("http://[2606:2800:220:1::1]/", "http://[2606:2800:220:1::1]/"),
        ("http://under_score.example.com/", "http://under_score.example.com/"),
        ("http://under_scöre.example.com/", "http://xn--under_scre-lcb.example.com/"),
        ("http://dash-.example.com/", "http://dash-.example.com/"),
        ("http://💩.la/", "http://xn--ls8h.la/"),
        ("http://I❤.example/", "http://xn--i-7iq.example/"),
        ("http://ab--cd.example/", "http://ab--cd.example/"),
        ("http://\uff45xample\u3002com/", "http://example.com/"),
        ("http:\\\\example.com\\a", "http://example.com/a"),
        ("http://exam\nple.com/a\tb", "http://example.com/ab"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://example.com/?a=1&amp;b=2&copy=3", "http://example.com/?a=1&b=2&copy=3"),
        ("http://example.com/a%2Fb%2e%2e/%2E%2E/c", "http://example.com/c"),
    ],
)
def test_a_url_has_one_spelling(url: str, canonical: str) -> None:
    assert canonical_url(url) == canonical
    assert canonical_url(canonical) == canonical


@pytest.mark.parametrize(
    "url",
    [
        *("", "not a url", "http://", "ftp://example.com/", "mailto:a@example.com", "//a.com/"),
        *("javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "http://localhost/"),
        *("http://intranet/", "http://a..b.com/", "http://exa mple.com/", "http://a.com:99999/"),
        *("http://user:word@example.com/", "http://[::1", "http://a.com/\x00", "http://x.local/"),
        "http://example.com/" + "a" * 3000,
    ],
)
def test_what_is_no_url_of_the_public_web_is_refused(url: str) -> None:
    with pytest.raises(BadUrlError):
        canonical_url(url)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_path_and_query_comes_to_rest_at_once(path: str, query: str) -> None:
    try:
        once = canonical_url(f"http://example.com/{path}?{query}")
    except BadUrlError:
        return
    assert once.isascii() and canonical_url(once) == once


@given(st.text(max_size=60))
def test_any_string_is_a_url_or_a_bad_one(text: str) -> None:
    try:
        canonical_url(text)
    except BadUrlError:
        return


@given(st.text(max_size=60))
def test_any_location_is_a_url_or_a_bad_one(text: str) -> None:
    try:
        target = redirect_target("http://example.com/a", text)
    except BadUrlError:
        return
    assert target.isascii()


def test_http_and_https_are_one_target() -> None:
    assert target_key("http://example.com/a") == target_key("https://example.com/a")
    assert target_key("http://example.com/a") != target_key("http://example.com/b")


def test_a_redirect_keeps_what_the_server_asks_for() -> None:
    assert redirect_target("http://a.com/b/c", "?ref=x#y") == "http://a.com/b/c?ref=x"
    assert redirect_target("http://a.com/b/c", "//b.com/d") == "http://b.com/d"
    assert redirect_target("http://a.com/", "http://u:p@Bücher.example:81") == (
        "http://xn--bcher-kva.example:81/"
    )
    with pytest.raises(BadUrlError):
        redirect_target("http://a.com/", "http://[::1")


@pytest.mark.parametrize(
    "name",
    [
        *("gid", "msid", "ref", "id", "fid", "mid", "sid", "yid", "twid", "lid", "igid", "dcid"),
        *("fbid", "gclidx", "utm", "utm_page", "mc_page", "ns_site", "pk_page", "cmpid", "var"),
        *("icid", "xtor", "spref", "ms_id", "hsa_page", "vero", "ymid"),
    ],
)
def test_a_parameter_on_no_list_of_trackers_tells_pages_apart(name: str) -> None:
    one, other = (f"http://example.com/a?{name}={value}" for value in (1001, 1002))
    assert canonical_url(one) == one
    assert canonical_url(other) == other


def test_what_the_lists_of_trackers_hold_tells_no_page() -> None:
    assert {"utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"} <= TRACKERS
    assert {"fbclid", "gclid", "dclid", "msclkid", "yclid", "twclid", "mc_eid"} <= TRACKERS
    for name in TRACKERS:
        assert canonical_url(f"http://example.com/a?x=1&{name}=2&y=3") == (
            "http://example.com/a?x=1&y=3"
        )


@pytest.mark.parametrize(
    ("posted", "requested"),
    [
        ("http://a.com/b?utm_source=x&gid=1&ref=y", "http://a.com/b?utm_source=x&gid=1&ref=y"),
        ("http://A.com:80/%7eb/../c?x=%e9&&y#z", "http://a.com/c?x=%e9&&y"),
        ("https://a.com./?a=1&amp;b=2", "https://a.com/?a=1&b=2"),
        ("http://💩.la:81", "http://xn--ls8h.la:81/"),
    ],
)
def test_a_link_is_asked_for_as_it_was_posted(posted: str, requested: str) -> None:
    assert requested_url(posted) == requested
    assert canonical_url(requested) == canonical_url(posted)


@given(st.text(max_size=60))
def test_any_posted_string_can_be_asked_for_or_is_no_url(text: str) -> None:
    try:
        canonical_url(f"http://example.com/{text}")
    except BadUrlError:
        return
    assert requested_url(f"http://example.com/{text}").isascii()
