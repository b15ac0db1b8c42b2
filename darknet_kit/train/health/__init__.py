"""What becomes of an engine: how it gets on, how it ended and why."""
