"""WARC and the archive's list agree after any kill."""

from __future__ import annotations

import datetime as dt
import sqlite3
from pathlib import Path

import pytest
from crawling import links_to, want
from warcio.archiveiterator import ArchiveIterator

from pipeline.crawl.archive import MOVED, Archive, Held, Place
from pipeline.crawl.exchange import Answer
from pipeline.crawl.share import Share, ShareResult, ShareTask
from pipeline.crawl.warc import WarcFiles, file_name, response_record
from pipeline.extract.warc_response import read_response
from pipeline.shared.errors import CorruptDataError
from pipeline.shared.formats.fates import FETCHED


def page(number: int, size: int = 100) -> bytes:
    headers = [(b"Content-Type", b"text/html"), (b"Transfer-Encoding", b"chunked"),
               (b"X-Caf\xe9", b"\xff\x80"), (b"", b"")]  # fmt: skip
    answer = Answer(
        f"http://a.test/{number}", 200, "O\udcff K\xe9", headers, bytes([65 + number]) * size
    )
    return response_record(answer, dt.datetime(2017, 12, 1, tzinfo=dt.UTC))


def open_warc(folder: Path, committed: dict[int, int], roll_bytes: int = 10**9) -> WarcFiles:
    return WarcFiles(folder, committed, about={"software": "test"}, roll_bytes=roll_bytes)


def urls(path: Path) -> list[str]:
    with path.open("rb") as file:
        records = ArchiveIterator(file, check_digests="raise")
        return [
            record.rec_headers.get_header("WARC-Target-URI")
            for record in records
            if record.rec_type == "response" and record.content_stream().read()
        ]


def test_a_response_is_found_again_by_its_place(tmp_path: Path) -> None:
    warc = open_warc(tmp_path, {})
    places = [warc.add(page(number)) for number in range(3)]
    warc.sync()
    response = read_response(tmp_path / file_name(places[1].warc), *places[1][1:])
    assert response == ("http://a.test/1", "text/html", "", b"B" * 100)
    warc.close()


def test_files_roll_at_their_size_and_each_begins_with_who_made_it(tmp_path: Path) -> None:
    warc = open_warc(tmp_path, {}, roll_bytes=1000)
    places = [warc.add(page(number)) for number in range(8)]
    warc.sync()
    warc.close()
    assert places[-1].warc >= 2
    assert [url for path in sorted(tmp_path.iterdir()) for url in urls(path)] == [
        f"http://a.test/{number}" for number in range(8)
    ]
    for path in tmp_path.iterdir():
        with path.open("rb") as file:
            assert next(iter(ArchiveIterator(file))).rec_type == "warcinfo"


def test_what_the_list_does_not_know_is_cut_off(tmp_path: Path) -> None:
    warc = open_warc(tmp_path, {}, roll_bytes=1000)
    known = warc.add(page(0))
    while warc.add(page(1)).warc == 0:  # not committed, and begins another file
        pass
    warc.close()
    with (tmp_path / file_name(0)).open("ab") as file:
        file.write(b"half a record")
    warc = open_warc(tmp_path, {0: known.offset + known.length})
    assert [path.name for path in tmp_path.iterdir()] == [file_name(0)]
    place = warc.add(page(2))
    warc.sync()
    warc.close()
    assert place.offset == known.offset + known.length
    assert urls(tmp_path / file_name(0)) == ["http://a.test/0", "http://a.test/2"]


def test_a_file_shorter_than_the_list_knows_is_one_clear_error(tmp_path: Path) -> None:
    warc = open_warc(tmp_path, {})
    place = warc.add(page(0))
    warc.close()
    with pytest.raises(CorruptDataError, match="where the archive's list knows"):
        open_warc(tmp_path, {0: place.offset + place.length + 1})


def test_what_lies_beside_the_files_and_is_none_of_them_stays(tmp_path: Path) -> None:
    kept = tmp_path / "crawl-000-00000.warc.gz.damaged"
    kept.write_bytes(b"what a user put aside")
    open_warc(tmp_path, {}).close()
    assert kept.is_file()


def test_a_place_without_a_record_is_one_clear_error(tmp_path: Path) -> None:
    warc = open_warc(tmp_path, {})
    place = warc.add(page(0))
    warc.close()
    warc.close()
    with pytest.raises(CorruptDataError, match="no record at byte 3"):
        read_response(tmp_path / file_name(0), 3, place.length)


