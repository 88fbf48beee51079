"""Text as overlap, filters and metrics see it: words and n-grams."""
