"""Scores: results, metrics, bootstrap, laws of scale; each defined once."""
