"""Places outside the chain: what is listed, and when the listing changes."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from copied_code import STAGES

from pipeline.shared.params.file import load_params
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.params.types import OUTSIDE
from pipeline.shared.running.deciders import place_deciders
from pipeline.shared.running.outside import hash_place, places

LOG = logging.getLogger("test_outside")
ROOT = Path(__file__).parents[3]

# Parameters that are text and no place.
WORDS = {
    *("links.blocked_subreddits", "fetching.user_agent", "extract.rules_off"),
    *("crawl.archive", "evaluate.leave_out"),
    *("compute.scheduler", "compute.strategy", "report.title"),
}


def profile(**sections: dict[str, object]) -> ProfileParams:
    return load_params(ROOT / "params.yaml", "tiny", sections).params


def test_every_parameter_that_is_text_is_a_place_or_known_to_be_none() -> None:
    """A place that is not typed as one is watched by nobody."""
    for name, section in ProfileParams.model_fields.items():
        fields = getattr(section.annotation, "model_fields", {})
        for key, field in fields.items():
            kind = str(field.annotation)
            is_place = OUTSIDE in kind or OUTSIDE in field.metadata
            if re.search(r"\bstr\b", kind) and not is_place:
                assert f"{name}.{key}" in WORDS, kind


def test_places_are_found_however_they_are_given() -> None:
    params = profile(
        links={"location": ["a", "s3://b/c"]},
        tokenize={"gpt2_bpe_folder": "e"},
        eval_sets={"location": "f"},
    )
    assert places(params.links) == {"location": ["a", "s3://b/c"]}
    assert places(params.crawl) == {}
    assert places(params.tokenize) == {"gpt2_bpe_folder": ["e"]}
    assert places(params.eval_sets) == {"location": ["f"]}
    assert places(params.dedup) == {}


def test_a_place_belongs_to_the_stage_of_its_section_alone(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    params = profile(extract={"location": str(tmp_path / "corpus")})
    before = {stage: place_deciders(stage, params, tmp_path, LOG) for stage in STAGES}
    (tmp_path / "corpus" / "new.jsonl").write_text("{}")
    now = {stage: place_deciders(stage, params, tmp_path, LOG) for stage in STAGES}
    assert {stage for stage in STAGES if before[stage] != now[stage]} == {"extract"}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.jsonl", "b.jsonl", "deep/c.jsonl"):
        (folder / name).write_text(name)
    return folder


def seen(place: object, memory: Path) -> str:
    return hash_place(str(place), memory, LOG)


def test_a_file_added_changed_touched_or_gone_changes_a_folders_hash(
    corpus: Path, tmp_path: Path
) -> None:
    hashes = [seen(corpus, tmp_path)]
    assert seen(corpus, tmp_path) == hashes[0]
    (corpus / "deep" / "d.jsonl").write_text("d")
    hashes.append(seen(corpus, tmp_path))
    (corpus / "a.jsonl").write_text("longer than it was")
    hashes.append(seen(corpus, tmp_path))
    os.utime(corpus / "b.jsonl", (1, 1))
    hashes.append(seen(corpus, tmp_path))
    (corpus / "b.jsonl").rename(corpus / "other.jsonl")
    hashes.append(seen(corpus, tmp_path))
    (corpus / "deep" / "c.jsonl").unlink()
    hashes.append(seen(corpus, tmp_path))
    assert len(set(hashes)) == 6


def test_a_lone_file_and_a_missing_one_are_places_too(corpus: Path, tmp_path: Path) -> None:
    file = corpus / "a.jsonl"
    first = seen(file, tmp_path)
    file.write_text("other text")
    second = seen(file, tmp_path)
    file.unlink()
    assert len({first, second, seen(file, tmp_path)}) == 3


def test_no_file_is_read(tmp_path: Path) -> None:
    """A terabyte (of nothing) is listed at once; to read it would take longer than a test may."""
    folder = tmp_path / "dumps"
    folder.mkdir()
    with (folder / "RS_2017-01.zst").open("wb") as file:
        file.truncate(2**40)
    first = seen(folder, tmp_path)
    with (folder / "RS_2017-01.zst").open("ab") as file:
        file.truncate(2**40 + 1)
    assert seen(folder, tmp_path) != first


# URLs


class Handler(BaseHTTPRequestHandler):
    """Answers for files by name; notes what was asked."""

    files: ClassVar[dict[str, str]] = {}
    asked: ClassVar[list[str]] = []
    status: ClassVar[int] = 200

    def do_HEAD(self) -> None:
        """Its marks alone."""
        self._answer()

    def do_GET(self) -> None:
        """The page of a folder."""
        self._answer()
        self.wfile.write("".join(f'<a href="{name[1:]}">x</a>' for name in self.files).encode())

    def _answer(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        found = self.path == "/" or self.path in self.files
        self.send_response(self.status if found else 404)
        if self.path in self.files:
            self.send_header("ETag", self.files[self.path])
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def web() -> Iterator[str]:
    """A web server with two dumps; yields its address."""
    Handler.files = {"/RS_2017-01.zst": "one", "/RS_2017-02.zst": "two"}
    Handler.asked, Handler.status = [], 200
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_on_the_web_is_known_by_its_marks_and_never_fetched(
    web: str, tmp_path: Path
) -> None:
    url = f"{web}RS_2017-01.zst"
    first = seen(url, tmp_path)
    assert seen(url, tmp_path) == first
    Handler.files["/RS_2017-01.zst"] = "another"
    second = seen(url, tmp_path)
    del Handler.files["/RS_2017-01.zst"]
    assert len({first, second, seen(url, tmp_path)}) == 3
    assert {line.split()[0] for line in Handler.asked} == {"HEAD"}


def test_a_file_added_to_a_folder_of_the_web_is_seen(web: str, tmp_path: Path) -> None:
    first = seen(web, tmp_path)
    assert seen(web, tmp_path) == first
    Handler.files["/RS_2017-03.zst"] = "three"
    second = seen(web, tmp_path)
    Handler.files["/RS_2017-03.zst"] = "other"
    assert len({first, second, seen(web, tmp_path)}) == 3
    assert not [line for line in Handler.asked if line.startswith("GET /RS")]


def test_a_url_that_gives_no_answer_is_taken_to_be_as_it_was(
    web: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"{web}RS_2017-01.zst"
    first = seen(url, tmp_path)
    Handler.status = 503
    Handler.files["/RS_2017-01.zst"] = "another"
    assert seen(url, tmp_path) == first
    (line,) = caplog.messages
    assert line == f"{url}: does not say whether it has changed (HTTP 503); taken to be as it was"


def test_a_url_that_never_answered_is_taken_to_be_empty(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = "http://127.0.0.1:9/RS_2017-01.zst"
    assert seen(url, tmp_path) == seen(tmp_path / "nothing", tmp_path)
    assert "taken to be empty" in caplog.text


def test_a_store_is_listed_with_its_own_marks(tmp_path: Path) -> None:
    from fsspec import filesystem

    store = filesystem("memory")
    store.pipe("/dumps/a", b"1")
    first = seen("memory://dumps", tmp_path)
    assert seen("memory://dumps", tmp_path) == first
    store.pipe("/dumps/b", b"1")
    second = seen("memory://dumps", tmp_path)
    store.pipe("/dumps/a", b"22")
    assert len({first, second, seen("memory://dumps", tmp_path)}) == 3
