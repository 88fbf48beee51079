"""The report stage: figures, tables and one page, from results alone."""
