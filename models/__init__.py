"""GPT-2 in torch and Lightning: architecture, training, generation. Knows tensors, never files."""
