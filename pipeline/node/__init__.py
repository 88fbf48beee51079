"""Tune, train and evaluate on a machine that shares nothing with this one: pack, run, take."""
