"""WMT-14: greedy translation after example pairs `source = target`; BLEU by sacrebleu."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.evaluate.continuation import (
    choose,
    continue_prompts,
    count_answers,
    first_line,
    make_prompt,
    sentences,
)
from pipeline.evaluate.outcome import CannotRun, Outcome, Task
from pipeline.evaluate.session import Session
from pipeline.shared.scores.bootstrap import Floats

_ORDERS = 4  # BLEU counts n-grams of one to four words


def evaluate(session: Session, task: Task) -> Outcome:
    """Corpus BLEU of the first generated sentences."""
    metric = _sacrebleu()
    examples = choose(session, task.examples)
    pairs = task.pairs[: session.params.few_shot_pairs]
    shots = "".join(f"{source} = {target}\n" for source, target in pairs)
    new_tokens = session.params.translation_tokens
    prompts = [
        make_prompt(session, f"{shots}{example.context} =", new_tokens=new_tokens)
        for example in examples
    ]
    generated = continue_prompts(
        session, prompts, new_tokens=new_tokens, stop_tokens=session.line_ends
    )
    lines = [first_line(session, continuation) for continuation in generated]
    translations = ["".join(sentences(line.text)[:1]) for line in lines]
    references = [example.references[0] for example in examples]
    outcome = Outcome.of(session, task, examples)
    outcome.add("bleu", bleu_counts(metric, translations, references), bleu)
    outcome.drop_without_signal(["bleu"], translations)
    outcome.columns = {
        "sentence_bleu": [
            float(metric.sentence_score(translation, [reference]).score)
            for translation, reference in zip(translations, references, strict=True)
        ],
        "translation": translations,
        "reference": references,
    }
    outcome.protocol = {
        "prompt": "lines `source = target` of the example pairs, then `source =`",
        "example_pairs": len(pairs),
        "decoding": f"greedy, at most {new_tokens} tokens, the first sentence",
        "sacrebleu": _signature(translations, references),
        "prompts_cut_from_left": sum(prompt.cut for prompt in prompts),
        **count_answers(lines),
    }
    return outcome


def _sacrebleu() -> Any:
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ModuleNotFoundError:
        raise CannotRun("BLEU needs sacrebleu: pip install -c constraints.txt sacrebleu") from None
    return BLEU(effective_order=True)  # for single sentences; counts are the same either way


def _signature(translations: Sequence[str], references: Sequence[str]) -> str:
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU()
    metric.corpus_score(list(translations), [list(references)])
    return str(metric.get_signature())


def bleu_counts(metric: Any, translations: Sequence[str], references: Sequence[str]) -> Floats:
    """Counts by sacrebleu of each sentence: matches and totals by order, lengths, [n, 10]."""
    rows = []
    for translation, reference in zip(translations, references, strict=True):
        score = metric.sentence_score(translation, [reference])
        rows.append([*score.counts, *score.totals, score.sys_len, score.ref_len])
    return np.asarray(rows, dtype=np.float64)


def bleu(sums: Floats) -> Floats:
    """100 * brevity penalty * geometric mean of n-gram precisions, n = 1 to 4; higher is better.

    Columns: matches of each order, totals of each order, length of the translations, length of
    the references, all over sacrebleu's 13a tokens. Precision of an order is matches / totals;
    the k-th order without a match counts 1 / (2^k totals) (sacrebleu's default smoothing); the
    penalty is exp(1 - reference length / translation length) where the translations are shorter.
    The counts are added up over the corpus first. Matches the paper's 5 (En-Fr) and 11.5 (Fr-En).
    """
    matches, totals = sums[:, :_ORDERS], sums[:, _ORDERS : 2 * _ORDERS]
    length, wanted = sums[:, -2], sums[:, -1]
    some = matches > 0
    smoothing = 2.0 ** np.cumsum(~some, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precisions = np.where(some, matches, 1 / smoothing) / totals
        penalty = np.where(length < wanted, np.exp(1 - wanted / length), 1.0)
        scores = 100 * penalty * np.exp(np.log(precisions).mean(axis=1))
    possible = (totals > 0).all(axis=1) & some.any(axis=1)
    return np.asarray(np.where(possible, scores, 0.0))
