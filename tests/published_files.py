"""Small files in the published formats, for tests of reading and of whole stages."""

from __future__ import annotations

import json
from pathlib import Path

from made_documents import english_passages

PASSAGES = english_passages(60, words=40)
WIKITEXT = """ 
 = First Thing = 
 
 The first thing cost $ 1 @,@ 000 , the " well @-@ known " price . It didn 't rise ( yet ) . 
 
 = = A part = = 
 
 Its <unk> is 2 @.@ 5 . 
 
 = Second Thing = 
 
 The second 's end . 
"""
PTB = """ no it was n't black monday 
 the n.y. stock exchange 's big board fell N N on $ N billion 
 traders <unk> the investors ' fears 
"""
ONE_BILLION_WORD = """They said it would be " fine , " but Mr. Smith 's dog did not agree .
Prices ( in dollars ) rose 3 % on Monday .
"""
WINOGRAD = """The trophy doesn't fit into the brown suitcase because  [MASK]  is too large. 
[MASK]
the trophy ,the suitcase 
the trophy 

The city councilmen refused the demonstrators a permit because [MASK]  advocated violence. 
[MASK]
The demonstrators ,The city councilmen 
The demonstrators 

"""


def write_published_files(root: Path) -> Path:
    """One small file of every set, as its publisher names and writes it."""
    files: dict[str, str] = {
        "lambada/lambada_test.jsonl": _json_lines([{"text": passage} for passage in PASSAGES[:8]]),
        "cbt/cbtest_CN_valid_2000ex.txt": _cloze_questions(3),
        "cbt/cbtest_NE_valid_2000ex.txt": _cloze_questions(2),
        "wikitext2/wiki.test.tokens": WIKITEXT,
        "wikitext2/wiki.train.tokens": WIKITEXT.replace("Thing", "Train"),
        "wikitext103/wiki.test.tokens": WIKITEXT,
        "ptb/ptb.test.txt": PTB,
        "1bw/news.en.heldout-00000-of-00050": ONE_BILLION_WORD,
        "1bw/news.en-00001-of-00100": ONE_BILLION_WORD,
        "enwik8/enwik8": "\n".join(PASSAGES) * 4,
        "text8/text8": " ".join(PASSAGES).lower() * 4,
        "wsc273/wsc273.txt": WINOGRAD,
        "coqa/coqa-dev-v1.0.json": json.dumps({"version": "1.0", "data": [_story()]}),
        "cnndm/cnn_dailymail_test.jsonl": _json_lines([
            {"id": str(n), "article": f"{text}. {PASSAGES[n + 9]}. {text}.", "highlights": text}
            for n, text in enumerate(PASSAGES[:4])
        ]),
        "nq_open/NQ-open.dev.jsonl": _json_lines([
            {"question": f"who is number {n}", "answer": [f"person {n}", "somebody"]}
            for n in range(24)
        ]),
    }
    for year in (2013, 2014):
        for language in ("en", "fr"):
            lines = "".join(f"{language} sentence {n} of {year}.\n" for n in range(20))
            files[f"wmt14_fr_en/newstest{year}.{language}"] = lines
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8", newline="")
    return root


def _json_lines(records: list[dict[str, object]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def _cloze_questions(count: int) -> str:
    text = ""
    choices = ["king", "horse", "tree", "river", "house", "night", "stone", "bread", "door", "road"]
    for question in range(count):
        for number in range(1, 21):
            speaker = choices[number % 10]
            text += f"{number} `` Sentence {number} of {question} , '' said the {speaker} .\n"
        answer = choices[question]
        text += f"21 Then the XXXXX did n't stop .\t{answer}\t\t{'|'.join(choices)}\n\n"
    return text


def _story() -> dict[str, object]:
    questions = ["Who came?", "When?", "And then?"]
    answers = ["a dog", "at night", "it left"]
    return {
        "id": "story1",
        "source": "mctest",
        "story": PASSAGES[20],
        "questions": [{"turn_id": n + 1, "input_text": q} for n, q in enumerate(questions)],
        "answers": [{"turn_id": n + 1, "input_text": a} for n, a in enumerate(answers)],
        "additional_answers": {
            "0": [{"turn_id": n + 1, "input_text": f"the {a}"} for n, a in enumerate(answers)]
        },
    }
