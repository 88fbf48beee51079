"""Train GPT-2 of one size on the train split, with its loss curve."""
