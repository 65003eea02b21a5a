"""Measurements of the engine and comparisons with PyTorch; nothing here is installed with the package.

Run them from the top of a checkout, for instance ``python -m benchmarks.train_step --against torch``.
"""
