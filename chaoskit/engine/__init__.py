"""Runs an experiment. Knows only the model: every part is handed in."""
