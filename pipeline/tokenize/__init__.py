"""The tokenize stage: the tokenizer, and token shards of the train, valid and test splits."""
