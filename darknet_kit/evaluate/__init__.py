"""What trained weights are worth: detection, mAP, comparing runs."""
