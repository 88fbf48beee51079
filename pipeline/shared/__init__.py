"""What several stages need, a folder for each concern."""
