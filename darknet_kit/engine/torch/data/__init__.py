"""From image and label files to the batches that a network trains on."""
