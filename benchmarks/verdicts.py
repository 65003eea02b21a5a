"""From the entries of quality.json to what may be said of them: medians over all seeds, failures included; verdicts."""

from collections import Counter

import numpy as np

from minigan.scores import from_json

WORST = {"less": np.inf, "more": -np.inf, "near": np.nan}


def collapse(found):
    """Why a generator counts as collapsed, None where it does not: half of what there is to draw is hardly drawn."""
    if "modes" in found and found["modes"].value < found["modes"].reference / 2:
        return f"collapsed: {found['modes'].value:.0f} of {found['modes'].reference:.0f} modes"
    if "label_kl_nats" in found and found["label_kl_nats"].value > np.log(2):  # as much as from 5 of 10 equal classes
        return f"collapsed: labels are {found['label_kl_nats'].value:.2f} nats from equal ones"
    return None


def latest(entries, name):
    """A recipe's entries, the last one of each seed, by seed."""
    return list({e["seed"]: e for e in entries if e["recipe"] == name}.values())


def values(goal, entries):
    """A score's values over seeds, worst of all where a run has none or it is not a number."""
    found = [from_json(entry["scores"]).get(goal.score) for entry in entries]
    numbers = np.array([np.nan if score is None else score.value for score in found])
    return np.where(np.isnan(numbers), WORST[goal.better], numbers)


def reached(goal, numbers, bound):
    """Whether the median, or the share of seeds that the goal names, is as good as the bound; or the mean near it."""
    if goal.better == "near":
        mean, error = mean_and_error(numbers)
        return bool(abs(mean - bound) <= 2 * np.hypot(error, goal.standard_error))  # never with a run missing: NaN
    good = numbers <= bound if goal.better == "less" else numbers >= bound
    if goal.share is not None:
        return good.mean() >= goal.share - 1e-9
    return median(numbers) <= bound if goal.better == "less" else median(numbers) >= bound


def median(numbers):
    """The median, also of numbers of which some are infinite."""
    ordered = np.sort(numbers)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return float(low if low == high else (low + high) / 2)


def mean_and_error(numbers):
    """Mean and its standard error: NaN for a single number, of whose error nothing is known."""
    return float(numbers.mean()), float(numbers.std(ddof=1) / np.sqrt(len(numbers))) if len(numbers) > 1 else np.nan


def verdict(goal, numbers):
    """ "aim", "pass", "miss", or "" where nothing is asked, or a mean of one."""
    if goal.better == "near" and len(numbers) < 2:
        return ""
    if goal.aim is not None and reached(goal, numbers, goal.aim):
        return "aim"
    if goal.passes is None:
        return ""
    return "pass" if reached(goal, numbers, goal.passes) else "miss"


HEADINGS = ["recipe", "score", "median [least, most]", "reference", "asked", "", "published"]


def rows(recipe, entries):
    """A recipe's lines of the table: strings under HEADINGS, a line a goal; none for a recipe without entries."""
    entries = latest(entries, recipe.name)
    if not entries:
        return []
    failures = sum(entry["failure"] is not None for entry in entries)
    label = f"{recipe.name}, {len(entries)} seed{'s' * (len(entries) > 1)}"
    label += f", {failures} failed" if failures else ""
    lines = []
    for goal in recipe.goals:
        numbers = values(goal, entries)
        lines.append([label, goal.score, _spread(goal, numbers), _reference(goal, entries), _asked(goal)])
        lines[-1] += [verdict(goal, numbers), goal.published]
        label = ""
    return lines


def compared(group, entries):
    """Headings and lines that set a group's recipes side by side: a line a recipe, a column a score."""
    scores = [goal.score for goal in next(iter(group.values())).goals]
    lines = []
    for name, recipe in group.items():
        found = latest(entries, recipe.name)
        if found:
            failed = sum(entry["failure"] is not None for entry in found)
            spreads = {goal.score: _spread(goal, values(goal, found)) for goal in recipe.goals}
            lines.append([name, *(spreads.get(score, "") for score in scores), f"{failed} of {len(found)}"])
    return ["", *scores, "failed"], lines


def _spread(goal, numbers):
    middle = _number(median(numbers))
    if goal.better == "near":
        mean, error = mean_and_error(numbers)
        middle = f"mean {_number(mean)}" + ("" if np.isnan(error) else f" +- {_number(error)}")
    return f"{middle} [{_number(numbers.min())}, {_number(numbers.max())}]"


def _number(value):
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.2g}"


def _reference(goal, entries):
    known = [from_json(entry["scores"]).get(goal.score) for entry in entries]
    known = [score for score in known if score is not None and score.reference is not None]
    if not known:
        return ""
    of = Counter(score.of for score in known).most_common(1)[0][0]
    return f"{of} {_number(float(np.median([score.reference for score in known])))}"


def _asked(goal):
    if goal.passes is None:
        return ""
    if goal.better == "near":
        return f"{goal.passes:g} +- 2 s.e."
    sign = "<=" if goal.better == "less" else ">="
    share = f" in {goal.share:.0%}" if goal.share is not None else ""
    aim = f", aim {goal.aim:g}" if goal.aim is not None else ""
    return f"{sign} {goal.passes:g}{share}{aim}"


def table(recipes, entries):
    """Everything found so far, as text."""
    lines = [line for recipe in recipes for line in rows(recipe, entries)]
    if not lines:
        return "nothing has been measured yet"
    widths = [max(map(len, column)) for column in zip(HEADINGS, *lines, strict=True)]
    cells = [HEADINGS, *lines]
    text = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells]
    broken = [
        f"{recipe.name}, seed {entry['seed']}: {entry['failure']}"
        for recipe in recipes
        for entry in latest(entries, recipe.name)
        if entry["failure"]
    ]
    return "\n".join([*text, *broken])


def listing(recipes):
    """The recipes and what they ask for, as text."""
    lines = []
    for recipe in recipes:
        config = recipe.config(0)
        length = f"{config.steps:,} iterations" if config.steps else f"{config.epochs:g} epochs"
        changed = " ".join(f"{name}={value}" for name, value in recipe.changes.items())
        lines.append(f"{recipe.name}: {recipe.preset}, {length}, {recipe.seeds} seeds; {changed}")
        lines += [f"  {goal.score} {_asked(goal)}".rstrip() for goal in recipe.goals]
    return "\n".join(lines)
