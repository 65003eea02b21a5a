"""Examining trainings and trained networks, from a single step to whole runs.

``step`` shows a training step number by number (``graph`` draws it), ``doctor`` checks a run for known failures,
``comparison`` puts runs side by side; ``reading`` reads codes off images, ``inversion`` fills in hidden parts of them,
and ``traversals`` walk through latent space.
"""
