"""The one reader of a study: where its artefacts lie, and what they hold."""
