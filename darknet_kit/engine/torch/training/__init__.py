"""Training: the loop, what it learns by, what it keeps, and the log that it writes."""
