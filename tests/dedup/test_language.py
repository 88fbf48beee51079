"""English stays, other languages go, and Python documentation is English."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest
from made_documents import english_passages

from pipeline.dedup.language import foreign_language

FRENCH = (
    "Le conseil municipal a adopté hier soir le budget de la ville pour l'année prochaine. Le "
    "maire a rappelé que les impôts locaux n'augmenteraient pas, malgré la baisse des dotations."
)
GERMAN = (
    "Der Gemeinderat hat gestern Abend den Haushalt der Stadt für das kommende Jahr beschlossen. "
    "Die Bürgermeisterin erinnerte daran, dass die Steuern trotz sinkender Zuschüsse nicht steigen."
)
SPANISH = (
    "El ayuntamiento aprobó anoche el presupuesto de la ciudad para el próximo año. La alcaldesa "
    "recordó que los impuestos locales no subirán, pese a la reducción de las ayudas del Estado."
)
RUSSIAN = (
    "Городской совет вчера вечером утвердил бюджет города на следующий год. Мэр напомнил, что "
    "местные налоги не вырастут, несмотря на сокращение помощи государства."
)
CHINESE = "市议会昨晚通过了明年的城市预算。市长提醒说,尽管国家补助减少,地方税不会增加。" * 3
NUMPY_LIKE = """Check if the array is Fortran contiguous but *not* C contiguous.

This function is obsolete. If you only want to check if an array is Fortran contiguous use
`a.flags.f_contiguous` instead.

Parameters
----------
a : ndarray
    Input array.

Returns
-------
isfortran : bool
    Returns True if the array is Fortran contiguous but *not* C contiguous.

>>> a = np.array([[1, 2, 3], [4, 5, 6]], order='C')
>>> np.isfortran(a)
False
"""


@pytest.mark.parametrize(
    ("text", "code"),
    [(FRENCH, "fr"), (GERMAN, "de"), (SPANISH, "es"), (RUSSIAN, "ru"), (CHINESE, "zh")],
)
def test_another_language_is_named(text: str, code: str) -> None:
    assert foreign_language(text) == code


def test_documentation_full_of_code_is_english() -> None:
    assert foreign_language(NUMPY_LIKE) == ""


def test_pythons_help_texts_are_english() -> None:
    passages = english_passages(300)
    assert [text for text in passages if foreign_language(text)] == []


@pytest.mark.shared_data
def test_news_in_french_and_in_english_are_told_apart(shared_data: Path) -> None:
    folder = shared_data / "eval" / "wmt14_fr_en"
    wrong = {}
    for language in ("en", "fr"):
        content = lzma.decompress((folder / f"newstest2014.{language}.xz").read_bytes())
        lines = content.decode().splitlines()
        passages = ["\n".join(lines[start : start + 8]) for start in range(0, len(lines), 8)]
        verdicts = [foreign_language(passage) for passage in passages]
        expected = "" if language == "en" else "fr"
        wrong[language] = sum(verdict != expected for verdict in verdicts) / len(passages)
    assert wrong["en"] == 0
    assert wrong["fr"] <= 0.01
