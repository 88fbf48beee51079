"""Every trick of a server ends in its own reason, and none reaches what it must not."""

from __future__ import annotations

import datetime as dt
import gzip
import resource
import socket
import ssl
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import brotli
import pytest
import zstandard
from crawling import PATIENCE_S, fetch, fetch_all
from hostile_server import PAGE, Behaviour, HostileServer, Request, Send, silence

from pipeline.crawl.exchange import Answer
from pipeline.crawl.guard import PrivateAddressError, make_socket_factory
from pipeline.shared.web.bodies import decode_body


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/bomb-gzip", "too_large"),
        ("/bomb-deflate", "too_large"),
        ("/bomb-br", "too_large"),
        ("/bomb-zstd", "too_large"),
        ("/bomb-twice", "too_large"),
        ("/large", "too_large"),
        ("/no-gzip", "broken"),
        ("/drip", "timeout"),
        ("/drip-headers", "timeout"),
        ("/silence", "timeout"),
        ("/cut", "broken"),
        ("/chunk-lie", "broken"),
        ("/garbage", "broken"),
        ("/header-flood", "broken"),
        ("/long-header", "broken"),
        ("/loop", "redirect_loop"),
        ("/loop-a", "redirect_loop"),
        ("/endless/0", "too_many_redirects"),
        ("/nowhere", "redirect_broken"),
        ("/to-file", "bad_scheme"),
        ("/to-data", "bad_scheme"),
        ("/to-ftp", "bad_scheme"),
        ("/to-wikipedia", "wikipedia"),
        ("/pdf", "not_html"),
        ("/missing", "http_404"),
        ("/gone", "http_410"),
        ("/error", "http_500"),
        ("/no-content", "http_204"),
    ],
)
def test_a_bad_answer_has_its_reason(server: HostileServer, path: str, reason: str) -> None:
    if reason != "timeout":
        assert fetch(server, f"http://bad.test{path}") == reason
        return
    began_s = time.monotonic()
    assert fetch(server, f"http://bad.test{path}", timeout_s=0.6) == reason
    assert time.monotonic() - began_s < PATIENCE_S  # the drips last longer


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw-deflate", "br", "zstd"])
def test_each_content_encoding_that_is_asked_for_is_undone(
    server: HostileServer, encoding: str
) -> None:
    answer = fetch(server, f"http://good.test/{encoding}")
    assert isinstance(answer, Answer)
    assert len(answer.body) < len(PAGE)
    assert decode_body(answer.body, answer.header("Content-Encoding"), 10**6) == PAGE
    asked_for = server.asked("good.test", f"/{encoding}")[0].headers["accept-encoding"]
    assert encoding.removeprefix("raw-") in asked_for


def test_bombs_cost_no_memory(server: HostileServer) -> None:
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    urls = [f"http://bad.test/bomb-{kind}" for kind in ("gzip", "deflate", "br", "zstd")]
    fetch_all(server, urls)
    after_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after_kib - before_kib < 30 * 1024  # each would unpack to 50 MB


def begin_brotli(body: bytes) -> bytes:
    """A body in brotli, of which more can follow."""
    encoder = brotli.Compressor()
    return bytes(encoder.process(body) + encoder.flush())


_ZEROS = bytes(2**20)
_NO_END: dict[str, tuple[Callable[[bytes], bytes], bytes]] = {
    "gzip": (gzip.compress, _ZEROS),
    "gzip, empty members": (gzip.compress, gzip.compress(b"", mtime=0) * 50_000),
    "deflate": (zlib.compress, _ZEROS),
    "br, empty metadata": (begin_brotli, b"\x06" * 2**20),
    "zstd": (zstandard.compress, _ZEROS),
    "zstd, a frame to be skipped": (
        zstandard.compress,
        b"\x5a\x2a\x4d\x18\xff\xff\xff\xff" + _ZEROS,
    ),
}
"""How to encode a body, and a megabyte that can follow it and decodes to nothing."""


def no_end(kind: str, body: bytes) -> Behaviour:
    """Sends an encoded body, three megabytes of nothing behind it, and then never ends."""
    encode, nothing = _NO_END[kind]
    coding = kind.partition(",")[0]
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: {coding}\r\n\r\n"

    async def serve(request: Request, send: Send) -> None:
        await send(head.encode() + encode(body))
        for _ in range(3):
            await send(nothing)
        await silence(request, send)

    return serve


