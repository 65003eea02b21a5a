"""Textbook versions, the tests' oracle: each kernel in plain NumPy by its formula, in the precision of its inputs."""
