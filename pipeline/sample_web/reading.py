"""From installed files to sections of blocks: what one worker does with some files."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.sample_web.docstrings import Entry, has_documentation, read_entries, read_topics
from pipeline.sample_web.garbage import seldom_collected
from pipeline.sample_web.prose import TextBlock, read_blocks
from pipeline.sample_web.sources import PackageSource


class DocSection(NamedTuple):
    """The documentation of one thing."""

    owner: str
    """The class it belongs to, or ""."""
    name: str
    blocks: list[TextBlock]

    @property
    def prose(self) -> list[TextBlock]:
        """Its blocks that are neither heading nor code."""
        return [block for block in self.blocks if block.is_text]

    @property
    def num_words(self) -> int:
        """Words of prose."""
        return sum(len(block.text.split()) for block in self.prose)


@dataclass
class DocReading:
    """What was read from some files, and what was left out with its reason."""

    modules: list[tuple[PackageSource, list[DocSection]]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


@seldom_collected()
def read_sources(sources: list[PackageSource]) -> DocReading:
    """The documentation of some files, block by block."""
    reading = DocReading()
    for source in sources:
        sections = [
            DocSection(entry.owner, entry.name, blocks)
            for entry in _read_file(source, reading.left_out)
            if (blocks := read_blocks(entry.text, reading.left_out))
        ]
        if sections:
            reading.modules.append((source, sections))
    return reading


def _read_file(source: PackageSource, left_out: Counter[str]) -> list[Entry]:
    content = source.path.read_bytes()
    if source.path.name == "METADATA":
        text = content.decode(errors="replace").partition("\n\n")[2]
        return [Entry("", source.package, text)]
    if source.module == "pydoc_data.topics":
        return read_topics(content)
    if not has_documentation(content):
        left_out["file_without_documentation"] += 1
        return []
    try:
        return read_entries(content)
    except (SyntaxError, ValueError):  # ValueError: a null byte
        left_out["file_unparsable"] += 1
        return []
