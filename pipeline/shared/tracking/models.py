"""Each size's model in MLflow's registry: its safetensors as they are, with a card of where from.

The files are linked into the run's artefacts or, where those are elsewhere, uploaded; nothing is
pickled and no weight is loaded. The same weights are registered once, whichever study has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from pipeline.shared.files import replace_path
from pipeline.shared.formats.loss_curve import LOSS_CURVE
from pipeline.shared.running.listing import METRICS

if TYPE_CHECKING:
    from pipeline.shared.tracking.study import SizeRecord

_FOLDER = "model"  # among a run's artefacts
_NO_MODEL = {METRICS, LOSS_CURVE}  # the training's, which the run shows
_CARD = "README.md"
_MOST_CARD = 5000  # characters that MLflow's database holds
_HASHES = {
    "model_sha256": "weights",
    "tokenizer_sha256": "tokenizer",
    "training_text_sha256": "list of the documents trained on",
    "train_sha256": "train split",
    "valid_sha256": "valid split",
}
_COUNTS = {
    "parameters": "parameters",
    "non_embedding_parameters": "of these without embeddings",
    "tokens": "training tokens",
    "training_documents": "training documents",
    "epochs": "epochs",
    "learning_rate": "peak learning rate",
    "train_loss": "last training loss, nats per token",
    "valid_loss": "held-out loss, nats per token",
}


class Origin(NamedTuple):
    """The study that a model is of."""

    profile: str
    study: str
    seed: str
    commit: str
    """Of Git; empty where there is none."""


def register(client: Any, run: Any, size: SizeRecord, origin: Origin) -> None:
    """Put a size's model into the registry, unless these weights are there already."""
    sha256 = size.trained.model_sha256
    if sha256 is None or not _are_weights(size.weights):
        return
    name = f"figure4-{origin.profile}-{size.size}"
    if not client.search_registered_models(f"name = '{name}'"):
        description = f"Size `{size.size}` of profile `{origin.profile}`, a version a training."
        client.create_registered_model(name, description=description)
    versions = client.search_model_versions(f"name = '{name}'")
    known = [version for version in versions if version.tags.get("model_sha256") == sha256]
    if known:
        card = model_card(size, origin._replace(**_first_origin(known[0].tags, origin)))
        if known[0].description != card:
            client.update_model_version(name, known[0].version, card)
        return
    card = model_card(size, origin)
    _put_files(client, run.info, size.weights.parent, card)
    client.create_model_version(
        name,
        source=f"runs:/{run.info.run_id}/{_FOLDER}",
        run_id=run.info.run_id,
        tags=size.tags
        | {key: value for key, _, value in _known(size, _HASHES)}
        | {"study_name": origin.study, "seed": origin.seed, "commit": origin.commit},
        description=card,
        await_creation_for=0,
    )


def _are_weights(path: Path) -> bool:
    """Whether a file is safetensors, which begin with the length of their header.

    A note may stand in their place, where weights stayed on the machine that trained them.
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    return 8 + length <= path.stat().st_size


def _first_origin(tags: Mapping[str, str], origin: Origin) -> dict[str, str]:
    """A model carried over into another study stays that of its first."""
    return {
        "study": tags.get("study_name", origin.study),
        "seed": tags.get("seed", origin.seed),
        "commit": tags.get("commit", origin.commit),
    }


def _put_files(client: Any, info: Any, folder: Path, card: str) -> None:
    files = sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.name not in _NO_MODEL and not path.name.startswith(".")
    )
    client.log_text(info.run_id, card, f"{_FOLDER}/{_CARD}")
    address = urlsplit(info.artifact_uri)
    here = Path(unquote(address.path)) / _FOLDER
    for path in files:
        if address.scheme != "file":
            client.log_artifact(info.run_id, str(path), _FOLDER)
        else:
            replace_path(path, here / path.name)


def model_card(size: SizeRecord, origin: Origin) -> str:
    """Where a model comes from and what it reached, as Markdown.

    It stands beside the weights as README.md too.
    """
    lines = [
        f"GPT-2 of {size.trained.parameters:,} parameters, trained from scratch by stage "
        f"`train@{size.size}` of profile `{origin.profile}` (study {origin.study}, seed "
        f"{origin.seed}" + (f", commit {origin.commit})." if origin.commit else ")."),
        "",
        "`transformers.AutoModelForCausalLM.from_pretrained` reads this folder. "
        "`documents.parquet` lists the documents it was trained on, in their order.",
    ]
    counts = [(what, value) for _, what, value in _known(size, _COUNTS)]
    hashes = [(what, f"`{value}`") for _, what, value in _known(size, _HASHES)]
    scores = [(s.name, f"{s.value:.6g}") for s in size.scores if s.name.startswith(_SCORES)]
    for title, rows in (("training", counts), ("SHA-256 of", hashes), ("score", scores)):
        if rows:
            lines += ["", f"| {title} | |", "|---|---|"]
            lines += [f"| {what} | {_say(value)} |" for what, value in rows]
    return "\n".join(lines)[:_MOST_CARD]


_SCORES = (
    *("train_perplexity", "test_perplexity", "gap_nats", "lambada", "cbt", "wikitext", "ptb"),
    *("enwik8", "text8", "one_billion_word"),
)


def _known(size: SizeRecord, names: Mapping[str, str]) -> list[tuple[str, str, Any]]:
    """Key, words and value of what the size's training says of these."""
    said = [(key, what, getattr(size.trained, key)) for key, what in names.items()]
    return [one for one in said if one[2] is not None]


def _say(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