def test_nothing_is_added_to_a_sealed_file(tmp_path: Path) -> None:
    warc = open_warc(tmp_path, {})
    place = warc.add(page(0))
    warc.sync()
    warc.close()
    before = (tmp_path / file_name(0)).read_bytes()
    end = place.offset + place.length
    warc = WarcFiles(tmp_path, {0: end}, about={}, sealed={0})
    assert warc.add(page(1)).warc == 1
    warc.close()
    assert (tmp_path / file_name(0)).read_bytes() == before


def make_archive(folder: Path, hosts: list[str]) -> Archive:
    archive = Archive(folder)
    want(archive, [f"http://{host}/{number}" for number, host in enumerate(hosts)])
    archive.begin_round()
    return archive


def open_share(archive: Archive, number: int = 0, of: int = 1) -> Share:
    results = archive.path.with_name(f"results-{number}.sqlite")
    return Share(archive.path, results, number=number, of=of)


def test_hosts_come_by_their_number_of_links_each_once(tmp_path: Path) -> None:
    hosts = (
        ["b.test"] * 2 + ["c.test"] * 5 + [f"d{n:04d}.test" for n in range(2500)] + ["a.test"] * 2
    )
    archive = make_archive(tmp_path, hosts)
    found = list(open_share(archive).hosts())
    assert found[:4] == ["c.test", "a.test", "b.test", "d0000.test"]
    assert len(found) == len(set(found)) == 2503
    parts = [list(open_share(archive, number, of=3).hosts()) for number in range(3)]
    assert sorted(host for part in parts for host in part) == sorted(found)
    assert min(map(len, parts)) > 700
    archive.close()


def test_a_link_gets_one_final_state(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, ["a.test"] * 3)
    share = open_share(archive)
    share.finish([ShareResult(1, FETCHED, 1, Place(0, 5, 7)), ShareResult(3, "http_404", 2)])
    with pytest.raises(sqlite3.IntegrityError):
        share.finish([ShareResult(2, "timeout", 1), ShareResult(3, "timeout", 1)])  # all or none
    share.close()
    share = open_share(archive)  # as after a kill
    assert share.pending("a.test", after=0, most=9) == [ShareTask(2, ("http://a.test/1",))]
    assert share.warc_ends() == {0: 12}
    share.close()
    for _ in range(2):  # the second time there is nothing left to take over
        archive.take_over(tmp_path / "results-0.sqlite")
        assert archive.warc_ends() == {0: 12}
        rows = archive.rows(links_to([f"http://a.test/{n}" for n in range(3)]))
        assert [(row.state, row.attempts, row.place) for row in rows] == [
            (FETCHED, 1, Place(0, 5, 7)), ("pending", 0, None), ("http_404", 2, None),
        ]  # fmt: skip
    archive.close()


def finish(archive: Archive, result: ShareResult) -> None:
    """A round in which a crawler found out this."""
    archive.begin_round()
    share = open_share(archive)
    share.finish([result])
    share.close()
    archive.take_over(archive.path.with_name("results-0.sqlite"))


def pending(archive: Archive, host: str) -> list[ShareTask]:
    """What a round would ask of a host."""
    archive.begin_round()
    share = open_share(archive)
    tasks = share.pending(host, after=0, most=9)
    share.close()
    return tasks


TRAIL = ("http://a.test/0", "http://b.test/x")
MOVED_ON = ShareResult(1, MOVED, 1, trail=TRAIL, moved_to="b.test")


def test_a_link_that_moved_waits_at_its_next_host_with_its_trail(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, ["a.test"])
    finish(archive, MOVED_ON)
    assert archive.begin_round() == 1
    assert pending(archive, "b.test") == [ShareTask(1, TRAIL)]
    assert pending(archive, "a.test") == []
    archive.close()


def test_a_page_that_is_given_up_is_asked_for_where_its_link_leads_first(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, ["a.test"])
    finish(archive, MOVED_ON)
    finish(archive, ShareResult(1, FETCHED, 1, Place(0, 5, 7)))
    assert list(archive.held()) == [(0, [Held(1, Place(0, 5, 7))])]
    archive.give_up(0, [1], size=0)
    assert list(archive.held()) == []
    assert pending(archive, "a.test") == [ShareTask(1, TRAIL[:1])]
    assert pending(archive, "b.test") == []
    archive.close()
