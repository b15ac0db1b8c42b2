"""A training under way: attempts, what follows on a failed one, when one may be ended."""
