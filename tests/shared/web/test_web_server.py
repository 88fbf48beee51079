"""The web server over real sockets: every behaviour, gzip, its start and its end."""

from __future__ import annotations

import gzip
import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.shared.errors import UserError
from pipeline.shared.web.server import SITE_FILE, SITE_SCHEMA, serve

PAGE = b"<p>" + b"Plain words. " * 200 + b"</p>"
HTML = "text/html; charset=utf-8"


def write_site(folder: Path) -> Path:
    rows = [
        ("a.test", "/", 200, HTML, "", PAGE, ""),
        ("b.test", "/", 200, HTML, "", b"<p>another host</p>", ""),
        ("a.test", "/q?x=1", 200, HTML, "", b"<p>a query</p>", ""),
        ("a.test", "/moved", 301, HTML, "http://b.test/", b"", ""),
        ("a.test", "/broken", 503, HTML, "", b"no", ""),
        ("a.test", "/zipped", 200, HTML, "", gzip.compress(PAGE, mtime=0), "gzip"),
        ("a.test", "/slow", 200, HTML, "", PAGE, "slow"),
        ("a.test", "/cut", 200, HTML, "", PAGE, "cut"),
        ("a.test", "/length", 200, HTML, "", PAGE, "length"),
    ]
    table = pa.Table.from_pylist(
        [dict(zip(SITE_SCHEMA.names, row, strict=True)) for row in rows], schema=SITE_SCHEMA
    )
    folder.mkdir(exist_ok=True)
    pq.write_table(table, folder / SITE_FILE)
    return folder


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with serve(write_site(tmp_path_factory.mktemp("site"))) as port:
        yield port


@pytest.fixture
def connection(port: int) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    yield connection
    connection.close()


def get(
    connection: http.client.HTTPConnection, host: str, path: str, encoding: str = "identity"
) -> http.client.HTTPResponse:
    connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", host)
    connection.putheader("Accept-Encoding", encoding)
    connection.endheaders()
    return connection.getresponse()


def test_the_host_header_and_the_query_decide_the_page(
    connection: http.client.HTTPConnection, port: int
) -> None:
    assert get(connection, "a.test", "/").read() == PAGE
    assert get(connection, f"B.test:{port}", "/").read() == b"<p>another host</p>"
    assert get(connection, "a.test", "/q?x=1").read() == b"<p>a query</p>"
    missing = get(connection, "a.test", "/q?x=2")
    missing.read()
    assert missing.status == 404


def test_one_connection_serves_many_requests(connection: http.client.HTTPConnection) -> None:
    get(connection, "a.test", "/").read()
    used = connection.sock
    get(connection, "a.test", "/").read()
    assert connection.sock is used


def test_a_page_is_compressed_only_for_those_who_accept_gzip(
    connection: http.client.HTTPConnection,
) -> None:
    compressed = get(connection, "a.test", "/", encoding="br, gzip")
    assert compressed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(compressed.read()) == PAGE
    assert get(connection, "a.test", "/").headers["Content-Encoding"] is None


def test_a_body_that_is_gzip_already_is_declared_so(connection: http.client.HTTPConnection) -> None:
    answer = get(connection, "a.test", "/zipped")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.read()) == PAGE


def test_redirects_and_errors_keep_their_status(connection: http.client.HTTPConnection) -> None:
    moved = get(connection, "a.test", "/moved")
    moved.read()
    assert (moved.status, moved.headers["Location"]) == (301, "http://b.test/")
    assert get(connection, "a.test", "/broken").status == 503


@pytest.mark.parametrize("path", ["/cut", "/length"])
def test_a_body_that_breaks_off_is_noticed_by_the_client(
    connection: http.client.HTTPConnection, path: str
) -> None:
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        get(connection, "a.test", path).read()


def test_a_slow_page_drips(connection: http.client.HTTPConnection) -> None:
    answer = get(connection, "a.test", "/slow")
    started_s = time.monotonic()
    assert answer.read(5) == PAGE[:5]
    assert 0.2 < time.monotonic() - started_s < 5


def test_the_server_ends_with_the_block_even_while_a_page_drips(tmp_path: Path) -> None:
    with serve(write_site(tmp_path)) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        get(connection, "a.test", "/slow").read(1)
        started_s = time.monotonic()
    assert time.monotonic() - started_s < 4
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    connection.close()


def test_a_port_in_use_is_one_clear_error(tmp_path: Path) -> None:
    site = write_site(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"--port {port}: in use.*take 0"), serve(site, port):
            pass


def test_a_folder_without_a_site_is_one_clear_error(tmp_path: Path) -> None:
    message = r"site\.parquet: not a readable site.*dvc repro"
    with pytest.raises(UserError, match=message), serve(tmp_path):
        pass


def test_the_command_prints_its_address_and_ends_with_its_input(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pipeline.shared.web.server",
        "--site",
        str(write_site(tmp_path)),
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.stdin.close()
        assert process.wait(10) == 0
