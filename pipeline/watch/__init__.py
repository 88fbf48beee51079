"""First of each `dvc repro`: what decides results and is no input of a stage."""
