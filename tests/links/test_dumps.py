"""Dumps at a URL and in Parquet."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hostile_server import Behaviour, HostileServer, Request, Send
from test_links import GOOD, LOG, RULES, collect, dump

from pipeline.links.choose import collect_links
from pipeline.links.link_list import LinkList
from pipeline.shared.errors import CorruptDataError, RetryableError, UserError
from pipeline.shared.running.progress import Progress
from pipeline.shared.running.storage import parse_place
from pipeline.shared.web import remote_file

RECORDS = [GOOD | {"url": f"http://example.com/{n}", "score": n % 7} for n in range(7000)]


def in_ranges(data: bytes, *, failures: int = 0) -> Behaviour:
    """A file of a server that knows Range, and breaks off so many of its first answers."""
    left = failures

    async def serve(request: Request, send: Send) -> None:
        nonlocal left
        first, last, status = 0, len(data) - 1, "200 OK"
        if "range" in request.headers:
            asked = request.headers["range"].removeprefix("bytes=").partition("-")
            first, last = int(asked[0]), min(int(asked[2] or last), last)
            status = f"206 Partial Content\r\nContent-Range: bytes {first}-{last}/{len(data)}"
        body = data[first : last + 1]
        head = f"HTTP/1.1 {status}\r\nAccept-Ranges: bytes\r\nContent-Length: {len(body)}\r\n\r\n"
        if "range" in request.headers and left:
            left -= 1
            body = body[: len(body) // 2]
        await send(head.encode() + body)

    return serve


def at_url(server: HostileServer, name: str, found: Any) -> Path:
    server.special["127.0.0.1", f"/{name}"] = found
    return parse_place(f"http://127.0.0.1:{server.port}/{name}")


def collect_from(places: list[Path], database: Path, *, rules: Any = RULES) -> Counter[str]:
    found = LinkList(database)
    try:
        with Progress("links", total=None, unit="links", log=LOG) as progress:
            return collect_links(places, rules, found, progress, LOG)
    finally:
        found.close()


def zst(records: list[dict[str, Any]]) -> bytes:
    draw = random.Random(1)  # what does not compress, so that the dump has several pieces
    lines = [json.dumps(record | {"title": draw.randbytes(2000).hex()}) for record in records]
    return zstandard.compress("\n".join(lines).encode() + b"\n")


def test_a_dump_at_a_url_is_read_as_a_stream_past_broken_connections(
    server: HostileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_file, "_PAUSES_S", (0.01, 0.02, 0.03))
    data = zst(RECORDS)
    assert len(data) > 3 * remote_file._PIECE_BYTES
    url = at_url(server, "RS_2017-11.zst", in_ranges(data, failures=2))
    assert collect_from([url], tmp_path / "f.sqlite") == {
        "submissions": 7000, "kept": 4000, "low_score": 3000,
    }  # fmt: skip
    asked = [r.headers["range"] for r in server.requests if "range" in r.headers]
    assert len(asked) > 3, "the whole file was asked for at once"
    before = len(server.requests)
    assert collect_from([url], tmp_path / "f.sqlite")["kept"] == 4000
    assert len(server.requests) == before  # a dump that is in is not read again


def test_a_url_without_a_file_and_one_without_an_answer_are_one_clear_error(
    server: HostileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_file, "_PAUSES_S", (0.01,))
    nowhere = parse_place(f"http://127.0.0.1:{server.port}/RS_2099-01.zst")
    with pytest.raises(UserError, match=r"RS_2099-01\.zst: no such file"):
        collect_from([nowhere], tmp_path / "f.sqlite")
    broken = at_url(server, "RS_2017-12.zst", in_ranges(zst(RECORDS), failures=99))
    with pytest.raises(RetryableError, match=r"RS_2017-12\.zst: no answer at byte 0"):
        collect_from([broken], tmp_path / "f.sqlite")


@pytest.mark.parametrize("remote", [False, True])
def test_a_dump_in_parquet_gives_the_links_of_its_ndjson(
    server: HostileServer, tmp_path: Path, remote: bool
) -> None:
    rows = [{**record, "title": "not read"} for record in RECORDS]
    moment = dt.datetime.fromtimestamp(GOOD["created_utc"], dt.UTC)
    rows = [row | {"created_utc": moment} for row in rows] if remote else rows
    rows[5]["score"] = None
    path = tmp_path / "RS_2017-11.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    found = at_url(server, path.name, in_ranges(path.read_bytes())) if remote else path
    assert collect_from([found], tmp_path / "f.sqlite") == {
        "submissions": 7000, "kept": 3999, "low_score": 3000, "corrupt_line": 1,
    }  # fmt: skip


def test_a_parquet_file_that_is_none_or_lacks_a_column_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "RS_2017-11.parquet"
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(CorruptDataError, match=r"RS_2017-11\.parquet: truncated or damaged"):
        collect_from([path], tmp_path / "f.sqlite")
    pq.write_table(pa.table({"url": ["http://a.com/"], "score": [3]}), path)
    with pytest.raises(CorruptDataError, match="has no column created_utc"):
        collect_from([path], tmp_path / "f.sqlite")


def test_lines_that_only_a_lenient_reader_takes_are_read(tmp_path: Path) -> None:
    lenient = json.dumps(GOOD | {"title": "x"}).replace('"x"', '"\\ud800"')
    folder = dump(
        tmp_path / "dumps", lenient, lenient.replace('"\\ud800"', "NaN"), "[3]", "nonsense"
    )
    assert collect(folder)[0] == {
        "submissions": 4, "kept": 1, "duplicate_url": 1, "corrupt_line": 2,
    }  # fmt: skip
