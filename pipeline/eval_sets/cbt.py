"""Children's Book Test, common nouns and named entities: which of ten words fills the blank."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.eval_sets.detokenizers import CHILDRENS_BOOKS
from pipeline.eval_sets.eval_set import EvalSet, Files, Reproduction, by_size
from pipeline.eval_sets.sources import Form, PublishedFile, SourceFile
from pipeline.shared.formats.examples import Example

BLANK = "XXXXX"
_LICENCE = "GFDL 1.2 or later"
_ODD = (
    "The validation questions, since a book of the test questions is in WebText. The files are "
    "tokenized; a PTB-style de-tokenizer is applied, as in the paper."
)
_HUMANS = {"humans (Hill et al. 2016)": 0.816}
"""With the twenty sentences before them, on a tenth of the test questions, nouns and names alike.

The paper draws human lines by Bajgar et al. (2016) and prints no number for them.
"""
_URL = "http://www.thespermwhale.com/jaseweston/babi/CBTest.tgz"
_ARCHIVE = "sha256:932df0cadc1337b2a12b4c696b1041c1d1c6d4b6bd319874c6288f02e4a61e92"
_NUMBERED = re.compile(r"(\d+) (.*)", re.DOTALL)


def _questions_file(kind: str, blob_id: str) -> PublishedFile:
    """The validation questions of `kind` CN or NE."""
    name = f"cbtest_{kind}_valid_2000ex.txt"
    forms = (Form(name, f"git:{blob_id}"),)
    return PublishedFile(
        folder="cbt",
        forms=forms,
        url=_URL,
        member=f"CBTest/data/{name}",
        archive_digest=_ARCHIVE,
    )


def _read_questions(files: Files) -> Iterator[Example]:
    """Twenty numbered sentences, then the question with its answer and ten choices.

    `context` holds the sentences, `target` the question with its blank `XXXXX`.
    """
    file = files["valid"]
    sentences: list[str] = []
    number = 0
    for line_number, line in file.lines():
        if not line.strip():
            continue
        numbered = _NUMBERED.fullmatch(line)
        if numbered is None or int(numbered[1]) != len(sentences) + 1:
            raise file.bad_line(
                line_number, f"expected sentence {len(sentences) + 1} of a question"
            )
        if "\t" not in line:
            sentences.append(numbered[2].strip())
            continue
        number += 1
        yield _question(file, line_number, number, sentences, numbered[2])
        sentences = []
    if sentences:
        raise file.bad_line(line_number, "the file ends within a question")


def _question(
    file: SourceFile, line_number: int, number: int, sentences: list[str], line: str
) -> Example:
    fields = line.split("\t")
    choices = fields[3].strip().split("|") if len(fields) == 4 else []
    query, answer = fields[0].strip(), fields[1].strip()
    if query.count(BLANK) < 1 or answer not in choices:
        raise file.bad_line(line_number, f"no question with {BLANK}, answer and choices")
    context = "\n".join(sentences)
    return Example(
        id=str(number),
        text=f"{context}\n{query.replace(BLANK, answer)}",
        context=context,
        target=query,
        choices=choices,
        answer=choices.index(answer),
    )


def _declare(
    kind: str, blob_id: str, paper: dict[str, float], reproduced: float, best: float
) -> EvalSet:
    return EvalSet(
        name=f"cbt_{kind.lower()}",
        title=f"CBT-{kind}",
        scoring="cloze",
        metrics=("accuracy",),
        higher_is_better=True,
        together="passages",
        licence=_LICENCE,
        odd=_ODD,
        test={"valid": _questions_file(kind, blob_id)},
        read_test=_read_questions,
        detokenizer=CHILDRENS_BOOKS,
        paper={"accuracy": paper},
        reproductions=(Reproduction("accuracy", "117M", reproduced, "transformers#13761"),),
        baselines={"accuracy": {"state of the art": best, **_HUMANS}},
    )


CBT_CN = _declare(
    "CN",
    "dbe54c05644234ca1fe988238a535c13eb440d91",
    by_size(0.8765, 0.9235, 0.9345, 0.9330),
    reproduced=0.8435,
    best=0.857,
)
CBT_NE = _declare(
    "NE",
    "7f702d10bfb15937da7c6423f8ce0a1231447f17",
    by_size(0.834, 0.871, 0.880, 0.8905),
    reproduced=0.7365,
    best=0.823,
)
