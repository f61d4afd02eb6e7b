"""Which columns of a log are the costs of training and validation, the step and the run, by their names."""

import re
from dataclasses import dataclass

from fastloss.evaluation.columns import nearest, shown
from fastloss.evaluation.curves.logs import is_numeric, numbers
from fastloss.evaluation.errors import SourceError

TRAIN = ("train", "training", "learn", "fit", "tr")
VALIDATION = ("validation", "valid", "val", "eval", "evaluation", "dev", "holdout", "heldout", "test")  # test, if there is nothing better
COSTS = re.compile(
    r"loss|cost|error|deviance|perplexity|entropy|objective|brier|huber|poisson|(^|_)(r?mse|r?msle|mae|s?mape|nll|err|ppl|b?ce|crps|l_[12])(_|$)"
)
STEPS = ("epoch", "epochs", "step", "global_step", "iteration", "iter", "round", "tree", "n_estimators", "batch", "")
RUNS = ("run", "run_id", "run_name", "trial", "fold", "seed", "experiment")
PLAIN = ("epoch", "step", "mean", "avg", "average", "s", "set", "total", "running")  # words that say nothing of the metric


@dataclass(frozen=True)
class Chosen:
    """Names of columns, None for what there is not; notes: what was guessed."""

    train: str | None
    validation: str | None
    step: str | None
    run: str | None
    notes: tuple = ()


def choose(log, train=None, validation=None, step=None, run=None):
    """The Chosen of a Log; what is given is only checked."""
    where = log.path or "the table"
    for option, name in (("train", train), ("validation", validation), ("step", step), ("run", run)):
        if name is not None and name not in log.columns:
            raise SourceError(f"{where} has no column {name!r} for `{option}`; it has {shown(log.columns)}{nearest(name, log.columns)}")
    if run is None:
        run = next((name for name in log.columns if plain(name) in RUNS), None)
    notes = []
    if train is None and validation is None:
        train, validation = guessed(log, {step, run})
        named = [f"{what} {name!r}" for what, name in (("training", train), ("validation", validation)) if name is not None]
        notes.append(f"{where}: {' and '.join(named)} {'were' if len(named) > 1 else 'was'} taken by name")
    if train is not None and train == validation:
        raise SourceError(f"{where}: training and validation are the same column, {train!r}")
    if step is None:
        step = step_of(log, [name for name in (train, validation) if name is not None], run)
    return Chosen(train, validation, step, run, tuple(notes))


def plain(name):
    return "_".join(words(name))


def words(name):
    """Lower-case words of a name: val_loss, valLoss, val-loss, "val/loss" and valloss have the same."""
    split = re.findall(r"[a-z]+|[0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(name)).lower())
    made = []
    for word in split:
        begin = next((part for part in ("train", "valid", "val", "eval", "test") if word.startswith(part) and word != part), None)
        rest = word[len(begin) :] if begin else ""
        made += [begin, rest] if begin and COSTS.search(rest) else [word]  # trainloss, valrmse
    return made


def set_of(name):
    """("train" or "validation" or None, rank of the word that says it)."""
    for word in words(name):
        if word in TRAIN:
            return "train", 0
        if word in VALIDATION:
            return "validation", VALIDATION.index(word) if word == "test" else 0
    return None, 0


def metric_of(name):
    return tuple(word for word in words(name) if word not in (*TRAIN, *VALIDATION, *PLAIN) and not word.isdecimal())


def guessed(log, taken):
    """(train, validation), one of them None perhaps; SourceError if nothing looks like a cost."""
    names = [name for name in log.columns if name not in taken and plain(name) not in (*STEPS, *RUNS) and is_numeric(log, name)]
    costs = [name for name in names if COSTS.search("_".join(words(name))) or (set_of(name)[0] and not metric_of(name))]  # or plain "train"
    if not costs and len(names) == 1:
        costs = names
    if not costs:
        remedy = "name them: train=..., validation=... (--train, --validation)"
        raise SourceError(f"{log.path or 'the table'}: no column looks like a cost by its name; it has {shown(log.columns)}; {remedy}")
    metrics = {}
    for name in costs:
        metrics.setdefault(metric_of(name), []).append(name)

    def rank(metric):
        sets = {set_of(name)[0] or "train" for name in metrics[metric]}
        return len(sets), metric == ("loss",), -list(metrics).index(metric)

    best = metrics[max(metrics, key=rank)]
    filled = {name: sum(value is not None for value in numbers(log, name)) for name in best}
    sides = {side: [name for name in best if (set_of(name)[0] or "train") == side] for side in ("train", "validation")}
    train = max(sides["train"], key=lambda name: (filled[name], "step" not in words(name)), default=None)
    validation = min(sides["validation"], key=lambda name: set_of(name)[1], default=None)
    others = [name for name in sides["validation"] if name != validation]
    if train is None and others and all(re.search("[0-9]", name) for name in sides["validation"]):
        train, validation = validation, others[0]  # validation_0 and validation_1 of XGBoost: the first is the training data, as a rule
    if train is not None and "epoch" not in words(train):  # of Lightning's loss per step and per epoch, the one that validation goes with
        train = next((name for name in sides["train"] if "epoch" in words(name) and filled[name] > 1), train)
    return train, validation


def step_of(log, curves, run):
    """The first of the columns that count, and that tell the points of every curve apart; None: the rows are counted."""
    candidates = [name for word in STEPS for name in log.columns if plain(name) == word and name not in curves and is_numeric(log, name)]
    runs = log.columns[run] if run is not None else [None] * log.rows
    for name in candidates:
        steps = numbers(log, name)
        if all(apart(steps, numbers(log, curve), runs) for curve in curves):
            return name
    return None


def apart(steps, values, runs):
    seen = [(run, step) for step, value, run in zip(steps, values, runs, strict=True) if value is not None]
    return None not in {step for _, step in seen} and len(set(seen)) == len(seen)
