"""Finding, decompressing, checking and fetching published files."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import shutil
import socket
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import zstandard

from pipeline.eval_sets.download import Publishers
from pipeline.eval_sets.sources import Folder, Form, NotAvailable, PublishedFile
from pipeline.shared.errors import EXIT_RETRY, CorruptDataError, RetryableError

CONTENT = b"first line\nsecond line\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def published(**fields: str) -> PublishedFile:
    known = {"folder": "set", "url": "http://example.test/file.txt", "digest": f"sha256:{SHA256}"}
    known |= fields
    return PublishedFile(
        folder=known["folder"],
        forms=(
            Form("file.txt", known["digest"]),
            Form("file_part.txt", "", "only a part"),
        ),
        url=known["url"],
        member=known.get("member", ""),
        archive_digest=known.get("archive_digest", ""),
    )


def put(root: Path, name: str, content: bytes) -> Path:
    path = root / "set" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("file.txt", CONTENT),
        ("file.txt.xz", lzma.compress(CONTENT)),
        ("file.txt.gz", gzip.compress(CONTENT, mtime=0)),
        ("file.txt.zst", zstandard.compress(CONTENT)),
    ],
    # Named by form: gzip's bytes hold the time, and pytest-xdist wants the same names everywhere.
    ids=["plain", "xz", "gzip", "zstd"],
)
def test_a_file_is_found_plain_or_compressed(tmp_path: Path, name: str, stored: bytes) -> None:
    put(tmp_path, name, stored)
    found = Folder(tmp_path).locate(published())
    assert found.digest == SHA256
    assert [tuple(line) for line in found.lines()] == [(1, "first line"), (2, "second line")]


def test_another_form_of_the_file_is_taken_with_its_note(tmp_path: Path) -> None:
    put(tmp_path, "file_part.txt", b"first line\n")
    assert Folder(tmp_path).locate(published()).note == "only a part"


def test_a_missing_file_says_where_it_belongs_and_what_gives_it(tmp_path: Path) -> None:
    with pytest.raises(NotAvailable, match=r"set/file\.txt: no such file; this gets it: mkdir -p"):
        Folder(tmp_path).locate(published())


@pytest.mark.skipif(
    not all(map(shutil.which, ("bash", "curl", "unzip", "tar"))),
    reason="the commands need bash, curl, unzip and tar; install them",
)
@pytest.mark.parametrize("kind", ["plain", "zip", "tgz"])
def test_the_command_of_the_reason_gets_the_file(
    server: tuple[str, Path], tmp_path: Path, kind: str
) -> None:
    url, folder = server
    asked = published(url=f"{url}/file.txt")
    if kind == "plain":
        (folder / "file.txt").write_bytes(CONTENT)
    else:
        write_archive(folder / f"all.{kind}")
        asked = published(url=f"{url}/all.{kind}", member="data/file.txt")
    with pytest.raises(NotAvailable) as reason:
        Folder(tmp_path / "mine").locate(asked)
    command = str(reason.value).partition("this gets it: ")[2]
    subprocess.run(["bash", "-o", "pipefail", "-c", command], check=True, capture_output=True)
    assert Folder(tmp_path / "mine").locate(asked).read_bytes() == CONTENT


def test_a_wrong_hash_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    put(tmp_path, "file.txt", CONTENT + b"x")
    with pytest.raises(CorruptDataError, match=r"set/file\.txt: sha256 .* is published; delete it"):
        Folder(tmp_path).locate(published())


def test_the_sample_webs_files_are_not_held_against_published_hashes(tmp_path: Path) -> None:
    put(tmp_path, "file.txt", b"another text\n")
    assert (
        Folder(tmp_path, check_digests=False).locate(published()).read_bytes() == b"another text\n"
    )


def test_a_git_blob_id_is_what_git_prints(tmp_path: Path) -> None:
    path = put(tmp_path, "file.txt", CONTENT)
    printed = subprocess.run(
        ["git", "hash-object", path], check=True, capture_output=True, text=True
    ).stdout.strip()
    Folder(tmp_path).locate(published(digest=f"git:{printed}"))
    with pytest.raises(CorruptDataError):
        Folder(tmp_path).locate(published(digest="git:" + "0" * 40))


@pytest.mark.parametrize("name", ["file.txt.xz", "file.txt.gz", "file.txt.zst"])
def test_a_truncated_archive_is_an_error_that_names_the_file(tmp_path: Path, name: str) -> None:
    compress = {"xz": lzma.compress, "gz": gzip.compress, "zst": zstandard.compress}
    whole = compress[name.rpartition(".")[2]](bytes(range(256)) * 100)
    put(tmp_path, name, whole[: len(whole) // 2])
    with pytest.raises(CorruptDataError, match=name):
        Folder(tmp_path).locate(published(digest=""))


def test_a_line_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    put(tmp_path, "file.txt", b"fine\n\xff\xfe\n")
    found = Folder(tmp_path).locate(published(digest=""))
    with pytest.raises(CorruptDataError, match=r"file\.txt: line 2: not UTF-8"):
        list(found.lines())


def test_a_line_that_is_not_json_is_named(tmp_path: Path) -> None:
    put(tmp_path, "file.txt", b'{"text": "fine"}\n{"text": "cu\n')
    found = Folder(tmp_path).locate(published(digest=""))
    with pytest.raises(CorruptDataError, match=r"file\.txt: line 2: not JSON"):
        list(found.records("text"))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "www"
    folder.mkdir()
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", folder
        http.shutdown()
        thread.join()


def test_a_file_is_fetched_once_and_checked(server: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = server
    (folder / "file.txt").write_bytes(CONTENT)
    source = Publishers(tmp_path / "cache")
    assert source.locate(published(url=f"{url}/file.txt")).read_bytes() == CONTENT
    (folder / "file.txt").unlink()
    assert source.locate(published(url=f"{url}/file.txt")).read_bytes() == CONTENT


def test_what_was_fetched_with_a_wrong_hash_is_an_error(
    server: tuple[str, Path], tmp_path: Path
) -> None:
    url, folder = server
    (folder / "file.txt").write_bytes(b"an error page")
    with pytest.raises(CorruptDataError, match="sha256"):
        Publishers(tmp_path / "cache").locate(published(url=f"{url}/file.txt"))


def write_archive(path: Path) -> None:
    """A zip or tgz with CONTENT as `data/file.txt`."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("data/file.txt", CONTENT)
        return
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo("data/file.txt")
        info.size = len(CONTENT)
        tar.addfile(info, io.BytesIO(CONTENT))


