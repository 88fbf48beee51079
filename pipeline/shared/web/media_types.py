"""Media types of pages."""

TEXT_TYPES = frozenset({"text/html", "application/xhtml+xml", "text/plain", ""})
"""Those that are read; a server that names none gets the benefit of the doubt."""
