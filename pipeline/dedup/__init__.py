"""The dedup stage: duplicates, Wikipedia, other languages and evaluation texts are left out."""
