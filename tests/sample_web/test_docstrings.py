"""Docstrings from a file's syntax tree."""

from __future__ import annotations

import pytest

from pipeline.sample_web.docstrings import has_documentation, read_entries, read_topics

SOURCE = b'''
"""The module."""
import nowhere_to_be_found

class Thing:
    """A thing."""
    class Inner:
        """Inside."""
    def run(self):
        """Runs."""
        def hidden():
            """Local, so not documentation."""

def function():
    """A function."""

if True:
    def guarded():
        """Behind a test."""
add_newdoc("numpy", "zeros", """%s""")
add_newdoc("numpy", "message", "too short")
''' % (b"Return zeros. " * 30)


def test_every_documented_thing_is_found_without_importing_the_file() -> None:
    entries = read_entries(SOURCE)
    assert [(entry.owner, entry.name) for entry in entries] == [
        ("", ""),
        ("Thing", "Thing"),
        ("Thing.Inner", "Thing.Inner"),
        ("Thing", "Thing.run"),
        ("", "function"),
        ("", "guarded"),
        ("zeros", "zeros"),
    ]


def test_a_file_of_another_python_is_refused() -> None:
    with pytest.raises(SyntaxError):
        read_entries(b"print 'hello'")


def test_a_file_with_little_quoted_text_is_not_worth_parsing() -> None:
    assert not has_documentation(b'"""Short."""\nx = 1\n' + b"y = 2\n" * 1000)
    assert has_documentation(b'"""' + b"Long. " * 300 + b'"""')


def test_topics_are_read_from_the_dictionary() -> None:
    (entry,) = read_topics(b"topics = {'assert': 'The assert statement\\n'}")
    assert (entry.name, entry.text) == ("assert", "The assert statement")
