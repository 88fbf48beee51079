"""Formats of what lies between stages, each with one owner."""
