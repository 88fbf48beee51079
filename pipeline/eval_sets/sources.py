"""Published files at hand: found in a folder or fetched, decompressed, checked, read by line.

A file is known by its forms: the name and digest of each version that is in circulation, with a
note on how a version departs from what GPT-2 was evaluated on. Digests are of the uncompressed
bytes, since mirrors compress each in their own way.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import shlex
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol, cast

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.shared.arrow_memory import buffer_of
from pipeline.shared.errors import CorruptDataError

_CHUNK_BYTES = 2**20
_COMPRESSIONS = ("", ".xz", ".gz", ".zst")
_PARQUET = ".parquet"


class Form(NamedTuple):
    """One version of a published file that is in circulation."""

    name: str
    digest: str = ""
    """`sha256:...` or `git:...` (Git's blob id) of the content; empty where none is known."""
    note: str = ""
    """How it departs from the publisher's file."""


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """A file as its publisher gives it, and the forms under which mirrors keep it."""

    folder: str
    forms: tuple[Form, ...]
    """The publisher's own first."""
    url: str
    member: str = ""
    """Name inside the archive behind `url`."""
    archive_digest: str = ""
    """`sha256:...` of that archive; empty where none is known or there is no archive."""


class NotAvailable(Exception):
    """A file cannot be had here; the message says why and what would get it."""


class Source(Protocol):
    """Where published files are looked for."""

    def locate(self, file: PublishedFile) -> SourceFile:
        """Find one file and check its digest.

        Raises:
            NotAvailable: it is not to be had here.
            CorruptDataError: its content is not what its digest says.
            RetryableError: a network fault that may pass.
        """
        ...


class TextLine(NamedTuple):
    """A line of a file, without its newline; numbered from 1."""

    number: int
    text: str


@dataclass(frozen=True)
class SourceFile:
    """A file at hand, compressed or not."""

    path: Path
    note: str = ""
    digest: str = ""
    """SHA-256 of the uncompressed content, as found."""

    def chunks(self) -> Iterator[bytes]:
        """The uncompressed content, piece by piece."""
        try:
            if self.path.suffix == ".zst":
                yield from _zstandard_chunks(self.path)
                return
            with _OPENERS.get(self.path.suffix, open)(self.path, "rb") as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    yield chunk
        except (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # a fault of the machine, not of the file
            raise self._broken(error) from None

    def read_bytes(self) -> bytes:
        """The whole uncompressed content."""
        return b"".join(self.chunks())

    def lines(self) -> Iterator[TextLine]:
        """The lines, split at newlines alone.

        Raises:
            CorruptDataError: a line is no UTF-8, naming it.
        """
        number, rest = 0, b""
        for chunk in self.chunks():
            *whole, rest = (rest + chunk).split(b"\n")
            for raw in whole:
                number += 1
                yield TextLine(number, self._decode(number, raw))
        if rest:
            yield TextLine(number + 1, self._decode(number + 1, rest))

    def records(self, *keys: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """The objects of a JSONL file with their line numbers; each must have `keys`.

        Of a Parquet file, the rows, numbered from 1.
        """
        if _PARQUET in self.path.suffixes:
            yield from enumerate(self._rows(keys), start=1)
            return
        for number, text in self.lines():
            try:
                record = json.loads(text)
            except ValueError as error:
                raise self.bad_line(number, f"not JSON ({error})") from None
            missing = [key for key in keys if not isinstance(record, dict) or key not in record]
            if missing:
                raise self.bad_line(number, f"no object with the key {missing[0]!r}")
            yield number, record

    def _rows(self, keys: tuple[str, ...]) -> list[dict[str, Any]]:
        try:
            table = pq.read_table(pa.BufferReader(buffer_of(self.read_bytes())), columns=list(keys))
        except (pa.ArrowException, OSError) as error:
            raise CorruptDataError(
                f"{self.path}: no Parquet file ({error}); it is damaged, fetch it again"
            ) from None
        missing = [key for key in keys if key not in table.column_names]
        if missing:
            raise CorruptDataError(
                f"{self.path}: no column {missing[0]!r}; this is another file, fetch it again"
            )
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows

    def bad_line(self, number: int, problem: str) -> CorruptDataError:
        """The error for a line that is not what the format says."""
        return CorruptDataError(
            f"{self.path}: line {number}: {problem}; the file is damaged, fetch it again"
        )

    def sha256(self) -> str:
        """SHA-256 of the uncompressed content."""
        return self._hash(hashlib.sha256())

    def git_blob_id(self) -> str:
        """The id that `git hash-object` prints for the uncompressed content."""
        size = sum(len(chunk) for chunk in self.chunks())
        return self._hash(hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False))

    def _hash(self, state: hashlib._Hash) -> str:
        for chunk in self.chunks():
            state.update(chunk)
        return state.hexdigest()

    def _decode(self, number: int, raw: bytes) -> str:
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise self.bad_line(number, f"not UTF-8 ({error.reason})") from None

    def _broken(self, error: Exception) -> CorruptDataError:
        return CorruptDataError(
            f"{self.path}: cannot be decompressed ({error}); it is cut short or damaged, "
            "fetch it again"
        )


_OPENERS: Mapping[str, Callable[[Path, str], IO[bytes]]] = {
    ".xz": cast(Any, lzma.open),
    ".gz": cast(Any, gzip.open),
}


def _zstandard_chunks(path: Path) -> Iterator[bytes]:
    """Decompress all frames of a file; the library's own reader takes a cut file for whole."""
    import zstandard

    frame: Any = None
    with path.open("rb") as stream:
        while raw := stream.read(_CHUNK_BYTES):
            while raw:
                if frame is None or frame.eof:
                    frame = zstandard.ZstdDecompressor().decompressobj()
                try:
                    yield frame.decompress(raw)
                except zstandard.ZstdError as error:
                    raise ValueError(str(error)) from None
                raw = frame.unused_data
    if frame is None or not frame.eof:
        raise EOFError("the last frame does not end")


def verified(found: SourceFile, form: Form, remedy: str) -> SourceFile:
    """`found` with its SHA-256, after comparing it with the digest of `form`.

    Raises:
        CorruptDataError: the content is another.
    """
    sha256 = found.sha256()
    kind, _, expected = form.digest.partition(":")
    actual = found.git_blob_id() if kind == "git" else sha256
    if expected and actual != expected:
        raise CorruptDataError(
            f"{found.path}: {kind} of the uncompressed content is {actual[:16]}... where "
            f"{expected[:16]}... is published; {remedy}"
        )
    return SourceFile(found.path, form.note, sha256)


@dataclass(frozen=True)
class Folder:
    """A folder of downloaded files, in a subfolder per set, plain or compressed."""

    root: Path
    check_digests: bool = True
    """False for the built-in web's files, which imitate the formats with other texts."""

    def locate(self, file: PublishedFile) -> SourceFile:
        """See `Source.locate`; the first form that is there is taken."""
        if found := self.find(file):
            form, path = found
            if not self.check_digests:
                return verified(SourceFile(path), Form(form.name), "")
            again = f"delete it and fetch it again: {command_for(file, path.with_name(form.name))}"
            return verified(SourceFile(path), form, again)
        place = self.root / file.folder / file.forms[0].name
        if not self.check_digests:
            raise NotAvailable(f"{place}: the built-in web made none; run its stage again")
        raise NotAvailable(f"{place}: no such file; this gets it: {command_for(file, place)}")

    def find(self, file: PublishedFile) -> tuple[Form, Path] | None:
        """The first form of a file that is there, whatever it holds."""
        for form in file.forms:
            for suffix in _COMPRESSIONS:
                path = self.root / file.folder / f"{form.name}{suffix}"
                if path.is_file():
                    return form, path
        return None


def command_for(file: PublishedFile, place: Path) -> str:
    """The shell command that gets a file from its publisher and puts it at `place`.

    >>> file = PublishedFile(folder="a", forms=(Form("b"),), url="http://c.test/d.zip", member="b")
    >>> command_for(file, Path("a/b"))
    'mkdir -p a && curl -fLo a/d.zip http://c.test/d.zip && unzip -p a/d.zip b > a/b'
    """
    url, target, member = (shlex.quote(str(part)) for part in (file.url, place, file.member))
    folder = f"mkdir -p {shlex.quote(str(place.parent))}"
    if not file.member:
        return f"{folder} && curl -fLo {target} {url}"
    if not file.url.endswith(".zip"):
        return f"{folder} && curl -fL {url} | tar -xzO {member} > {target}"
    archive = shlex.quote(str(place.with_name(file.url.rpartition("/")[2])))
    return f"{folder} && curl -fLo {archive} {url} && unzip -p {archive} {member} > {target}"


def departures(sources: Mapping[str, Mapping[str, Any]]) -> str:
    """How the files of a set's record depart from the publisher's; empty where they do not."""
    if not sources:
        return "its source is not recorded"
    return "; ".join(str(source["note"]) for source in sources.values() if source.get("note"))
