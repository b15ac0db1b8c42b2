"""Weights of a run: which are good, how they come into it, which stay."""
