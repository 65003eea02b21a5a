"""State dicts: arrays by dotted name, as modules and optimisers give and take them."""

import numpy as np


def below(prefix, state):
    """The entries whose names begin with a prefix, named without it."""
    return {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}


def check_fits(owner, own, state):
    """Check that a state has the entries of ``own``, and their shapes, before anything is loaded.

    Raises
    ------
    ValueError
        If an entry is missing, unexpected or misshapen; lists all of them.
    """
    wrong = [f"missing {name} {np.shape(own[name])}" for name in own if name not in state]
    wrong += [f"unexpected {name} {np.shape(state[name])}" for name in state if name not in own]
    wrong += [
        f"{name} has shape {np.shape(state[name])}, expected {np.shape(own[name])}"
        for name in own
        if name in state and np.shape(state[name]) != np.shape(own[name])
    ]
    if wrong:
        raise ValueError(f"load_state_dict: {type(owner).__name__} does not fit: " + "; ".join(wrong))
