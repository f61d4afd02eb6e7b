"""What a Profile says, in the terms that losses are chosen by: task, kind of labels, kind of scores, tails of the residuals.

Thresholds are here and in tails.py, each with its reason; no other file of advice decides by a number of its own.
"""

import math
from types import SimpleNamespace

from fastloss.evaluation.advice.tails import tails_of

NEARLY = 0.99  # share of rows that a property of rows must hold of; the others are warned of
FEW = 20  # values that whole predictions and targets share, where they may be class numbers
LOW_COUNT = 10.0  # counts reach down to this in one row of 20 at least; whole numbers that are all larger behave as real ones
SPAN = 10.0  # 95 % over 5 % quantile of a positive target from which errors are usually meant relative to its size
RARE = 0.05  # share of the rarer class below which classes count as unbalanced
PERCENT = 100.0


def facts_of(profile):
    """The facts of a Profile or a RowProfile."""
    return row_facts(profile) if profile.rows else single_facts(profile)


def single_facts(profile):
    """task      binary, proportion, counts, amounts, regression, classes (more than two labels, and one number per row) or none
    labels    of binary: {0, 1}, {-1, 1}, bool, text or other
    scores    of binary: probability, percent, hard (two values alone), logit (some below 0) or score; of counts: mean or log
    """
    y, p = profile.target.result(), profile.prediction.result()
    known, predicted = profile.values.result(), profile.predicted.result()
    facts = SimpleNamespace(
        rows=False, n=profile.n, y=y, p=p, e=profile.residual.result(), dispersion=profile.dispersion.result(), known=known,
        predicted=predicted, words=profile.words, n_certain_wrong=profile.n_certain_wrong, labels=None, scores=None, tails=None,
        rarer=None, swapped=False, width=None, of="of the weight" if profile.weighted else "of the rows",
    )  # fmt: skip
    facts.task = task_of(facts)
    facts.swapped = is_swapped(facts)
    if facts.task == "binary":
        facts.labels = "bool" if profile.bools and not facts.words else labels_of(known, facts.words)
        facts.scores = binary_scores(p, predicted)
        parts = parts_of(profile.values, known).values()
        facts.rarer = min(parts) / sum(parts) if len(known) == 2 else 0.0
    elif facts.task == "proportion":
        facts.scores = binary_scores(p, predicted)
    elif facts.task == "counts" or (facts.task == "classes" and y.n):
        facts.scores = counts_scale(y, p)
    if facts.e.n:
        facts.tails = tails_of(facts.e)
    return facts


def parts_of(values, known):
    """{value: its part of all weight; or, without weights, how many rows it is of}."""
    return values.shares() or {value: count for value, (count, _) in known.items()}


def task_of(facts):
    y, p, known = facts.y, facts.p, facts.known
    if not p.n or not (y.n or (facts.words and known)):
        return "none"
    if facts.words:
        return "binary" if known is not None and len(known) <= 2 else "classes"
    if known is not None and is_two_classes(facts):
        return "binary"
    if len(known or ()) == 1:
        return "regression"
    if y.min >= 0 and y.max <= 1 and p.min >= 0 and p.max <= 1:
        return "proportion"
    if y.n_whole == y.n and y.min >= 0:
        whole = p.n_whole == p.n and p.min >= 0 and p.max <= y.max and p.min < p.max
        if known is not None and len(known) <= FEW and y.min <= 1 and whole:
            return "classes"
        if y.quantiles[0.05] <= LOW_COUNT:
            return "counts"
    if y.min >= 0 and wide(y):
        return "amounts"
    return "regression"


def is_two_classes(facts):
    """Two values, of which at least one comes twice unless they are the usual ones; or one of 0 and 1 alone, with probabilities."""
    known = facts.known
    if len(known) == 2:
        return set(known) in ({0.0, 1.0}, {-1.0, 1.0}) or facts.y.n > 2
    return set(known) <= {0.0, 1.0} and facts.p.min >= 0 and facts.p.max <= 1


def wide(y):
    """Whether a target that is never negative spans so much, or has zeros beside real numbers, that it is an amount."""
    low, high = y.quantiles[0.05], y.quantiles[0.95]
    return high > 0 and (low == 0 or high / low >= SPAN)


def labels_of(known, words):
    if words:
        return "text"
    values = set(known)
    return "{0, 1}" if values <= {0.0, 1.0} else "{-1, 1}" if values <= {-1.0, 1.0} else "other"


def binary_scores(p, predicted):
    if predicted is not None and len(predicted) == 2:
        return "hard"
    if p.min >= 0 and p.max <= 1:
        return "probability"
    if p.min >= 0 and p.max <= PERCENT and p.quantiles[0.5] > 0 and p.n_above_one > p.n * (1 - NEARLY):
        return "percent"
    if p.n_negative + p.n_above_one <= p.n * (1 - NEARLY) and p.min >= -1 and p.max <= 2:
        return "probability"  # but for a few, which are warned of
    return "logit" if p.n_negative else "score"


def counts_scale(y, p):
    """Whether predictions are means, or their logarithms: by which of the two the mean prediction is nearer to the mean target."""
    if y.mean == 0:
        return "mean"
    if p.mean <= 0:
        return "log"
    return "log" if abs(p.mean - math.log(y.mean)) < abs(math.log(p.mean / y.mean)) else "mean"


def is_swapped(facts):
    """Predictions that are labels, and targets that are probabilities or scores."""
    predicted = facts.predicted
    if facts.words or predicted is None or len(predicted) != 2 or not facts.y.n:
        return False
    labels = set(predicted) in ({0.0, 1.0}, {-1.0, 1.0})
    return labels and (facts.known is None or len(facts.known) > 2) and facts.y.n_whole < facts.y.n


def row_facts(profile):
    """task      multiclass, one-hot, multilabel, distributions or none
    scores    probability, log-probability, logit or unnormalised (in [0, 1], and no sum is 1)
    """
    p = profile.prediction
    good = p.n - p.n_bad
    facts = SimpleNamespace(
        rows=True, n=profile.n, y=None if profile.matrix else profile.target.result(), y_rows=profile.target if profile.matrix else None,
        p_rows=p, sums=p.sums.result(), known=None if profile.matrix else profile.values.result(), width=profile.width, n_hit=profile.n_hit,
        n_hit_one=profile.n_hit_one, n_outside=profile.n_outside, labels=None, scores=None, tails=None, rarer=None, task="none",
        of="of the weight" if profile.weighted else "of the rows",
    )  # fmt: skip
    if not good:
        return facts
    if p.n_sum_one and p.n_negative == 0 and p.n_sum_one >= NEARLY * good:
        facts.scores = "probability"
    elif p.n_log >= NEARLY * good:
        facts.scores = "log-probability"
    else:
        facts.scores = "unnormalised" if p.min >= 0 and p.n_above_one == 0 else "logit"
    if profile.matrix:
        y = profile.target
        there = y.n - y.n_bad
        if there:
            one_hot, plain = y.n_one_hot >= NEARLY * there, y.n_zero_one >= NEARLY * there
            facts.task = "one-hot" if one_hot else "multilabel" if plain else "distributions"
        return facts
    facts.task = "multiclass" if facts.y.n else "none"
    if facts.known:
        parts = parts_of(profile.values, facts.known)
        there = [parts.get(float(label), 0) for label in range(facts.width)]
        facts.rarer = min(there) / (sum(there) or 1)
    return facts


__all__ = ["NEARLY", "RARE", "SPAN", "facts_of"]
