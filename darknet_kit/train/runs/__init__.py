"""Run folders: made, written, locked, read, told apart by their state."""
