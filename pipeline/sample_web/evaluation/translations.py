"""English and French sentences in WMT's form: aligned lines in two files.

No installed documentation is translated, so these come from a small bilingual phrase book written
for this web, put together by rules that keep to French gender and elision. They exercise the
evaluation; they measure no translator.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from pipeline.sample_web.chance import generator
from pipeline.sample_web.material import read_data

_VOWELS = "aeiouéèêh"


class SentencePair(NamedTuple):
    """A sentence in both languages."""

    en: str
    fr: str


def sentence_pairs(count: int, seed: int, name: str) -> list[SentencePair]:
    """`count` different pairs."""
    random = generator(seed, "translations", name)
    pairs: dict[str, SentencePair] = {}
    while len(pairs) < count:
        pair = random.choice((_plain, _negated, _dated, _described, _because))(random)
        pairs.setdefault(pair.en, pair)
    return list(pairs.values())


def _book(part: str) -> list[Any]:
    found: list[Any] = read_data("phrases")[part]
    return found


def _two_nouns_and_a_verb(random: Random) -> tuple[dict[str, str], ...]:
    subject, object_ = random.sample(_book("nouns"), 2)
    return subject, object_, random.choice(_book("verbs"))


def _plain(random: Random) -> SentencePair:
    subject, object_, verb = _two_nouns_and_a_verb(random)
    en, fr = (f"{subject[of]} {verb[of]} {object_[of]}" for of in SentencePair._fields)
    return _sentence(en, fr)


def _negated(random: Random) -> SentencePair:
    subject, object_, verb = _two_nouns_and_a_verb(random)
    negation = "n'" if verb["fr"][0] in _VOWELS else "ne "
    return _sentence(
        f"{subject['en']} does not {verb['bare']} {object_['en']}",
        f"{subject['fr']} {negation}{verb['fr']} pas {object_['fr']}",
    )


def _dated(random: Random) -> SentencePair:
    (day, jour), (month, mois) = random.choice(_book("days")), random.choice(_book("months"))
    number = random.randrange(2, 31)
    clause = _plain(random)
    return SentencePair(
        f"On {day}, {number} {month}, {_lower(clause.en)}",
        f"Le {jour} {number} {mois}, {_lower(clause.fr)}",
    )


def _described(random: Random) -> SentencePair:
    noun = random.choice(_book("nouns"))
    (first, *forms), (second, *others) = random.sample(_book("adjectives"), 2)
    form = noun.get("feminine", False)
    return _sentence(
        f"{noun['en']} is {first} but not {second}",
        f"{noun['fr']} est {forms[form]} mais pas {others[form]}",
    )


def _because(random: Random) -> SentencePair:
    clause = _plain(random)
    noun = random.choice(_book("nouns"))
    adjective, *forms = random.choice(_book("adjectives"))
    return SentencePair(
        f"{clause.en[:-1]} because {noun['en']} is {adjective}.",
        f"{clause.fr[:-1]} parce que {noun['fr']} est {forms[noun.get('feminine', False)]}.",
    )


def _sentence(en: str, fr: str) -> SentencePair:
    return SentencePair(f"{en[0].upper()}{en[1:]}.", f"{fr[0].upper()}{fr[1:]}.")


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


def columns(pairs: list[SentencePair]) -> Iterator[tuple[str, str]]:
    """The two files by language, a sentence a line."""
    for language in SentencePair._fields:
        yield language, "".join(f"{getattr(pair, language)}\n" for pair in pairs)
