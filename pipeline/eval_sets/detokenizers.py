"""Invertible de-tokenizers: remove the artefacts of a tokenized corpus, and put them back.

A corpus writes `do n't` and `( 1 @,@ 000 )` where people write `don't` and `(1,000)`. A
de-tokenizer is a list of steps, each with its inverse. Text does not always tell where an artefact
was, so a step is applied only where its inverse gives the original line back: `split` alone undoes
`join`, without side information, and equal results come from equal originals. A line that even
untouched does not survive `split` is kept as an edit, so that the inverse stays exact.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

Rewrite = Callable[[str], str]


class RewriteStep(NamedTuple):
    """One kind of artefact: how it is removed from a line and how it is put back."""

    join: Rewrite
    split: Rewrite


class Detokenized(NamedTuple):
    """Natural text and what its inverse needs besides."""

    text: str
    edits: dict[int, str]
    """Number of a line, from 0 -> the original line, where the rules alone cannot restore it."""


@dataclass(frozen=True)
class Detokenizer:
    """A corpus's artefacts, step by step."""

    name: str
    steps: tuple[RewriteStep, ...]
    framed: bool = False
    """Each line of the corpus begins and ends with a space."""

    def detokenize(self, text: str) -> Detokenized:
        """Natural text of a tokenized one, line by line, newlines kept."""
        lines, tail = _split_tail(text)
        results = [_detokenize_line(self, line) for line in lines]
        edits = {n: lines[n] for n, result in enumerate(results) if not result.exact}
        return Detokenized("".join(f"{result.text}\n" for result in results) + tail, edits)

    def restore(self, detokenized: Detokenized) -> str:
        """The exact original of `detokenize`."""
        natural, tail = _split_tail(detokenized.text)
        lines = [self.split_line(line) for line in natural]
        for number, original in detokenized.edits.items():
            lines[number] = original
        return "".join(f"{line}\n" for line in lines) + tail

    def join_line(self, line: str) -> str:
        """Remove every artefact of a line, whether it can be put back or not."""
        for step in self.steps:
            line = step.join(line)
        return line

    def split_line(self, line: str) -> str:
        """Put the artefacts of a line back: the inverse."""
        before = None
        while line != before:  # `said."` gives up its quote first, then its full stop
            before = line
            for step in self.steps:
                line = step.split(line)
        return self._frame(line)

    def unframe(self, line: str) -> str:
        """The line without the spaces that enclose it; a blank line is one space."""
        if not self.framed:
            return line
        return "" if line == " " else line.removeprefix(" ").removesuffix(" ")

    def _frame(self, line: str) -> str:
        if not self.framed:
            return line
        return f" {line} " if line else " "

    def join_where_invertible(self, line: str) -> str:
        """Join an unframed line, or else its halves, so that one odd place costs little."""
        joined = self.join_line(line)
        words = line.split(" ")
        if len(words) < 2 or self.split_line(joined) == self._frame(line):
            return joined
        middle = len(words) // 2
        halves = (" ".join(words[:middle]), " ".join(words[middle:]))
        return " ".join(map(self.join_where_invertible, halves))


def _split_tail(text: str) -> tuple[list[str], str]:
    """The lines that end in a newline, and what follows the last newline, which is left alone."""
    *lines, tail = text.split("\n")
    return lines, tail


class _Line(NamedTuple):
    text: str
    exact: bool
    """`split_line` alone gives the original back."""


@lru_cache(maxsize=4096)
def _detokenize_line(detokenizer: Detokenizer, line: str) -> _Line:
    bare = detokenizer.unframe(line)
    natural = detokenizer.join_line(bare)
    if detokenizer.split_line(natural) == line:
        return _Line(natural, exact=True)
    natural = detokenizer.join_where_invertible(bare)
    if detokenizer.split_line(natural) == line:
        return _Line(natural, exact=True)
    return _Line(line, detokenizer.split_line(line) == line)


def _step(join: tuple[str, str], split: tuple[str, str]) -> RewriteStep:
    """A step of one regular expression and replacement in each direction."""
    join_pattern, split_pattern = re.compile(join[0]), re.compile(split[0])
    return RewriteStep(
        lambda line: join_pattern.sub(join[1], line),
        lambda line: split_pattern.sub(split[1], line),
    )


# A full stop that belongs to its word: initials, `U.S.`, titles. Others end a sentence.
_ABBREVIATION = (
    r"(?:\b[A-Za-z]|\.[A-Za-z]|\b(?:Mr|Mrs|Ms|Dr|St|Sr|Jr|Col|Gen|Lt|Sgt|Capt|Maj|Cmdr|Adm|Rev|Prof"
    r"|Hon|Gov|Sen|Rep|Mt|Ft|Inc|Ltd|Corp|Bros|Co|vs|Nos?|Jan|Feb|Aug|Sept?|Oct|Nov|Dec))"
)
_INFIX_NUMBER = _step((r"(?<=\d) @([,.])@ (?=\d)", r"\1"), (r"(?<=\d)([,.])(?=\d)", r" @\1@ "))
_INFIX_HYPHEN = _step((r"(?<=\w) @-@ (?=\w)", "-"), (r"(?<=\w)-(?=\w)", " @-@ "))
_CLOSING = _step(
    (r"(?<=\S) ([,;:!?%)\]])(?= |$)", r"\1"), (r"(?<=[^\s,;:!?])([,;:!?%)\]])(?= |$)", r" \1")
)
_OPENING = _step((r"(^| )([(\[$£]) (?=\S)", r"\1\2"), (r"(^|[ \"'])([(\[$£])(?=\S)", r"\1\2 "))


