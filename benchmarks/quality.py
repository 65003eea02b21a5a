"""So that "does it really work?" is answered by a table: recipes trained over several seeds, measured, kept in JSON.

``python -m benchmarks.quality --only NAME --seeds N`` trains what is missing below --runs, goes on with what was cut,
measures, and appends to benchmarks/results/quality.json, one entry a recipe, seed, commit and machine. What is there
already is skipped; a training that failed is an entry as well. It can be interrupted at any time and started again.
Data sets that are not part of minigan are looked for where MINIGAN_DATA says; see ``minigan data``.
"""

import argparse
import fcntl
import json
import os
import subprocess
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from minigan import device, evaluate, runs, scores
from minigan.near import near
from minigan.training import checkpoint
from minigan.training.log import read_log
from minigan.whole_file import whole_file

from . import gpu, verdicts
from .machine import describe
from .recipes import GROUPS, by_name, named

RESULT = Path(__file__).parent / "results" / "quality.json"


def read(path=RESULT):
    """The entries measured so far."""
    return json.loads(path.read_text(encoding="utf-8"))["entries"] if path.exists() else []


def append(entry, path=RESULT):
    """Add an entry to the file, at once or not at all; one for the same run, commit and machine is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.parent):
        entries = [old for old in read(path) if identity(old) != identity(entry)]
        entries.append(entry)
        entries.sort(key=lambda e: (e["recipe"], e["seed"]))
        with whole_file(path) as file:
            file.write(json.dumps({"entries": entries}, indent=1) + "\n")


def identity(entry):
    """What tells entries apart."""
    return entry["recipe"], entry["seed"], entry["commit"], json.dumps(entry["machine"], sort_keys=True)


@contextmanager
def _locked(folder):
    """Let one process at a time write here."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def commit():
    """The commit that is checked out, with a + where files differ from it."""
    here = Path(__file__).parent
    git = ("git", "-C", str(here))
    head = subprocess.run([*git, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True)
    changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True)
    return (head.stdout.strip() or "unknown") + ("+" if changed.stdout.strip() else "")


# --- one run ----------------------------------------------------------------------------------------------------------


def train(recipe, seed, folder):
    """Train a recipe's run, go on with it, or leave it as it is where it is done.

    Returns
    -------
    str or None
        What ended the training early, None where it came to its end.

    Raises
    ------
    ValueError
        For a folder with another config or other data, or one that another process trains now.
    """
    config = recipe.config(seed)
    if not (folder / "config.json").exists():
        return _train(config, folder)
    check_config(folder, config)
    if is_done(folder, config):
        return None
    return _train(replace(config, data=runs.read_config(folder).data), resume=folder)


def _train(config, out=None, resume=None):
    try:
        run = runs.prepare(config, out, resume=resume)
        run.train()
    except FloatingPointError as error:
        return str(error).split(";")[0]  # the rest names a file of this machine
    if run.trainer.interrupted:
        raise KeyboardInterrupt  # half a training is no entry
    return None


def check_config(folder, config):
    """Raise ValueError, naming the fields, where a run was asked for something that the recipe does not ask for."""
    theirs, ours = asdict(runs.read_config(folder)), asdict(config)
    wrong = [
        f"{name} is {theirs.get(name)!r}, the recipe's {ours.get(name)!r}"
        for name in sorted(theirs | ours)
        if name not in runs.MAY_DIFFER and theirs.get(name) != ours.get(name)
    ]
    if wrong:
        raise ValueError(f"{folder} holds another run: {'; '.join(wrong)}")


def is_done(folder, config):
    """Whether a run has taken as many steps as the recipe asks for, on the same data."""
    path = folder / "checkpoint.npz"
    if not path.exists():
        return False
    meta = checkpoint.load(path)[1]
    images = runs.load_data(replace(config, data=runs.read_config(folder).data)).images
    if not checkpoint.same_images(meta["data"], images):
        raise ValueError(f"{folder} was trained on data {meta['data']}, which are no longer there")
    return meta["counters"]["iteration"] >= runs.length(config, len(images))


def machine():
    """Where recipes are trained: the machine, and its GPU where it has one, for that is what a training takes."""
    return describe() | (gpu.describe() if device.unavailable("gpu") is None else {})


def measure(recipe, seed, folder, failure):
    """Measure a run; returns its entry for the file."""
    found, facts = {}, {}
    if (folder / "checkpoint.npz").exists():
        done = evaluate.evaluate(folder, n=recipe.n)
        print(done.describe(), flush=True)
        found, facts = done.scores, done.facts
        if recipe.also:
            found |= recipe.also(folder)
    rows = read_log(folder / "log.jsonl")
    return {
        "recipe": recipe.name,
        "seed": seed,
        "commit": commit(),
        "machine": machine(),
        "config": asdict(runs.read_config(folder)) | {"data": facts.get("data", recipe.config(seed).data)},
        "iteration": facts.get("iteration", 0),
        "train_seconds": rows[-1]["seconds"] if rows else None,
        "samples": facts.get("samples"),
        "features": facts.get("features"),
        "failure": failure or verdicts.collapse(found),
        "scores": scores.to_json(found),
    }


# --- all of them ------------------------------------------------------------------------------------------------------


def main(arguments=None):
    """Train and measure what is missing; print what has been found so far."""
    recipes = [*by_name(), *GROUPS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="recipes, or groups of them (default: all)")
    parser.add_argument("--seeds", type=int, metavar="N", help="how many (default: each recipe's own number)")
    parser.add_argument("--first-seed", type=int, default=0, metavar="K", help="seeds K to K + N - 1 (default: 0)")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs", "quality"), help="their folder (default: %(default)s)"
    )
    parser.add_argument("--again", action="store_true", help="measure also what the file holds already")
    parser.add_argument("--list", action="store_true", help="list the recipes, and do nothing")
    parser.add_argument("--table", action="store_true", help="print what has been found, and do nothing")
    parser.add_argument("--out", type=Path, default=RESULT, help="where to (default: %(default)s)")
    asked = parser.parse_args(arguments)
    for name in asked.only or ():
        if name not in recipes:
            parser.error(f"no recipe {name!r}; {near(name, recipes)}")
    if asked.seeds is not None and asked.seeds < 1:
        parser.error(f"--seeds: expected at least 1, got {asked.seeds}")
    chosen = named(asked.only or by_name())
    if asked.list:
        print(verdicts.listing(chosen))
        return 0
    try:
        left_out = 0 if asked.table else _run_all(chosen, asked)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", flush=True)
        return 130
    print(verdicts.table(chosen, read(asked.out)))
    return 1 if left_out else 0


def _run_all(chosen, asked):
    """Train and measure; returns how many runs could not be."""
    left_out = 0
    for recipe in chosen:
        for seed in range(asked.first_seed, asked.first_seed + (asked.seeds or recipe.seeds)):
            there = any(e["recipe"] == recipe.name and e["seed"] == seed for e in read(asked.out))
            if there and not asked.again:
                continue
            folder = asked.runs / f"{recipe.name}-{seed}"
            print(f"\n=== {recipe.name}, seed {seed}: {folder}", flush=True)
            try:
                failure = train(recipe, seed, folder)
                append(measure(recipe, seed, folder, failure), asked.out)
            except (ValueError, OSError) as error:
                print(f"left out: {error}", flush=True)
                left_out += 1
    return left_out


if __name__ == "__main__":
    raise SystemExit(main())
