"""What the machine does while an engine trains: meters, read now and then by one thread."""
