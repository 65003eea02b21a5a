"""How well a code learned without labels agrees with the classes: InfoGAN's categorical code and the digits."""

from typing import NamedTuple

import numpy as np

from . import arguments


class Agreement(NamedTuple):
    """What a confusion matrix says about codes (K) and classes (C).

    Attributes
    ----------
    matching_error : float
        Share of rows outside the best one-to-one matching of codes to classes: the InfoGAN paper's error, the stricter.
    majority_error : float
        Share of rows whose class is not their code's most frequent one: several codes may stand for one class.
    nmi, ari : float
        Mutual information normalised by the mean entropy, and adjusted Rand index (Hubert & Arabie 1985): 1 for equal
        partitions, about 0 for unrelated ones.
    missing : int
        Number of classes that are no code's most frequent one.
    pair : (int, int)
        The two classes most often confused; twice the same one where none are.
    pair_error : float
        Their part of ``matching_error``: the share of all rows that belong to one of the two but have the other's code.
    matching : int array (K,)
        The class matched to each code, -1 for none.
    """

    matching_error: float
    majority_error: float
    nmi: float
    ari: float
    missing: int
    pair: tuple
    pair_error: float
    matching: np.ndarray


def confusion(codes, labels, n_codes, n_classes):
    """Count rows by code and class: int (N,), (N,) to int64 (n_codes, n_classes)."""
    codes = arguments.labels("codes", codes, n_codes)
    labels = arguments.labels("labels", labels, n_classes, length=len(codes))
    return np.bincount(codes * n_classes + labels, minlength=n_codes * n_classes).reshape(n_codes, n_classes)


def agreement(counts):
    """Summarise a confusion matrix as an Agreement: counts (K, C), integers, at least one above 0."""
    counts = arguments.rows("counts", counts)
    if (counts < 0).any() or not counts.sum():
        raise ValueError(f"counts: expected numbers of rows, 0 or more and not all 0, got {counts.tolist()}")
    n, used = counts.sum(), counts.sum(axis=1) > 0
    matching = best_matching(counts)
    matched = sum(counts[code, label] for code, label in enumerate(matching) if label >= 0)
    pair, lost = _worst_pair(counts, matching)
    most_frequent = set(counts[used].argmax(axis=1).tolist())
    return Agreement(
        float(1 - matched / n),
        float(1 - counts.max(axis=1).sum() / n),
        _normalised_information(counts / n),
        _adjusted_rand(counts),
        counts.shape[1] - len(most_frequent),
        pair,
        lost / n,
        matching,
    )


def _worst_pair(counts, matching):
    """The two classes of which most rows have the other's code, and how many rows."""
    under = np.zeros((counts.shape[1], counts.shape[1]))  # [a, b]: rows of class b under the code of class a
    under[matching[matching >= 0]] = counts[matching >= 0]
    np.fill_diagonal(under, 0)
    both = under + under.T
    pair = tuple(int(i) for i in np.unravel_index(both.argmax(), both.shape))
    return pair, float(both[pair])


def best_matching(gain):
    """The one-to-one matching of rows to columns with the largest total: gain (K, C) to columns (K,), -1 for none.

    Shortest augmenting paths with potentials (Jonker & Volgenant 1987): K^2 C steps for K <= C.
    """
    gain = np.asarray(gain, np.float64)
    if gain.shape[0] > gain.shape[1]:
        row_of = best_matching(gain.T)
        matching = np.full(len(gain), -1)
        matching[row_of] = np.arange(len(row_of))
        return matching
    cost = gain.max() - gain
    rows_n, columns_n = cost.shape
    row_price, column_price = np.zeros(rows_n), np.zeros(columns_n)
    owner = np.full(columns_n, -1)  # the row matched to each column
    for row in range(rows_n):
        reach, came_from = np.full(columns_n, np.inf), np.full(columns_n, -1)
        done = np.zeros(columns_n, bool)
        here, column, length = row, -1, 0.0
        while True:  # Dijkstra over reduced costs, until a free column is reached
            step = length + cost[here] - row_price[here] - column_price
            better = ~done & (step < reach)
            reach[better], came_from[better] = step[better], column
            column = int(np.where(done, np.inf, reach).argmin())
            length, done[column] = reach[column], True
            if owner[column] < 0:
                break
            here = owner[column]
        row_price[row] += length
        passed = done & (owner >= 0)
        row_price[owner[passed]] += length - reach[passed]
        column_price[done] -= length - reach[done]
        while column >= 0:  # every column on the path takes the row of the one before
            before = came_from[column]
            owner[column] = row if before < 0 else owner[before]
            column = before
    matching = np.full(rows_n, -1)
    matching[owner[owner >= 0]] = np.flatnonzero(owner >= 0)
    return matching


def _entropy(p):
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def _normalised_information(joint):
    """2 I(code; class) / (H(code) + H(class)); 1 where both have a single value."""
    of_codes, of_classes = _entropy(joint.sum(axis=1)), _entropy(joint.sum(axis=0))
    if of_codes + of_classes == 0:
        return 1.0
    return max(0.0, 2 * (of_codes + of_classes - _entropy(joint)) / (of_codes + of_classes))


def _adjusted_rand(counts):
    """Pairs of rows that are together in both partitions, scaled from 0 for chance to 1 for the most possible."""
    pairs = counts * (counts - 1) / 2
    in_codes, in_classes = ((s * (s - 1) / 2).sum() for s in (counts.sum(axis=1), counts.sum(axis=0)))
    total = counts.sum() * (counts.sum() - 1) / 2
    by_chance = in_codes * in_classes / total if total else 0.0
    most = (in_codes + in_classes) / 2
    return 1.0 if most == by_chance else float((pairs.sum() - by_chance) / (most - by_chance))
