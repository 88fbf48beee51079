"""Winograd Schema Challenge: to which of two nouns a pronoun refers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.eval_sets.eval_set import EvalSet, Files
from pipeline.eval_sets.sources import Form, Line, PublishedFile, SourceFile
from pipeline.examples import Example

_MASK = "[MASK]"
_LOWERED = re.compile(
    r"(?:The|A|An|My|His|Her|Its|Our|Their|This|That|These|Those|Some|Both|It|He|She|They)\b"
)


def _read(files: Files) -> Iterator[Example]:
    """Blocks of sentence, mask, two candidates, answer; a blank line ends each."""
    file = files["test"]
    block: list[Line] = []
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


def _schema(file: SourceFile, number: int, block: list[Line]) -> Example:
    if len(block) != 4 or block[0].text.count(_MASK) != 1:
        raise file.bad_line(block[0].number, "expected a sentence with one [MASK] and three lines")
    before, after = (_tidy(part) for part in block[0].text.split(_MASK))
    candidates = [_tidy(candidate) for candidate in block[2].text.split(",")]
    answer = _tidy(block[3].text)
    if len(candidates) != 2 or answer not in candidates:
        raise file.bad_line(block[2].number, "expected two candidates, the answer among them")
    choices = [_cased(candidate, starts=not before) for candidate in candidates]
    right = candidates.index(answer)
    # Only a possessive, `'s`, or a comma touches the word before it.
    gap = "" if not after or after[0] in ",.;:!?'" else " "
    return Example(
        id=str(number),
        text=f"{before} {choices[right]}{gap}{after}".strip(),
        context=f"{before} " if before else "",
        target=f"{gap}{after}",
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
                    "wsc273.txt",
                    "sha256:43103428d77df28b1bb37156eaf3c43a954a02b5dc7ff72453f5c54abf394bad",
                ),
            ),
            url="https://raw.githubusercontent.com/vid-koci/bert-commonsense/master/data/wsc273.txt",
        )
    },
    read_test=_read,
    paper={"accuracy_partial": {"1542M": 0.7070}},
    baselines={"accuracy_partial": {"state of the art": 0.637}},
)
