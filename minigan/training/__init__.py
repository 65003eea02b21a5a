"""Training: the algorithms (steps), what they train (systems), the loop (trainer), its hooks, and checkpoints."""
