"""Training: the algorithms (steps), what they train (systems), the loop (trainer), effects (hooks), checkpoints."""
