"""Sections that are no heads: one file each, found by its Darknet name."""
