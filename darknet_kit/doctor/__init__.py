"""Checks of the machine: verdicts, evidence, cures."""
