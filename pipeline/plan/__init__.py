"""What a study will cost, before any of it runs."""
