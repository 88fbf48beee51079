"""Score ready weights, released or one's own, and hold them against the paper."""
