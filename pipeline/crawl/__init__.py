"""From Reddit links to documents: choose links, fetch politely, keep WARC, extract main text."""
