"""How short answers are compared: the official normalisation of SQuAD and CoQA, and of NQ-open."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(answer: str) -> str:
    """Lower case, no ASCII punctuation, no articles, single spaces.

    >>> normalise(" The  Tiber, (of Rome)!")
    'tiber of rome'
    """
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, references: Sequence[str]) -> int:
    """1 if the normalised answer equals any normalised reference, else 0; higher is better.

    As NQ-open's own script has it, letters are taken apart from their accents first (NFD), so that
    an answer and a reference that are written in two forms of Unicode agree. Aggregated as the mean
    over questions: the paper's 4.1 % on Natural Questions.
    """
    answer, *wanted = (
        normalise(unicodedata.normalize("NFD", text)) for text in (answer, *references)
    )
    return int(answer in wanted)


def f1(answer: str, reference: str) -> float:
    """2PR / (P + R) over the words two normalised answers share, counted with repetition.

    Two empty answers agree (1); an empty one and another do not (0).
    """
    words, wanted = normalise(answer).split(), normalise(reference).split()
    if not words or not wanted:
        return float(words == wanted)
    shared = sum((Counter(words) & Counter(wanted)).values())
    return 2 * shared / (len(words) + len(wanted))


def conversation_f1(answer: str, references: Sequence[str]) -> float:
    """CoQA's F1 of one question, between 0 and 1; higher is better.

    Each reference in turn is left out, the best F1 with the remaining ones is taken, and these
    are averaged: so a human's answer, which is one of the references, is treated alike.
    Aggregated as the mean over questions: the paper's 55 F1.
    """
    if len(references) == 1:
        return f1(answer, references[0])
    scores = [f1(answer, reference) for reference in references]
    others = [max(scores[:n] + scores[n + 1 :]) for n in range(len(scores))]
    return sum(others) / len(others)
