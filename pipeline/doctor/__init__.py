"""What this machine lacks for a study, each with its remedy."""
