"""WMT-14, English to French and French to English: newstest files, line by line in both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import zip_longest

from pipeline.eval_sets.eval_set import EvalSet, Files, Numbers, Pair
from pipeline.eval_sets.sources import Form, PublishedFile
from pipeline.shared.formats.examples import Example

_LICENCE = "WMT, research use"
_ODD = (
    "The paper does not tell how many example pairs its prompts had, nor from where; here they "
    "come from newstest2013."
)
_URL = "https://raw.githubusercontent.com/Helsinki-NLP/OPUS-MT-testsets/master"
_DIGESTS = {
    "newstest2014.fr": "2bd07dc204f965bf88e90adb6223a8cb850f9bf9840df6af1f4945195936656e",
    "newstest2014.en": "9a12cb6e8efb3509ebede627e4a9c83ee64935509d561ff70f4b7bd5f93f6096",
    "newstest2013.fr": "909b63be5df3eb8c13e1d5967bf3f0adfdb9f6ed5e638c5bffff563ee2ff7f41",
    "newstest2013.en": "ace268a1d9724ca76f6d8e5c720ffdc08f01bdce45630ed8b269dc7918e1c16e",
}


def _news_test(year: int) -> dict[str, PublishedFile]:
    """Both sides of one year's test."""
    places = {2014: "datasets/statmt/wmt_newstest/2014/fr-en", 2013: "testsets/fr-en"}
    names = {language: f"newstest{year}.{language}" for language in ("en", "fr")}
    return {
        language: PublishedFile(
            folder="wmt14_fr_en",
            forms=(Form(name, f"sha256:{_DIGESTS[name]}"),),
            url=f"{_URL}/{places[year]}/{name}",
        )
        for language, name in names.items()
    }


def _read_examples_from(language: str) -> Callable[[Files], Iterator[Example]]:
    """A reader of the test, translating out of `language`."""

    def read(files: Files) -> Iterator[Example]:
        for number, pair in enumerate(_read(files, language), start=1):
            yield Example(
                id=str(number),
                text=f"{pair.source}\n{pair.target}",
                context=pair.source,
                references=[pair.target],
            )

    return read


def _read_pairs_from(language: str) -> Callable[[Files], Iterator[Pair]]:
    """A reader of example pairs, translating out of `language`."""
    return lambda files: _read(files, language)


def _read(files: Files, language: str) -> Iterator[Pair]:
    other = "fr" if language == "en" else "en"
    lines = zip_longest(files[language].lines(), files[other].lines())
    for number, (source, target) in enumerate(lines, start=1):
        if source is None or target is None:
            short = files[language if source is None else other]
            raise short.bad_line(number, "missing: the two sides differ in length")
        yield Pair(source.text.strip(), target.text.strip())


def _declare(source: str, target: str, paper_bleu: float, baselines: Numbers) -> EvalSet:
    return EvalSet(
        name=f"wmt14_{source}_{target}",
        title=f"WMT14 {source.title()}-{target.title()}",
        scoring="translation",
        metrics=("bleu",),
        higher_is_better=True,
        together="neighbours",
        licence=_LICENCE,
        odd=_ODD,
        test=_news_test(2014),
        read_test=_read_examples_from(source),
        pairs=_news_test(2013),
        read_pairs=_read_pairs_from(source),
        paper={"bleu": {"1542M": paper_bleu}},
        baselines=baselines,
    )


WMT14_EN_FR = _declare("en", "fr", 5.0, {})
WMT14_FR_EN = _declare("fr", "en", 11.5, {"bleu": {"best unsupervised": 33.5}})
