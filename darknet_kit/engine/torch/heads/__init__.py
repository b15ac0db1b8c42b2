"""Sections that compare a network's output with the truth: one file each, by its Darknet name."""
