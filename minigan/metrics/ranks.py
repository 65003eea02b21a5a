"""Ranks, for statistics that depend on order alone."""

import numpy as np


def mid_ranks(values):
    """Ranks from 1; equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]
