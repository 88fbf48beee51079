"""How much text a study will have: counted by its stages, sampled from its files, or reckoned."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.extract.columns import NoTextError, columns_of
from pipeline.extract.corpus_files import find_files, is_json, is_parquet
from pipeline.extract.corpus_records import RecordReader
from pipeline.extract.judge import caps_of
from pipeline.plan.finished import Finished
from pipeline.shared.errors import CorruptDataError, UserError
from pipeline.shared.formats.documents import Document
from pipeline.shared.params.profile import ProfileParams

# A compressed file that is cut off loses what its reader held, up to a mebibyte of text.
_SAMPLED_FILES, _SAMPLED_BYTES = 2, 2**23
_WARC_TEXT = 0.14  # bytes of text a byte of compressed WARC: 3.5 of 25 kB a page
_EMPTY_BYTES = 8  # a row, at most, of a column without text: an empty string takes 4
_DOCUMENT_BYTES = 3300.0
_SAMPLE_PAGES = 3600  # of the built-in web, which 12 MB of documentation fill
_SAMPLE_PAGE_BYTES, _SAMPLE_TEXT_BYTES = 3000.0, 3250.0  # fetched and extracted, a page
_KEPT_OF_SAMPLE = 0.88  # after de-duplication, which its planted copies are there for
_WEB_KEPT = 0.75
_WEB_PAGES = 45_000_000  # the paper's links
_WEB_PAGE_BYTES = 25_000.0  # in WARC
_BYTES_A_TOKEN = {512: 1.9, 8192: 3.79, 16_384: 4.1, 50_257: 4.45}
"""Of English text, by the size of a vocabulary (of GPT-2's own, the last)."""


class Corpus(NamedTuple):
    """The text of a study on its way to tokens."""

    how: str
    """Where the numbers come from."""
    pages: int
    """That a crawl asks for; 0 for a ready corpus."""
    page_bytes: float
    """Compressed, of all pages."""
    documents: float
    text_bytes: float
    """Of what extract writes."""
    kept_bytes: float
    """After de-duplication."""
    tokens: float

    @property
    def bytes_per_token(self) -> float:
        """Of text."""
        return self.kept_bytes / self.tokens


def find_corpus(params: ProfileParams, finished: Finished | None = None) -> Corpus:
    """The corpus of a study, as its finished stages count it, from files, or reckoned.

    Raises:
        UserError: the folder of a ready corpus holds none, or no text.
    """
    per_token = bytes_per_token(params.tokenize.vocab_size)
    if finished is not None and "dedup" in finished.unchanged:
        return _counted(finished, per_token)
    if params.extract.source == "corpus":
        how, text = _ready_corpus(params, per_token)
        documents = text / _DOCUMENT_BYTES
        return Corpus(how, 0, 0.0, documents, text, text, text / per_token)
    if params.links.source == "sample_web":
        sample = params.sample_web
        fill = sample.max_text_bytes / 12e6 * _SAMPLE_PAGES
        pages = max(1, int(min(sample.max_pages, fill)) * 8 // 9)
        text, kept = pages * _SAMPLE_TEXT_BYTES, pages * _SAMPLE_TEXT_BYTES * _KEPT_OF_SAMPLE
        how = "reckoned from the built-in web"
        return Corpus(how, pages, pages * _SAMPLE_PAGE_BYTES, pages, text, kept, kept / per_token)
    pages, text = _WEB_PAGES, _WEB_PAGES * _DOCUMENT_BYTES * 0.6
    how = "reckoned from the paper's 45M links"
    return Corpus(
        *(how, pages, pages * _WEB_PAGE_BYTES, 0.6 * pages, text),
        *(_WEB_KEPT * text, _WEB_KEPT * text / per_token),
    )


def bytes_per_token(vocab_size: int) -> float:
    """Bytes of English text a token, between the vocabularies that were measured.

    >>> bytes_per_token(8192), round(bytes_per_token(2048), 2), bytes_per_token(100_000)
    (3.79, 2.84, 4.45)
    """
    sizes = sorted(_BYTES_A_TOKEN)
    if vocab_size <= sizes[0] or vocab_size >= sizes[-1]:
        return _BYTES_A_TOKEN[sizes[0] if vocab_size <= sizes[0] else sizes[-1]]
    above = next(size for size in sizes if size >= vocab_size)
    below = sizes[sizes.index(above) - 1] if above != vocab_size else above
    low, high = _BYTES_A_TOKEN[below], _BYTES_A_TOKEN[above]
    part = math.log(vocab_size / below) / math.log(above / below) if above != below else 0.0
    return low + part * (high - low)


def _counted(finished: Finished, per_token: float) -> Corpus:
    """What dedup and the stages before it have counted; the tokens too, if tokenize's hold."""
    found = finished.folder
    fetch, dedup = found.metrics("crawl").get("fetch", {}), found.metrics("dedup")
    how, kept = "counted by the study's own stages", float(dedup["kept"]["text_bytes"])
    if "tokenize" in finished.unchanged:
        tokens = float(found.metrics("tokenize")["tokens"])
    else:
        how, tokens = f"{how} but for its tokens", kept / per_token
    return Corpus(
        *(how, fetch.get("pages", 0), float(fetch.get("warc_bytes", 0))),
        *(dedup["documents"], float(dedup["text_bytes"]), kept, tokens),
    )


def _ready_corpus(params: ProfileParams, per_token: float) -> tuple[str, float]:
    """Where the number comes from, and bytes of text: by Parquet's footers, of JSON sampled."""
    place = params.extract.location
    if place is None or not Path(place).is_dir():
        asked = params.tokenize
        least = params.train.tokens / (1 - asked.valid_fraction - asked.test_fraction)
        return f"as if {place}, which is not there, held just enough", least * per_token
    text = _text_of_files(Path(place), params)
    if not text:
        raise UserError(
            f"params.yaml: extract.location = {place}: no text was found where its files begin; "
            "put documents there or name the column of the text (extract.columns.text)"
        )
    return f"sampled from {place}", text


def _text_of_files(folder: Path, params: ProfileParams) -> float:
    files, _ = find_files(folder)
    parquet = [file for file in files if is_parquet(file)]
    json = [file for file in files if is_json(file) and file.stat().st_size]
    others = [file for file in files if not is_parquet(file) and not is_json(file)]
    text = sum(_text_in_parquet(file, params) for file in parquet)
    sampled = json[:: max(1, len(json) // _SAMPLED_FILES)][:_SAMPLED_FILES]
    if sampled:
        ratios = [_text_in_sample(file, params) for file in sampled]
        text += sum(file.stat().st_size for file in json) * sum(ratios) / len(ratios)
    return text + _WARC_TEXT * sum(file.stat().st_size for file in others)


def _text_in_parquet(path: Path, params: ProfileParams) -> float:
    """Bytes of the column that extract takes the text of, by the file's footer."""
    columns = columns_of(params.extract.columns)
    try:
        with pq.ParquetFile(path, coerce_int96_timestamp_unit="us") as file:
            first, *others = columns.in_schema(file.schema_arrow)
            tried = [first, *(name for name in others if name in columns.text_names)]
            sizes, empty = _column_bytes(file.metadata), _EMPTY_BYTES * file.metadata.num_rows
            return next((sizes[name] for name in tried if sizes[name] > empty), sizes[first])
    except (NoTextError, pa.ArrowException, OSError):
        next(_reader(params).read_parquet(path), None)  # says in extract's words what is wrong
        raise


def _column_bytes(footer: Any) -> Counter[str]:
    """Bytes of each column, one within another by both names with a dot between them."""
    found: Counter[str] = Counter()
    for group in map(footer.row_group, range(footer.num_row_groups)):
        for chunk in map(group.column, range(group.num_columns)):
            found[chunk.path_in_schema] += chunk.total_uncompressed_size
    return found


def _text_in_sample(path: Path, params: ProfileParams) -> float:
    """Bytes of text a byte of the file, in its first mebibytes, read as extract reads it."""
    with TemporaryDirectory(prefix="figure4-plan-") as folder:
        piece = Path(folder, path.name)
        with path.open("rb") as file:
            piece.write_bytes(file.read(_SAMPLED_BYTES))
        try:
            text = sum(len(document.text.encode()) for document in _documents(piece, params))
        except UserError as error:
            raise UserError(str(error).replace(str(piece), str(path))) from None
        return text / piece.stat().st_size


def _documents(piece: Path, params: ProfileParams) -> Iterator[Document]:
    """The documents of a file that may break off."""
    try:
        for record in _reader(params).read_json(piece):
            if isinstance(record, Document):
                yield record
    except CorruptDataError:
        return


def _reader(params: ProfileParams) -> RecordReader:
    columns = columns_of(params.extract.columns)
    return RecordReader(columns, caps_of(params), params.extract.max_record_bytes)
