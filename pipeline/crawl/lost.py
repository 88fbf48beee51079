"""What of an archive is lost, and how to have it fetched anew: `python -m pipeline.crawl.lost`.

A crawl that finds a WARC file missing or short ends with an error: a disk that is not mounted looks
the same, and would cost every page a second fetch. So it is for a user to say what is given up.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from pipeline.crawl.archive import LIST, Archive, Held, Place, opened
from pipeline.crawl.crawlers import hand_over
from pipeline.crawl.warc import file_name, size_of
from pipeline.shared.errors import EXIT_DONE, EXIT_FATAL, UserError

_GZIP = 31  # wbits of zlib, which then checks each record's sum


class Loss(NamedTuple):
    """A WARC file that is not what the list knows."""

    number: int
    size: int
    """Bytes that there are."""
    end: int
    """Bytes that the list knows."""
    pages: int
    """That it held."""
    lost: list[int]
    """The positions of those that cannot be read."""

    def __str__(self) -> str:
        """For a terminal."""
        bytes_ = f"{self.size:,} of {self.end:,} bytes"
        return f"{bytes_}, {len(self.lost):,} of {self.pages:,} pages cannot be read"


def find_losses(archive: Archive) -> Iterator[Loss]:
    """Read every page of an archive, and tell of each WARC file that lacks something.

    Raises:
        UserError: a file is there and cannot be opened.
    """
    ends = archive.warc_ends()
    for number, pages in archive.held():
        yield from _look(archive.warc, number, ends.pop(number), pages)
    for number, end in ends.items():  # their pages lie elsewhere by now
        yield from _look(archive.warc, number, end, ())


def _look(folder: Path, number: int, end: int, pages: Sequence[Held]) -> Iterator[Loss]:
    path = folder / file_name(number)
    size = size_of(path)
    lost = [page.position for page in pages]
    if size:
        with _opened(path) as file:
            lost = [page.position for page in pages if not _is_whole(file, page.place)]
    if lost or size < end:
        yield Loss(number, size, end, len(pages), lost)


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise UserError(
            f"{path}: cannot be opened ({error.strerror}), which says nothing of its pages; let "
            "this user read it and run the same command again"
        ) from None


def _is_whole(file: IO[bytes], place: Place) -> bool:
    try:
        file.seek(place.offset)
        record = zlib.decompress(file.read(place.length), wbits=_GZIP)
    except (OSError, zlib.error):  # of a failing disk, or of what is no record
        return False
    return record.startswith(b"WARC/")


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell what is lost; 1 where something is and is not given up."""
    options = _parse(arguments)
    try:
        return _examine(options.archive, fetch_anew=options.fetch_anew)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _examine(folder: Path, *, fetch_anew: bool) -> int:
    if not (folder / LIST).is_file():
        raise UserError(f"{folder}: no {LIST} there; name the folder of an archive that holds it")
    num_files = num_pages = 0
    with opened(folder) as archive:
        hand_over(archive)
        for loss in find_losses(archive):
            print(f"{archive.warc / file_name(loss.number)}: {loss}", flush=True)
            num_files, num_pages = num_files + 1, num_pages + len(loss.lost)
            if fetch_anew:
                archive.give_up(loss.number, loss.lost, loss.size)
    return _sum_up(num_files, num_pages, fetch_anew=fetch_anew)


def _sum_up(num_files: int, num_pages: int, *, fetch_anew: bool) -> int:
    if not num_files:
        print("nothing is lost: each page of the archive can be read")
        return EXIT_DONE
    lost = f"pages: {num_pages:,}, in WARC files: {num_files:,}"
    if fetch_anew:
        print(
            f"given up, {lost}; `dvc repro -f -s crawl` asks for those that its study links to, "
            "then `dvc repro` goes on"
        )
        return EXIT_DONE
    print(
        f"lost, {lost}; nothing was changed: put the files back or, if there is no copy of them, "
        "give the same command --fetch-anew"
    )
    return EXIT_FATAL


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.crawl.lost",
        description="Read every page of an archive and tell which are lost: WARC files that are "
        "missing, cut off or damaged. Without --fetch-anew it changes nothing.",
    )
    parser.add_argument("archive", type=Path, metavar="ARCHIVE", help=f"folder that holds {LIST}")
    parser.add_argument(
        "--fetch-anew",
        action="store_true",
        help="have the next crawl fetch what is lost as if it had never been had",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
