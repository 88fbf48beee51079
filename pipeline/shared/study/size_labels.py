"""What a reader meets the sizes as."""

from __future__ import annotations

from pipeline.shared.params.profile import ProfileParams


def size_labels(params: ProfileParams) -> dict[str, str]:
    """What figures, tables and sentences call each size.

    The paper's labels where its numbers may stand beside; the rung's name in a study of the sample
    web, whose models have nothing of the paper's but the shape of the ladder.
    """
    if params.eval_sets.source == "sample_web":
        return {size: size for size in params.sizes}
    return {size: model.label for size, model in params.models.items()}
