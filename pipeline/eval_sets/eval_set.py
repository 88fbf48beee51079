"""What an evaluation set is: where it comes from, how it is asked and scored, what GPT-2 got."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from pipeline.eval_sets.detokenizers import Detokenizer
from pipeline.eval_sets.sources import PublishedFile, SourceFile
from pipeline.shared.formats.examples import Example

Scoring = Literal[
    "running_text",
    "documents",
    "last_word",
    "cloze",
    "pronoun",
    "conversation",
    "summary",
    "translation",
    "question",
]
"""How a set is scored; each word is a module of `pipeline.evaluate` that says what it does."""
Unit = Literal["word", "byte", "character", "token"]
Together = Literal["each", "stories", "passages", "twins", "neighbours"]
"""Which examples hang together, as `pipeline.evaluate.clusters` tells them apart."""
Files = Mapping[str, SourceFile]
"""The files at hand, under the names that the set's declaration gives them."""
Numbers = Mapping[str, Mapping[str, float]]
"""Metric -> label of a size, or name of a baseline -> number."""
PAPER_LABELS = ("117M", "345M", "762M", "1542M")
OPENAI_AGAIN = "OpenAI's own second run, told by C. Leahy, 2019-06-13"


class Pair(NamedTuple):
    """A worked example for the prompt: question and answer, or sentence and translation."""

    source: str
    target: str


NUM_PAIRS = 16
"""Most example pairs that are kept of a set; evaluate takes the first of them, and refuses to be
asked for more."""


class Reproduction(NamedTuple):
    """What somebody else measured on GPT-2's released weights, and said in public."""

    metric: str
    """The metric of ours that it is nearest to."""
    label: str
    value: float
    source: str
    """Who and where, and how it was measured where that differs."""


@dataclass(frozen=True, kw_only=True)
class EvalSet:
    """One evaluation set, as declared in its own file."""

    name: str
    title: str
    """As the paper's tables print it."""
    scoring: Scoring
    metrics: tuple[str, ...]
    """Names of the reported metrics, the main one first."""
    higher_is_better: bool
    licence: str
    odd: str
    """What a reader of its numbers must know."""
    unit: Unit | None = None
    """The canonical unit of a perplexity."""
    test: Mapping[str, PublishedFile] = field(default_factory=dict)
    """Empty for the study's own splits, which come from the token shards."""
    read_test: Callable[[Files], Iterator[Example]] | None = None
    train: Mapping[str, PublishedFile] = field(default_factory=dict)
    """The set's own training text (Table 6); read with whichever of its files are at hand."""
    read_train: Callable[[Files], Iterator[Example]] | None = None
    pairs: Mapping[str, PublishedFile] = field(default_factory=dict)
    read_pairs: Callable[[Files], Iterator[Pair]] | None = None
    """Worked examples for prompts, from other files than `test`."""
    pairs_from_test: bool = False
    """Worked examples are set aside from the test examples, which lose them."""
    together: Together = "each"
    """Examples that hang together are drawn together for an interval."""
    detokenizer: Detokenizer | None = None
    paper: Numbers = field(default_factory=dict)
    """What GPT-2 got: metric -> label of the size -> number."""
    reproductions: tuple[Reproduction, ...] = ()
    baselines: Numbers = field(default_factory=dict)
    """What the paper sets beside it: metric -> system -> number."""


def by_size(*numbers: float) -> dict[str, float]:
    """The paper's numbers of the four sizes, smallest first, by label."""
    return dict(zip(PAPER_LABELS, numbers, strict=True))
