"""The Children's Book Test's question files, which CBT-CN and CBT-NE share."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.eval_sets.eval_set import Files
from pipeline.eval_sets.sources import Form, PublishedFile, SourceFile
from pipeline.shared.formats.examples import Example

BLANK = "XXXXX"
LICENCE = "GFDL 1.2 or later"
ODD = (
    "The validation questions, since a book of the test questions is in WebText. The files are "
    "tokenized; a PTB-style de-tokenizer is applied, as in the paper."
)
HUMANS = {"humans (Hill et al. 2016)": 0.816}
"""With the twenty sentences before them, on a tenth of the test questions, nouns and names alike.

The paper draws human lines by Bajgar et al. (2016) and prints no number for them.
"""
_URL = "http://www.thespermwhale.com/jaseweston/babi/CBTest.tgz"
_ARCHIVE = "sha256:932df0cadc1337b2a12b4c696b1041c1d1c6d4b6bd319874c6288f02e4a61e92"
_NUMBERED = re.compile(r"(\d+) (.*)", re.DOTALL)


def questions_file(kind: str, blob_id: str) -> PublishedFile:
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


def read_questions(files: Files) -> Iterator[Example]:
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
