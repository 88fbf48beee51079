"""From pages, or a ready corpus, to documents: main text, characters, cleaning rules."""
