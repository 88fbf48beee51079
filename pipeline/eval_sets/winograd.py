"""Winograd Schema Challenge: to which of two nouns a pronoun refers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile

from pipeline.eval_sets.eval_set import EvalSet, Files
from pipeline.eval_sets.sources import Form, PublishedFile, SourceFile, TextLine
from pipeline.shared.formats.examples import Example

_MASK = "[MASK]"
_LOWERED = re.compile(
    r"(?:The|A|An|My|His|Her|Its|Our|Their|This|That|These|Those|Some|Both|It|He|She|They)\b"
)


def _read(files: Files) -> Iterator[Example]:
    file = files["test"]
    return _read_blocks(file) if file.path.name.startswith("wsc273") else _read_options(file)


def _read_options(file: SourceFile) -> Iterator[Example]:
    """Two beginnings that end in a noun each, and the continuation they share."""
    for number, record in file.records("context_options", "continuation", "gold"):
        options, right = record["context_options"], record["gold"]
        if not isinstance(options, list) or len(options) != 2 or right not in {0, 1}:
            raise file.bad_line(number, "expected two context_options and which is gold")
        letters = zip(*options, strict=False)
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], letters))
        context = options[0][: options[0].rfind(" ", 0, shared) + 1]
        choices = [option.removeprefix(context) for option in options]
        yield _example(number, context, choices, right, str(record["continuation"]))


def _read_blocks(file: SourceFile) -> Iterator[Example]:
    """Blocks of sentence, mask, two candidates, answer; a blank line ends each."""
    block: list[TextLine] = []
    number = 0
    for line in file.lines():
        if line.text.strip():
            block.append(line)
        elif block:
            number += 1
            yield _schema(file, number, block)
            block = []
    if block:
        yield _schema(file, number + 1, block)


def _schema(file: SourceFile, number: int, block: list[TextLine]) -> Example:
    if len(block) != 4 or block[0].text.count(_MASK) != 1:
        raise file.bad_line(block[0].number, "expected a sentence with one [MASK] and three lines")
    before, after = (_tidy(part) for part in block[0].text.split(_MASK))
    candidates = [_tidy(candidate) for candidate in block[2].text.split(",")]
    answer = _tidy(block[3].text)
    if len(candidates) != 2 or answer not in candidates:
        raise file.bad_line(block[2].number, "expected two candidates, the answer among them")
    candidates.sort()  # the file lists the right one first
    starts = not before or before[-1] in ".!?"
    choices = [_cased(candidate, starts=starts) for candidate in candidates]
    right = candidates.index(answer)
    return _example(number, f"{before} " if before else "", choices, right, after)


def _example(number: int, context: str, choices: list[str], right: int, after: str) -> Example:
    target = after if not after or after[0] in ",.;:!?'" else f" {after}"
    return Example(
        id=str(number),
        text=f"{context}{choices[right]}{target}",
        context=context,
        target=target,
        choices=choices,
        answer=right,
    )


def _tidy(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _cased(candidate: str, *, starts: bool) -> str:
    """The candidate as it stands in the middle of a sentence, or at its start."""
    if starts:
        return candidate[:1].upper() + candidate[1:]
    if _LOWERED.match(candidate):
        return candidate[0].lower() + candidate[1:]
    return candidate


WINOGRAD = EvalSet(
    name="winograd",
    title="Winograd",
    scoring="pronoun",
    metrics=("accuracy_partial", "accuracy_full"),
    higher_is_better=True,
    together="twins",
    licence="CC BY 4.0 (Davis et al.)",
    odd=(
        "273 schemata, scored as Trinh and Le do: the probability of the whole sentence (full), "
        "or of what follows the noun (partial). The paper prints only 1542M's best, 70.70 %."
    ),
    test={
        "test": PublishedFile(
            folder="wsc273",
            forms=(
                Form(
                    "winograd_wsc_partial.jsonl",
                    "sha256:746336c27cd2e39a554cb1b8b4869d0f1ae2577ac5bfe799842d26bca5a5bf5e",
                ),
                Form(
                    "wsc273.txt",
                    "sha256:43103428d77df28b1bb37156eaf3c43a954a02b5dc7ff72453f5c54abf394bad",
                    "the 's of a possessive is lost in 26 sentences",
                ),
            ),
            url="https://raw.githubusercontent.com/mosaicml/llm-foundry/main/scripts/eval/"
            "local_data/language_understanding/winograd_wsc.jsonl",
        )
    },
    read_test=_read,
    paper={"accuracy_partial": {"1542M": 0.7070}},
    baselines={"accuracy_partial": {"state of the art": 0.637}},
)
