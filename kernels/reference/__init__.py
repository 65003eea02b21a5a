"""The oracle and the textbook: every kernel in plain NumPy, as its formula says, in whatever precision comes in."""
