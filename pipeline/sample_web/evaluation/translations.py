"""English and French sentences in WMT's form: aligned lines in two files.

No installed documentation is translated, so these come from a small bilingual phrase book written
for this web: nouns, verbs, adjectives, days and months put together by rules that keep to French
gender and elision. They exercise the evaluation; they measure no translator.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from pipeline.sample_web.chance import generator


class Noun(NamedTuple):
    """A thing, with its French article."""

    en: str
    fr: str
    feminine: bool


class Verb(NamedTuple):
    """Third person and infinitive in English, third person in French."""

    en: str
    bare: str
    fr: str


_NOUNS = [
    Noun("the file", "le fichier", False),
    Noun("the function", "la fonction", True),
    Noun("the program", "le programme", False),
    Noun("the table", "la table", True),
    Noun("the server", "le serveur", False),
    Noun("the page", "la page", True),
    Noun("the message", "le message", False),
    Noun("the library", "la bibliothèque", True),
    Noun("the module", "le module", False),
    Noun("the machine", "la machine", True),
    Noun("the document", "le document", False),
    Noun("the letter", "la lettre", True),
    Noun("the report", "le rapport", False),
    Noun("the question", "la question", True),
    Noun("the user", "l'utilisateur", False),
    Noun("the image", "l'image", True),
    Noun("the teacher", "le professeur", False),
    Noun("the city", "la ville", True),
]
_VERBS = [
    Verb("reads", "read", "lit"),
    Verb("writes", "write", "écrit"),
    Verb("opens", "open", "ouvre"),
    Verb("closes", "close", "ferme"),
    Verb("changes", "change", "change"),
    Verb("sends", "send", "envoie"),
    Verb("receives", "receive", "reçoit"),
    Verb("checks", "check", "vérifie"),
    Verb("forgets", "forget", "oublie"),
    Verb("finds", "find", "trouve"),
]
_ADJECTIVES = [
    ("empty", "vide", "vide"),
    ("useful", "utile", "utile"),
    ("important", "important", "importante"),
    ("local", "local", "locale"),
    ("ready", "prêt", "prête"),
    ("slow", "lent", "lente"),
    ("green", "vert", "verte"),
    ("simple", "simple", "simple"),
]
_DAYS = [
    *(("Monday", "lundi"), ("Tuesday", "mardi"), ("Wednesday", "mercredi"), ("Thursday", "jeudi")),
    *(("Friday", "vendredi"), ("Saturday", "samedi"), ("Sunday", "dimanche")),
]
_MONTHS = [
    *(("January", "janvier"), ("March", "mars"), ("April", "avril"), ("May", "mai")),
    *(("June", "juin"), ("July", "juillet"), ("September", "septembre"), ("November", "novembre")),
]
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


def _plain(random: Random) -> SentencePair:
    subject, object_ = random.sample(_NOUNS, 2)
    verb = random.choice(_VERBS)
    return _sentence(f"{subject.en} {verb.en} {object_.en}", f"{subject.fr} {verb.fr} {object_.fr}")


def _negated(random: Random) -> SentencePair:
    subject, object_ = random.sample(_NOUNS, 2)
    verb = random.choice(_VERBS)
    negation = "n'" if verb.fr[0] in _VOWELS else "ne "
    return _sentence(
        f"{subject.en} does not {verb.bare} {object_.en}",
        f"{subject.fr} {negation}{verb.fr} pas {object_.fr}",
    )


def _dated(random: Random) -> SentencePair:
    (day_en, day_fr), (month_en, month_fr) = random.choice(_DAYS), random.choice(_MONTHS)
    number = random.randrange(2, 31)
    clause = _plain(random)
    return SentencePair(
        f"On {day_en}, {number} {month_en}, {_lower(clause.en)}",
        f"Le {day_fr} {number} {month_fr}, {_lower(clause.fr)}",
    )


def _described(random: Random) -> SentencePair:
    noun = random.choice(_NOUNS)
    (first, *forms), (second, *others) = random.sample(_ADJECTIVES, 2)
    return _sentence(
        f"{noun.en} is {first} but not {second}",
        f"{noun.fr} est {forms[noun.feminine]} mais pas {others[noun.feminine]}",
    )


def _because(random: Random) -> SentencePair:
    clause = _plain(random)
    noun = random.choice(_NOUNS)
    en, *fr = random.choice(_ADJECTIVES)
    return SentencePair(
        f"{clause.en[:-1]} because {noun.en} is {en}.",
        f"{clause.fr[:-1]} parce que {noun.fr} est {fr[noun.feminine]}.",
    )


def _sentence(en: str, fr: str) -> SentencePair:
    return SentencePair(f"{en[0].upper()}{en[1:]}.", f"{fr[0].upper()}{fr[1:]}.")


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


def columns(pairs: list[SentencePair]) -> Iterator[tuple[str, str]]:
    """The two files by language, a sentence a line."""
    for language in SentencePair._fields:
        yield language, "".join(f"{getattr(pair, language)}\n" for pair in pairs)
