"""Suggestions for an unknown name."""

import difflib


def near(name, known):
    """Suggest the known names that are close to this one, as a question; list all of them if none is."""
    name, names = str(name), list(known)
    within = [each for each in names if len(name) > 1 and name in each]  # "gp" of "wgan-gp"
    close = within[:3] or difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(names)}"
