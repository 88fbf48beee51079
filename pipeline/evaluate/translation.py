"""WMT-14: greedy translation after example pairs `source = target`; BLEU by sacrebleu."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.evaluate.continuation import (
    choose,
    continue_prompts,
    count_answers,
    first_line,
    make_prompt,
    sentences,
)
from pipeline.evaluate.outcome import LacksPackage, Outcome, Task
from pipeline.evaluate.packages import is_here
from pipeline.evaluate.session import Session
from pipeline.shared.scores.bleu import bleu, bleu_counts


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
    if not is_here("sacrebleu"):
        raise LacksPackage("BLEU", "sacrebleu")
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(effective_order=True)  # for single sentences; counts are the same either way


def _signature(translations: Sequence[str], references: Sequence[str]) -> str:
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU()
    metric.corpus_score(list(translations), [list(references)])
    return str(metric.get_signature())
