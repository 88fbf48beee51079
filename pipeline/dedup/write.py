"""Shards of kept and of removed documents, one of each per input shard."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.dedup.reasons import EVAL_OVERLAP
from pipeline.documents import Document, Removed, Shard, read_verified_shard, write_shard
from pipeline.files import read_json, write_json
from pipeline.words import split_words

_SHOWN_WORDS = 60


class ShardVerdicts(NamedTuple):
    """What is to become of one shard."""

    shard: Shard
    reasons: list[str]
    """Per document; "" keeps it."""
    matched: list[str]
    eval_matches: list[dict[str, Any]]
    """Per condemning example: row of the document, set, example, num_matches, start, end."""


@dataclass(frozen=True, kw_only=True)
class WriteShards:
    """Writes a shard's kept and removed documents; a callable for `map_shards`."""

    kept: Path
    removed: Path
    done: Path
    """Folder of the notes that say which shards are written."""

    def __call__(self, verdicts: ShardVerdicts) -> dict[str, Any]:
        """Returns the manifest entries of both shards, and the matches with their texts."""
        shard, note = verdicts.shard, self.done / f"{verdicts.shard.path.stem}.json"
        if note.is_file():  # written last by an earlier attempt
            return dict(read_json(note))
        documents = list(read_verified_shard(shard))
        matches = [_show(match, documents) for match in verdicts.eval_matches]
        passages: dict[int, str] = {}
        for match in matches:  # the strongest of a document comes first
            passage = f"{match['set']}/{match['example']}: {match['text']}"
            passages.setdefault(match["row"], passage)
        matched = [
            passages[row] if reason == EVAL_OVERLAP else what
            for row, (reason, what) in enumerate(
                zip(verdicts.reasons, verdicts.matched, strict=True)
            )
        ]
        rows = list(zip(documents, verdicts.reasons, matched, strict=True))
        kept = [document for document, reason, _ in rows if not reason]
        removed: list[Document] = [
            Removed(**asdict(document), reason=reason, matched=what)
            for document, reason, what in rows
            if reason
        ]
        result = {
            "kept": write_shard(self.kept / shard.path.name, kept),
            "removed": write_shard(self.removed / shard.path.name, removed, kind=Removed),
            "eval_matches": matches,
        }
        write_json(note, result)
        return result


def _show(match: dict[str, Any], documents: list[Document]) -> dict[str, Any]:
    document = documents[match["row"]]
    words = split_words(document.text)[match["start"] : match["end"]]
    dots = " ..." if len(words) > _SHOWN_WORDS else ""
    return match | {"document": document.id, "text": " ".join(words[:_SHOWN_WORDS]) + dots}
