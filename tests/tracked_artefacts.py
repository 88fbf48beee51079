"""The artefacts of a study, written by hand: what tracking reads."""

from __future__ import annotations

import json
from pathlib import Path

from shipped_sizes import SIZES

from pipeline.shared.files import write_json

LOSSES = dict(zip(SIZES, (6.0, 5.5, 5.0, 4.5), strict=True))


def write_study(study: Path, *, losses: dict[str, float], fingerprints: str = "f") -> None:
    """Artefacts of a study whose sizes reached these losses."""
    for number, (size, loss) in enumerate(losses.items()):
        train = study / "train" / size
        train.mkdir(parents=True, exist_ok=True)
        rows = [
            (4096, 8.0, 8.1, 1e-3),
            (8192, loss + 1, loss + 1.1, 2e-3),
            (12288, loss, loss, 0.0),
        ]
        lines = ["tokens,train_loss,valid_loss,learning_rate"]
        lines += [",".join(str(value) for value in row) for row in rows]
        (train / "loss_curve.csv").write_text("\n".join(lines) + "\n")
        (train / "config.json").write_text(json.dumps({"n_layer": number + 1}))
        metrics = {
            "stage": "train",
            "fingerprint": f"{fingerprints}{number}",
            "seconds": 1.5,
            "parameters": 10 ** (number + 3),
            "tokens": 12288,
            "flops_per_token": 6 * 10 ** (number + 3),
            "learning_rate": 2e-3,
            "training_documents": 7,
        }
        (train / "metrics.json").write_text(json.dumps(metrics))
    report = study / "report"
    report.mkdir(exist_ok=True)
    for number, (size, loss) in enumerate(losses.items(), start=3):
        scores = {"parameters": 10**number, "train_perplexity": 50 * loss}
        scores |= {"test_perplexity": 60 * loss, "wikitext2_perplexity": 100.0 * loss}
        write_json(report / "sizes" / f"{size}.json", scores)
    law = {"test_exponent": -0.1, "test_exponent_low": -0.2, "test_exponent_high": -0.05}
    write_json(report / "metrics.json", law)
    rows4 = [
        f"{size},{10**n},{50 * loss},{60 * loss},{55 * loss},{65 * loss}"
        for n, (size, loss) in enumerate(losses.items(), start=3)
    ]
    head = "size,parameters,train_perplexity,test_perplexity,"
    head += "test_perplexity_low,test_perplexity_high"
    (report / "figure4.csv").write_text("\n".join([head, *rows4]) + "\n")
    (report / "figure4.png").write_bytes(b"\x89PNG of " + json.dumps(losses).encode())
