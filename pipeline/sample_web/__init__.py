"""The built-in web: pages, links and evaluation files made from installed documentation."""
