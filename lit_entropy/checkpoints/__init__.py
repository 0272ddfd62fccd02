"""Checkpoints: written whole, resumed exactly, exported as Hugging Face folders."""