def _join_full_stop(line: str) -> str:
    return re.sub(r"(?<=\S) \.(?= |$)", ".", line)


_WORD_STOP = re.compile(r"(?<=[^\s.])\.(?= |$)")
_ENDS_ABBREVIATED = re.compile(_ABBREVIATION + r"$")


def _split_full_stop(line: str) -> str:
    def separate(stop: re.Match[str]) -> str:
        word = line[max(0, stop.start() - 8) : stop.start()].rpartition(" ")[2]
        return "." if _ENDS_ABBREVIATED.search(word) else " ."

    line = re.sub(r"(?<=[^\s.]\.)\.(?= |$)", " .", line)  # `U.S..`: the second ends the sentence
    return _WORD_STOP.sub(separate, line)


_FULL_STOP = RewriteStep(_join_full_stop, _split_full_stop)


def _join_double_quotes(line: str) -> str:
    """Straight quotes open and close in turn: `" so "` becomes `"so"`."""
    pieces = re.split(r'(?:(?<= )|^)"(?= |$)', line)
    text = pieces[0]
    for number, piece in enumerate(pieces[1:]):
        if number % 2 == 0:
            text += '"' + piece.removeprefix(" ")
        else:
            text = text.removesuffix(" ") + '"' + piece
    return text


_DOUBLE_QUOTES = RewriteStep(
    _join_double_quotes,
    lambda line: re.sub(
        r'(?<=\S)"(?= |$)', ' "', re.sub(r'((?:^|[ (\[]))"(?=[^ ])', r'\1" ', line)
    ),
)
_CLITICS = r"(?:'(?:s|re|ve|m|ll|d|S|RE|VE|M|LL|D))"
_CLITIC = _step(
    (rf"(?<=\w) ({_CLITICS})(?=\W|$)", r"\1"), (rf"(?<=\w)({_CLITICS})(?=\W|$)", r" \1")
)
_SPLIT_NOT = _step((r"(?<=\w) ('t)(?= |$)", r"\1"), (r"(?<=\w)('t)(?=\W|$)", r" \1"))
_PTB_NOT = _step((r"(?<=\w) (n't)(?= |$)", r"\1"), (r"(?<=\w)(n't)(?=\W|$)", r" \1"))
_PLURAL_POSSESSIVE = _step((r"(?<=s) '(?= |$)", "'"), (r"(?<=s)'(?= |$)", " '"))
_DOLLARS = _step((r"(^| )\$ (?=\S)", r"\1$"), (r"(^| )\$(?=\S)", r"\1$ "))
_PER_CENT = _step((r"(?<=\S) %(?= |$)", "%"), (r"(?<=\S)%(?= |$)", " %"))
_ESCAPED_SLASH = _step((r"\\/", "/"), (r"(?<!\\)/", r"\\/"))
_SLASH = _step((r"(?<=\w) / (?=\w)", "/"), (r"(?<=\w)/(?=\w)", " / "))
_BRACKETS = _step((r"-LRB- ", "("), (r"\((?=\S)", "-LRB- "))
_BRACKETS_CLOSED = _step((r" -RRB-", ")"), (r"(?<=\S)\)", " -RRB-"))
_PTB_DOUBLE_OPEN = _step((r"(^| )`` (?=\S)", r'\1"'), (r'(^| |\()"(?=[^ "])', r"\1`` "))
_PTB_DOUBLE_CLOSED = _step((r"(?<=\S) ''(?= |$)", '"'), (r'(?<=[^ "])"(?= |$)', " ''"))
_PTB_SINGLE_OPEN = _step(
    (r"(^| )` (?=\S)", r"\1'"),
    (r"(^| )'(?=[^ '])(?!(?:s|re|ve|m|ll|d|S|M|t|T|em|tis|twas|cause)\b)", r"\1` "),
)
_PTB_SINGLE_CLOSED = _step((r"(?<=[^\s`]) '(?= |$)", "'"), (r"(?<=[^\s'`])'(?= |$)", " '"))

WIKITEXT = Detokenizer(
    "wikitext",
    (
        _INFIX_NUMBER,
        _INFIX_HYPHEN,
        _SLASH,
        _CLITIC,
        _SPLIT_NOT,
        _PLURAL_POSSESSIVE,
        _OPENING,
        _CLOSING,
        _FULL_STOP,
        _DOUBLE_QUOTES,
    ),
    framed=True,
)
PENN_TREEBANK = Detokenizer(
    "penn_treebank",
    (_PTB_NOT, _CLITIC, _PLURAL_POSSESSIVE, _DOLLARS, _PER_CENT, _ESCAPED_SLASH),
    framed=True,
)
ONE_BILLION_WORD = Detokenizer(
    "one_billion_word",
    (_CLITIC, _SPLIT_NOT, _PLURAL_POSSESSIVE, _OPENING, _CLOSING, _FULL_STOP, _DOUBLE_QUOTES),
)
CHILDRENS_BOOKS = Detokenizer(
    "childrens_books",
    (
        _PTB_NOT,
        _CLITIC,
        _BRACKETS,
        _BRACKETS_CLOSED,
        _CLOSING,
        _FULL_STOP,
        _PTB_DOUBLE_OPEN,
        _PTB_DOUBLE_CLOSED,
        _PTB_SINGLE_OPEN,
        _PTB_SINGLE_CLOSED,
    ),
)
