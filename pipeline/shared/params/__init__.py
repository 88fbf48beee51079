"""Parameters of a study: typed by concern, and how params.yaml is read."""
