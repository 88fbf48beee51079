"""What is asked for on the command line."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.shared.params.file import ActiveStudy, load_params
from pipeline.shared.params.profile import ProfileParams

_EXAMPLES = """\
examples
  OpenAI's four sizes from the hub, the sets from their publishers:
    python -m pipeline.zero_shot openai-community/gpt2 openai-community/gpt2-medium \\
        openai-community/gpt2-large openai-community/gpt2-xl
  Without a network: a folder of models and a folder of downloaded sets, one subfolder each:
    python -m pipeline.zero_shot ~/weights --eval-sets ~/eval_sets
  A model trained here, quickly:
    python -m pipeline.zero_shot data/tiny/train/xl --eval-sets ~/eval_sets \\
        --strides 128 --max-examples 100 --max-text-bytes 30000 --profile tiny

what is needed
  A model is a folder with config.json, model.safetensors (or its shards and their index), and its
  tokenizer: tokenizer.json, or vocab.json and merges.txt. A set is a published file, plain or
  compressed, such as
  ~/eval_sets/lambada/lambada_test.jsonl.xz. A file that is missing does not stop the others: its
  set is reported as not run, with the command that gets it. A file with a wrong hash is an error.

what comes out, in the folder of --out
  differences.csv          every number, variants (`perplexity@raw_stride_512`) and intervals too,
                           the paper's number and what others measured on the same weights
  <model>/scores/<set>.json              the numbers of a set and every choice behind them
  <model>/scores/<set>.examples.parquet  the score of every example

Of these, the table that is printed holds what the paper or others report. The paper's number stands
beside a model with the released number of parameters, and a difference only where the set was read
from the published file. Windows are moved by each of --strides; 32 reads a text 32 times.
Stopped at any moment, the same command goes on at the set where it was.
"""
_CPU_BATCH_TOKENS = 4096  # more is slower: memory never seen before costs more than it saves


@dataclass(frozen=True)
class Asked:
    """One call of the command."""

    models: list[str]
    """Folders, folders of folders, or names on the hub."""
    study: ActiveStudy
    """The parameters of a profile, with what the options say in its place."""
    out: Path

    @property
    def work(self) -> Path:
        """Resumable state, beside the results: other results have their own."""
        return self.out / ".work"


def parse(argv: Sequence[str] | None = None) -> Asked:
    """Read the command line and the profile whose evaluation it takes for its own.

    Raises:
        ParamsError: params.yaml does not say what is needed.
    """
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.zero_shot",
        description="Score GPT-2s in the Hugging Face layout, zero-shot, on every evaluation set "
        "of the paper, and print the differences from the paper and from public reproductions.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EXAMPLES,
    )
    add = parser.add_argument
    add("models", nargs="+", metavar="MODEL", help="folder, folder of folders, or name on the hub")
    add("--eval-sets", type=Path, metavar="FOLDER", help="of published files (default: fetch them)")
    add(
        "--out",
        type=Path,
        default=Path("data/zero_shot"),
        metavar="FOLDER",
        help="of results and of what goes on after a stop (default: data/zero_shot)",
    )
    add("--params", type=Path, default=Path("params.yaml"), metavar="FILE", help="of profiles")
    add("--profile", default="paper", help="whose `evaluate` and `seeds` to take (default: paper)")
    add("--accelerator", choices=["cpu", "gpu"], help="default: gpu where torch sees one")
    add("--threads", type=_count, metavar="N", help="on the CPU (default: all cores)")
    add(
        "--precision",
        choices=["float32", "bfloat16"],
        default="float32",
        help="of matrix products; bfloat16 is faster and differs in the third figure",
    )
    add(
        "--strides",
        type=_count,
        nargs="+",
        metavar="TOKENS",
        help="of the window, the reported first; at most a model's context (default: the "
        "profile's)",
    )
    add("--max-examples", type=_count, metavar="N", help="most of a set of questions (all)")
    add("--max-text-bytes", type=_count, metavar="N", help="most of a running text (all)")
    arguments = parser.parse_args(argv)
    return Asked(arguments.models, _study(arguments), arguments.out)


def _count(text: str) -> int:
    """A whole number of at least one, from the command line: `1000`, `1_000` or `1e3`."""
    try:
        number = int(text) if text.isdecimal() else float(text)
    except ValueError:
        number = 0
    if not 1 <= number < math.inf or number != int(number):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of at least 1; give one")
    return int(number)


def _study(arguments: argparse.Namespace) -> ActiveStudy:
    compute = _compute(arguments.accelerator, arguments.threads)
    evaluate: dict[str, Any] = {"precision": arguments.precision, "leave_out": []}
    if compute["accelerator"] == "cpu":
        evaluate["batch_tokens"] = _CPU_BATCH_TOKENS
    folder = arguments.eval_sets
    overrides = {
        "compute": compute,
        "evaluate": evaluate,
        "eval_sets": {
            "source": "published" if folder is None else "folder",
            "location": None if folder is None else str(folder),
            "max_examples": arguments.max_examples,
            "max_text_bytes": arguments.max_text_bytes,
        },
    }
    study = load_params(arguments.params, arguments.profile, overrides)
    return ActiveStudy("zero_shot", _with_strides(study.params, arguments.strides))


def _with_strides(params: ProfileParams, strides: list[int] | None) -> ProfileParams:
    """The parameters with the strides that were asked for, if any were.

    After the check of params.yaml, which holds strides to the context of the profile's own models:
    none of these is read here, and `run` compares with each model that is.
    """
    if not strides:
        return params
    asked = {"strides": strides, "figure4_stride": strides[0]}
    evaluate = params.evaluate.model_copy(update=asked)
    return params.model_copy(update={"evaluate": evaluate})


def _compute(accelerator: str | None, threads: int | None) -> dict[str, Any]:
    import torch  # here: `--help` need not wait for it

    if accelerator is None:
        accelerator = "gpu" if torch.cuda.is_available() else "cpu"
    return {"accelerator": accelerator, "threads": threads or torch.get_num_threads()}