def test_an_archive_of_another_hash_is_an_error(server: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = server
    write_archive(folder / "all.zip")
    asked = published(
        url=f"{url}/all.zip", member="data/file.txt", archive_digest="sha256:" + "0" * 64
    )
    with pytest.raises(CorruptDataError, match=r"all\.zip: sha256:.* is published; delete it"):
        Publishers(tmp_path / "cache").locate(asked)


def test_a_connection_that_ends_early_leaves_no_file(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")

        thread = threading.Thread(target=answer)
        thread.start()
        port = listener.getsockname()[1]
        with pytest.raises(RetryableError, match="9 of 100 bytes came"):
            Publishers(tmp_path / "cache").locate(published(url=f"http://127.0.0.1:{port}/f.txt"))
        thread.join()
    assert not list((tmp_path / "cache").glob("[!.]*"))


@pytest.mark.parametrize("kind", ["zip", "tgz"])
def test_a_member_is_taken_out_of_an_archive(
    server: tuple[str, Path], tmp_path: Path, kind: str
) -> None:
    url, folder = server
    write_archive(folder / f"all.{kind}")
    source = Publishers(tmp_path / "cache")
    found = source.locate(published(url=f"{url}/all.{kind}", member="data/file.txt"))
    assert found.read_bytes() == CONTENT
    with pytest.raises(CorruptDataError, match=r"holds no data/other\.txt"):
        source.locate(published(url=f"{url}/all.{kind}", member="data/other.txt"))


def test_a_truncated_download_of_an_archive_is_an_error(
    server: tuple[str, Path], tmp_path: Path
) -> None:
    url, folder = server
    (folder / "all.tgz").write_bytes(gzip.compress(bytes(range(256)) * 100, mtime=0)[:500])
    with pytest.raises(CorruptDataError, match="cannot be unpacked"):
        Publishers(tmp_path / "cache").locate(published(url=f"{url}/all.tgz", member="file.txt"))


def test_a_page_that_is_gone_makes_the_set_not_available(
    server: tuple[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(NotAvailable, match="HTTP 404"):
        Publishers(tmp_path / "cache").locate(published(url=f"{server[0]}/none.txt"))


def test_no_network_is_one_retryable_error(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(RetryableError, match=r"cannot be fetched now") as error:
        Publishers(tmp_path / "cache").locate(published(url=f"http://127.0.0.1:{port}/file.txt"))
    assert error.value.exit_code == EXIT_RETRY
    assert not list((tmp_path / "cache").glob("*"))