@pytest.mark.parametrize("kind", _NO_END)
def test_a_page_with_no_end_behind_its_end_is_too_large(server: HostileServer, kind: str) -> None:
    server.special["bad.test", "/page"] = no_end(kind, PAGE)
    assert fetch(server, "http://bad.test/page") == "too_large"


@pytest.mark.parametrize("kind", _NO_END)
def test_a_robots_txt_with_no_end_behind_its_end_is_cut_and_its_rules_count(
    server: HostileServer, kind: str
) -> None:
    rules = b"User-agent: *\nDisallow: /gone\n"
    server.special["bad.test", "/robots.txt"] = no_end(kind, rules)
    page, gone = fetch_all(server, ["http://bad.test/page", "http://bad.test/gone"])
    assert isinstance(page, Answer)
    assert gone == "robots_disallowed"


@pytest.mark.parametrize(
    "path",
    [
        *("metadata", "loopback", "loopback-6", "mapped", "nat64", "nat64-local", "6to4", "teredo"),
        *("zero", "private", "carrier", "link-local-6", "multicast"),
    ],
)
def test_a_redirect_into_a_private_network_is_refused(server: HostileServer, path: str) -> None:
    with HostileServer().running() as secret:
        server.secret_port = secret.port
        assert fetch(server, f"http://bad.test/to-{path}") == "private_address"
        assert secret.requests == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433", "[::ffff:7f00:1]"]
)
def test_no_spelling_of_loopback_is_reached_from_the_open_web(
    server: HostileServer, host: str
) -> None:
    reason = fetch(None, f"http://{host}:{server.port}/page")
    assert reason in {"private_address", "broken", "bad_url"}, reason
    assert server.requests == []


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "192.0.0.8", "198.18.0.1", "192.0.2.1"),
        *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "::8.8.8.8"),
        *("64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::808:808", "64:ff9b:1:2::1"),
        *("2002:7f00:1::", "2002:a00:1::1", "2001::1", "2001:0:808:808::1", "2001:db8::1"),
        *("192.88.99.1", "100::1", "2001:20::1", "3fff::1", "5f00::1"),
    ],
)
def test_no_address_off_the_public_internet_gets_a_socket(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    endpoint = (address, 80, 0, 0) if ":" in address else (address, 80)
    with pytest.raises(PrivateAddressError):
        make_socket_factory()((family, socket.SOCK_STREAM, 6, "", endpoint))


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "100.63.255.255", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_addresses_of_the_public_internet_get_one(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    make_socket_factory()((family, socket.SOCK_STREAM, 6, "", (address, 80))).close()


def test_a_name_that_resolves_to_a_private_address_is_refused(
    server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(host: str, port: int, *args: object, **more: object) -> list[object]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("127.0.0.1", "10.0.0.1")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert fetch(None, f"http://rebind.example.org:{server.port}/page") == "private_address"
    assert server.requests == []


def test_the_built_in_web_is_let_through_by_its_port_alone(server: HostileServer) -> None:
    assert isinstance(fetch(server, "http://good.test/page"), Answer)
    with HostileServer().running() as other:
        assert fetch(server, f"http://127.0.0.1:{other.port}/page") == "private_address"
        assert other.requests == []


def test_a_name_is_looked_up_once_for_many_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lookups: list[str] = []

    def resolve(host: str, port: int, *args: object, **more: object) -> list[object]:
        lookups.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    pages = [f"http://name.example.org:{port}/" for port in (81, 81, 81)]
    assert fetch_all(None, pages) == ["private_address"] * 3
    assert lookups == ["name.example.org"]


def test_hosts_off_the_built_in_web_are_not_looked_up(server: HostileServer) -> None:
    assert fetch(server, "http://example.com/") == "dns"


def test_a_redirect_is_followed_and_the_final_url_told(server: HostileServer) -> None:
    near, far = fetch_all(server, ["http://good.test/to-page", "http://good.test/to-other-host"])
    assert isinstance(near, Answer) and near.url == "http://good.test/page"
    assert isinstance(far, Answer) and far.url == "http://other.test/page"
    assert server.asked("other.test", "/robots.txt")  # its rules count, not those of the first


def test_an_unknown_certificate_is_refused(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(tmp_path))
    with HostileServer(context).running() as server:
        assert fetch(server, "https://secure.test/page") == "tls"
        assert server.requests == []


def _self_signed(folder: Path) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "secure.test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509
        .CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("secure.test")]), False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
