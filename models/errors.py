"""What can be wrong with a model on disk."""


class CheckpointError(ValueError):
    """A folder that holds no GPT-2 we can read: names file, value and remedy."""
