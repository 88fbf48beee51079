"""LAMBADA: the last word of a passage that only the whole passage gives away."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.eval_sets.eval_set import OPENAI_AGAIN, EvalSet, Files, Reproduction, by_size
from pipeline.eval_sets.sources import Form, PublishedFile
from pipeline.shared.formats.examples import Example

_LM_EVAL = "lm-eval#{}, without <|endoftext|> before the passage"


def _read(files: Files) -> Iterator[Example]:
    for number, record in files["test"].records("text"):
        context, _, word = str(record["text"]).rpartition(" ")
        if not context or not word:
            raise files["test"].bad_line(number, "a passage of less than two words")
        yield Example(id=str(number), text=record["text"], context=context, target=word)


LAMBADA = EvalSet(
    name="lambada",
    title="LAMBADA",
    scoring="last_word",
    metrics=("perplexity", "accuracy"),
    higher_is_better=False,
    unit="word",
    licence="CC BY 4.0",
    odd=(
        "OpenAI's own file, without the original's preprocessing. The paper's accuracy is with a "
        "stop-word filter whose list was never published (52.66 without, for 1542M), its "
        "perplexity is without; whether its unit is the last word or the last token is disputed."
    ),
    test={
        "test": PublishedFile(
            folder="lambada",
            forms=(
                Form(
                    "lambada_test.jsonl",
                    "sha256:4aa8d02cd17c719165fc8a7887fddd641f43fcafa4b1c806ca8abc31fabdb226",
                ),
            ),
            url="https://openaipublic.blob.core.windows.net/gpt-2/data/lambada_test.jsonl",
        )
    },
    read_test=_read,
    paper={
        "perplexity": by_size(35.13, 15.60, 10.87, 8.63),
        "accuracy@stop_word_filter": by_size(0.4599, 0.5548, 0.6012, 0.6324),
        "accuracy": {"1542M": 0.5266},
    },
    reproductions=(
        Reproduction("perplexity", "117M", 40.0554, _LM_EVAL.format("2159")),
        Reproduction("perplexity", "1542M", 10.634, _LM_EVAL.format("911")),
        Reproduction("perplexity", "1542M", 8.63, OPENAI_AGAIN),
        Reproduction("accuracy", "117M", 0.3256, _LM_EVAL.format("2159")),
        Reproduction("accuracy", "1542M", 0.5121, _LM_EVAL.format("911")),
        Reproduction("accuracy@last_token", "117M", 0.4667, "transformers#13761"),
        Reproduction("accuracy@last_token", "117M", 0.4689, "gpt-neo#75, quoting gpt-2#131"),
    ),
    baselines={
        "perplexity": {"state of the art": 99.8},
        "accuracy": {"state of the art": 0.5923},
    },
)
