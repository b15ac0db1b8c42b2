"""Trainings for other programs: TensorBoard, Weights & Biases."""
