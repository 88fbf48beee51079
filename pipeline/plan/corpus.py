"""How much text a study will have: counted by its stages, sampled from its files, or reckoned."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pyarrow.parquet as pq

from pipeline.extract.columns import columns_of
from pipeline.extract.corpus_files import find_files, is_json, is_parquet
from pipeline.extract.corpus_records import RecordReader
from pipeline.extract.judge import caps_of
from pipeline.shared.errors import CorruptDataError
from pipeline.shared.formats.documents import Document
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.study.folder import StudyFolder

# A compressed file that is cut off loses what its reader held, up to a mebibyte of text.
_SAMPLED_FILES, _SAMPLED_BYTES = 2, 2**23
_WARC_TEXT = 0.14  # bytes of text a byte of compressed WARC: 3.5 of 25 kB a page
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


def find_corpus(params: ProfileParams, study: Path | None = None) -> Corpus:
    """The corpus of a study, from the stages that have run in `study`, from files, or reckoned.

    Raises:
        UserError: the folder of a ready corpus holds none.
    """
    if study is not None and (counted := _counted(study)) is not None:
        return counted
    per_token = bytes_per_token(params.tokenize.vocab_size)
    if params.extract.source == "corpus":
        how, text = _ready_corpus(params, per_token)
        documents = text / _DOCUMENT_BYTES
        return Corpus(how, 0, 0.0, documents, text, text, text / per_token)
    if params.links.source == "sample_web":
        sample = params.sample_web
        fill = sample.max_text_bytes / 12e6 * _SAMPLE_PAGES
        pages = int(min(sample.max_pages, fill)) * 8 // 9
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


def _counted(study: Path) -> Corpus | None:
    """What tokenize and the stages before it have counted, where they are done."""
    found = StudyFolder(study)
    if not all(found.is_done(stage) for stage in ("dedup", "tokenize")):
        return None
    dedup, tokenized = found.metrics("dedup"), found.metrics("tokenize")
    fetch = found.metrics("crawl").get("fetch", {}) if found.is_done("crawl") else {}
    return Corpus(
        "counted by the study's own stages",
        fetch.get("pages", 0),
        float(fetch.get("warc_bytes", 0)),
        dedup["documents"],
        float(dedup["text_bytes"]),
        float(dedup["kept"]["text_bytes"]),
        tokenized["tokens"],
    )


def _ready_corpus(params: ProfileParams, per_token: float) -> tuple[str, float]:
    """Where the number comes from, and bytes of text: by Parquet's footers, of JSON sampled."""
    place = params.extract.location
    if place is None or not Path(place).is_dir():
        asked = params.tokenize
        least = params.train.tokens / (1 - asked.valid_fraction - asked.test_fraction)
        return f"as if {place}, which is not there, held just enough", least * per_token
    return f"sampled from {place}", _text_of_files(Path(place), params)


def _text_of_files(folder: Path, params: ProfileParams) -> float:
    files, _ = find_files(folder)
    parquet = [file for file in files if is_parquet(file)]
    json = [file for file in files if is_json(file)]
    others = [file for file in files if file not in {*parquet, *json}]
    text = sum(_text_in_parquet(file, params) for file in parquet)
    sampled = json[:: max(1, len(json) // _SAMPLED_FILES)][:_SAMPLED_FILES]
    if sampled:
        ratios = [_text_in_sample(file, params) for file in sampled]
        text += sum(file.stat().st_size for file in json) * sum(ratios) / len(ratios)
    return text + _WARC_TEXT * sum(file.stat().st_size for file in others)


def _text_in_parquet(path: Path, params: ProfileParams) -> float:
    with pq.ParquetFile(path, coerce_int96_timestamp_unit="us") as file:
        names = columns_of(params.extract.columns).text_names
        name = next((n for n in names if n in file.schema_arrow.names), "")
        meta = file.metadata
        groups = (meta.row_group(number) for number in range(meta.num_row_groups))
        chunks = (group.column(n) for group in groups for n in range(group.num_columns))
        found = (c.total_uncompressed_size for c in chunks if c.path_in_schema == name)
        return float(sum(found))


def _text_in_sample(path: Path, params: ProfileParams) -> float:
    """Bytes of text a byte of the file, in its first mebibytes, read as extract reads it."""
    with TemporaryDirectory(prefix="figure4-plan-") as folder:
        piece = Path(folder, path.name)
        with path.open("rb") as file:
            piece.write_bytes(file.read(_SAMPLED_BYTES))
        text = sum(len(document.text.encode()) for document in _documents(piece, params))
        return text / piece.stat().st_size


def _documents(piece: Path, params: ProfileParams) -> Iterator[Document]:
    """The documents of a file that may break off."""
    reader = RecordReader(
        columns_of(params.extract.columns),
        caps_of(params),
        params.extract.max_record_bytes,
    )
    try:
        for record in reader.read_json(piece):
            if isinstance(record, Document):
                yield record
    except CorruptDataError:
        return
