"""Zero-shot evaluation of one model on every set, by the paper's protocol and its variants."""
