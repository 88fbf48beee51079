"""How stages run, whatever they compute."""
