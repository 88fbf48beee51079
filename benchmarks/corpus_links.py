"""Links per second from dumps into the list, beside a bare json.loads loop."""

from __future__ import annotations

import argparse
import io
import json
import logging
import lzma
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, BinaryIO

import zstandard
from corpus import versions
from result_table import Row

from pipeline.links.choose import collect_links, make_rules
from pipeline.links.link_list import LinkList
from pipeline.shared.params.file import load_params
from pipeline.shared.running.progress import Progress
from pipeline.shared.running.storage import parse_place

_PARAMS = Path(__file__).parent.parent / "params.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this part."""
    parser.add_argument("--dumps", type=Path, help="folder of real dumps (RS*.zst, RS*.xz)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--sizes", type=int, nargs="*", default=[100_000, 1_000_000],
        help="submissions of made dumps, for the growth of time and memory",
    )  # fmt: skip


def measure(arguments: argparse.Namespace) -> tuple[list[Row], str]:
    """Rows of the reading of links."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [_compare(arguments.dumps, arguments.rounds)] if arguments.dumps else []
        growth = []
        for size in arguments.sizes:
            dumps = folder / str(size)
            _write_dump(dumps, size)
            seconds, mib, file_mib = _collect_alone(dumps, folder / f"{size}.sqlite")
            growth.append(
                f"{size:,} made submissions: {size / seconds:,.0f}/s, {mib:.0f} MiB beyond the "
                f"imports', database {file_mib:.0f} MiB"
            )
    notes = (
        "figure4 reads, judges, makes URLs canonical and keeps one link for each page in SQLite; "
        "the peer decompresses the same dumps and parses each line. Every made submission is a "
        "link that is kept. " + "; ".join(growth) + f". {versions('zstandard', 'orjson')}."
    )
    return rows, notes


def _compare(dumps: Path, rounds: int) -> Row:
    ours, bare = [], []
    for number in range(rounds):
        for act in (_ours, _bare) if number % 2 == 0 else (_bare, _ours):
            (ours if act is _ours else bare).append(act(dumps))
    return Row(
        case="real dumps",
        ours=statistics.median(ours),
        peer=statistics.median(bare),
        peer_name="json.loads of each line",
        unit="submissions/s",
        ratio=statistics.median(one / other for one, other in zip(ours, bare, strict=True)),
        higher_is_better=True,
    )


def _ours(dumps: Path) -> float:
    with tempfile.TemporaryDirectory() as folder:
        started_s = time.perf_counter()
        number = _collect(dumps, Path(folder) / "links.sqlite")
        return number / (time.perf_counter() - started_s)


def _collect(dumps: Path, database: Path) -> int:
    """Reads the links of all dumps; returns the number of submissions."""
    params = load_params(_PARAMS, "paper").params.links
    log = logging.getLogger("figure4")
    found = LinkList(database)
    with Progress("links", total=None, unit="links", log=log) as progress:
        counts = collect_links([parse_place(str(dumps))], make_rules(params), found, progress, log)
    found.close()
    return counts["submissions"]


def _bare(dumps: Path) -> float:
    started_s = time.perf_counter()
    number = 0
    for path in sorted(dumps.glob("RS*")):
        with path.open("rb") as raw, _decompressed(path, raw) as stream:
            for line in stream:
                json.loads(line)
                number += 1
    return number / (time.perf_counter() - started_s)


def _decompressed(path: Path, raw: BinaryIO) -> IO[bytes]:
    if path.suffix == ".xz":
        return lzma.open(raw)
    decompressor = zstandard.ZstdDecompressor(max_window_size=2**31)
    return io.BufferedReader(decompressor.stream_reader(raw), 2**20)


def _write_dump(folder: Path, size: int) -> None:
    """A dump whose every submission is a link to follow, of the length that real ones have."""
    folder.mkdir()
    draw = random.Random(1)
    with (folder / "RS_2017-12.zst").open("wb") as raw, zstandard.open(raw, "wb") as file:
        for number in range(size):
            record = {
                "url": f"http://www.site{draw.randrange(size // 4)}.com/2017/story-{number}.html",
                "score": 3 + number % 100, "created_utc": 1_500_000_000 + number,
                "over_18": False, "is_self": False, "subreddit": f"sub{number % 1000}",
                "title": f"{draw.getrandbits(400):x}", "selftext": "", "author": f"a{number}",
            }  # fmt: skip
            file.write(json.dumps(record).encode() + b"\n")


def _collect_alone(dumps: Path, database: Path) -> tuple[float, float, float]:
    """Seconds, MiB of memory and MiB of the database, by a process of its own."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; "
        "from corpus_links import report_collect; report_collect(Path(sys.argv[2]), "
        "Path(sys.argv[3]))"
    )
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", code, here, str(dumps), str(database)],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    seconds, kib = json.loads(done.stdout.splitlines()[-1])
    return seconds, kib / 1024, database.stat().st_size / 2**20


def report_collect(dumps: Path, database: Path) -> None:
    """Print seconds and peak KiB of one reading, beyond what the process had before."""
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started_s = time.perf_counter()
    _collect(dumps, database)
    seconds = time.perf_counter() - started_s
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stdout.write(json.dumps([seconds, peak_kib - before_kib]) + "\n")
