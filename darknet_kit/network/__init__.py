"""Networks as Darknet cfg files: models, schedule, heads, layer shapes."""
