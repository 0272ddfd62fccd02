"""The mathematics: pure functions on tensors and numbers."""
