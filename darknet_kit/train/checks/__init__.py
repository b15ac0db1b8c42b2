"""What is looked at before a training, alone or together."""
