"""The losses of labels in sklearn.metrics, and of probabilities and decisions for them: its signatures, exceptions, warnings and results.

Labels are integers, text or bool; classes are in sorted order, which is that of the columns of probabilities and decisions. Where the first
call, of the loss on what was given, has a finite result, it is the answer.
"""

import math
import warnings

import numpy as np

import fastloss as fl
from fastloss.adapters.metrics import checks
from fastloss.adapters.metrics.labels import Targets, as_labels, distinct, type_of

DEPRECATED = "deprecated"
EPS = {2: 2.0**-10, 4: 2.0**-23, 8: 2.0**-52}  # machine epsilon by itemsize
BINARY, HINGE, CRAMMER_SINGER, BRIER, WRONG = fl.LogLoss("sklearn"), fl.Hinge(), fl.CrammerSinger(), fl.Brier(), fl.ZeroOne()
ROWS, FLOATS = fl.MulticlassLogLoss("sklearn"), (4, 8)
HEAD = 64  # labels that are looked at first
PIECE = 1 << 13  # rows whose sums are looked at together; few enough for BLAS to stay on one thread


def both(y):
    """Are there zeros and ones among labels that are nothing else?"""
    head = y[:HEAD]
    return 0 < np.count_nonzero(head) < len(head) or 0 < np.count_nonzero(y) < len(y)


def plain_labels(y):
    return type(y) is np.ndarray and y.ndim == 1 and y.dtype.kind in "iub"


def probabilities(y_proba):
    """An array of numbers of one dimension or two, finite; of a float type."""
    p = checks.numeric(y_proba)
    return p if p.dtype.kind == "f" else p.astype(np.float64)


def in_range(p, below):
    high, low = p.max(), p.min()
    if high > 1:
        raise ValueError(f"y_prob contains values greater than 1: {high}")
    if low < 0:
        raise ValueError(f"y_prob contains values {below} than 0: {low}")


def rows(y_true, p, sample_weight, labels):
    """(Targets, p, weights) of probabilities for labels, checked; p (n,) for two classes, else (n, C)."""
    in_range(p, "lower")
    checks.same_length(p, y_true, sample_weight)
    w = checks.weights(sample_weight, len(p))
    y = Targets(y_true, labels)
    if p.ndim == 2 and p.shape[1] == 1:
        p = p[:, 0]
    if p.ndim == 2 and not np.isclose(p.sum(axis=1), 1, rtol=math.sqrt(EPS[p.dtype.itemsize]), atol=0).all():
        warnings.warn("The y_prob values do not sum to one. Make sure to pass probabilities.", UserWarning, stacklevel=4)
    y.agree(2 if p.ndim == 1 else p.shape[1])
    return y, p, w


def log_loss_of(y, p, w, total):
    eps = EPS[p.dtype.itemsize]
    if y.indicator is not None:  # rows of several ones, or of none
        q = np.column_stack([1 - p, p]) if p.ndim == 1 else p
        return checks.average(-(y.indicator * np.log(np.clip(q, eps, 1 - eps))).sum(axis=1), w, total)
    if p.ndim == 1:
        return checks.cost(fl.LogLoss(eps), y.numbers, p, w, total)
    return checks.cost(fl.MulticlassLogLoss(eps), y.numbers, p, w, total)


def renamed(y_proba, y_pred):
    """What was given as y_proba, or by its old name."""
    if isinstance(y_pred, str) and y_pred == DEPRECATED:
        return y_proba
    if y_proba is not None:
        raise ValueError("Cannot use both `y_pred` and `y_proba`. `y_pred` is deprecated, use `y_proba` instead.")
    text = "`y_pred` was renamed to `y_proba` in version 1.9 and will be removed in 1.11. Use `y_proba` instead."
    warnings.warn(text, FutureWarning, stacklevel=3)
    return y_pred


def sum_to_one(p):
    """Do rows of two probabilities sum to 1, so that even the errors of many together stay below the host's tolerance for one?"""
    tolerance = EPS[p.dtype.itemsize]
    for at in range(0, len(p), PIECE):
        off = p[at : at + PIECE, 0] + p[at : at + PIECE, 1]
        off -= 1
        if not off @ off < tolerance:  # the host's tolerance is its square root
            return False
    return True


def quick_log_loss(y, p, w):
    """The cost of labels 0 and 1 and probabilities, (n,) or (n, 2), both arrays; or None."""
    if not plain_labels(y) or type(p) is not np.ndarray or p.dtype.kind != "f" or p.dtype.itemsize not in FLOATS:
        return None
    if p.ndim == 1:
        cost = checks.quick(BINARY, y, p, w)
    elif p.ndim == 2 and p.shape[1] == 2 and (w is None or (type(w) is np.ndarray and w.ndim == 1)):
        try:
            cost = ROWS(y, p, w) if sum_to_one(p) else None
        except (ValueError, TypeError):
            return None
    else:
        return None
    return cost if cost is not None and cost - cost == 0.0 and both(y) else None


def log_loss(y_true, y_proba=None, *, normalize=True, sample_weight=None, labels=None, y_pred="deprecated"):
    """Minus the mean log of the probabilities given to the labels, clipped at the machine epsilon of their type; as
    sklearn.metrics.log_loss. A single column is the probability p of the larger label; 1 - p is not rounded, as it is in scikit-learn.

    >>> log_loss(["spam", "ham", "ham", "spam"], [[.1, .9], [.9, .1], [.8, .2], [.35, .65]])
    0.2161...
    """
    if labels is None and normalize is True and y_pred is DEPRECATED:
        cost = quick_log_loss(y_true, y_proba, sample_weight)
        if cost is not None:
            return cost
    checks.array_likes("log_loss", {"y_true": y_true}, sample_weight, labels=labels)
    normalize, p = checks.boolean("log_loss", "normalize", normalize), renamed(y_proba, y_pred)
    checks.array_likes("log_loss", {"y_proba": p})
    return log_loss_of(*rows(y_true, probabilities(p), sample_weight, labels), not normalize)


def d2_log_loss_score(y_true, y_proba=None, *, sample_weight=None, labels=None, y_pred="deprecated"):
    """1 - the log loss over that of the classes' shares, as sklearn.metrics.d2_log_loss_score.

    >>> d2_log_loss_score([1, 0, 1, 0], [0.8, 0.3, 0.6, 0.1])
    0.5686...
    """
    checks.array_likes("d2_log_loss_score", {"y_true": y_true}, sample_weight, labels=labels)
    y_proba = renamed(y_proba, y_pred)
    checks.array_likes("d2_log_loss_score", {"y_proba": y_proba})
    if too_few(y_true, y_proba, sample_weight):
        return float("nan")
    y, p, w = rows(y_true, probabilities(y_proba), sample_weight, labels)
    shares, eps = y.shares(w), EPS[8]
    entropy = -(shares * np.log(np.clip(shares, eps, 1 - eps))).sum()
    return float(1 - np.float64(log_loss_of(y, p, w, False)) / entropy)


def too_few(y_true, y_proba, sample_weight):
    checks.same_length(y_proba, y_true, sample_weight)
    if checks.n_samples(y_proba) >= 2:
        return False
    warnings.warn("D^2 score is not well-defined with less than two samples.", checks.undefined(), stacklevel=3)
    return True


def positives(y_true, p, sample_weight, pos_label):
    """(y == pos_label, p, weights) of labels of two kinds at most and one probability each, checked."""
    y, p = checks.column(as_labels(y_true)), checks.column(p)
    checks.finite(y)
    checks.same_length(p, y, sample_weight)
    w = checks.weights(sample_weight, len(p))
    kind = type_of(y, "y_true")
    if kind != "binary":
        what = f"The type of the target inferred from y_true is {kind} but should be binary"
        raise ValueError(f"{what} according to the shape of y_prob.")
    in_range(p, "less")
    classes = distinct(y)
    if pos_label is None:
        if classes.dtype.kind in "OUS":
            known = ", ".join(map(repr, classes.tolist()))
            what = f"y_true takes value in {{{known}}} and pos_label is not specified:"
            raise ValueError(f"{what} either make y_true take value in {{0, 1}} or {{-1, 1}} or pass pos_label explicitly.")
        pos_label = 1 if set(classes.tolist()) in ({0, 1}, {-1, 1}, {0}, {-1}, {1}) else classes[-1]
    return np.broadcast_to(np.asarray(y == pos_label, bool), y.shape), p, w


def brier_of(y_true, p, sample_weight, pos_label, labels):
    """(mean squared distance over all classes, a function that gives that of the classes' shares, number of classes)"""
    if p.ndim == 1 or p.shape[1] == 1:
        positive, p, w = positives(y_true, p, sample_weight, pos_label)
        share = np.average(positive, weights=w)
        return 2.0 * checks.cost(BRIER, positive, p, w), lambda: 2.0 * share * (1 - share), 2
    y, p, w = rows(y_true, p, sample_weight, labels)
    if y.indicator is not None:

        def distance(q):
            return checks.average(((y.indicator - q) ** 2).sum(axis=1), w)

        return distance(p), lambda: distance(y.shares(w)), p.shape[1]
    # of labels with these shares; nothing cancels
    return checks.cost(fl.MulticlassBrier(), y.numbers, p, w), lambda: (y.shares(w) * (1 - y.shares(w))).sum(), p.shape[1]


def pos_label_of(function, pos_label):
    if not isinstance(pos_label, str | bool | np.bool_ | int | float | np.number | None):
        allowed = "an instance of 'float', an instance of 'str', an instance of 'bool' or an instance of 'numpy.bool' or None"
        raise checks.invalid(function, "pos_label", allowed, pos_label)
    return pos_label


def brier_score_loss(y_true, y_proba, *, sample_weight=None, pos_label=None, labels=None, scale_by_half="auto"):
    """Mean squared distance of probabilities from what happened, as sklearn.metrics.brier_score_loss: in [0, 1] for two classes; in [0, 2]
    for more, unless scale_by_half.

    >>> brier_score_loss([0, 1, 1, 0], [0.25, 0.75, 1.0, 0.25])
    0.046875
    """
    if pos_label is None and labels is None and scale_by_half is AUTO and plain_labels(y_true) and y_true.dtype.itemsize <= 8:
        cost = checks.quick(BRIER, y_true, y_proba, sample_weight)
        if cost is not None and y_proba.dtype.kind == "f":
            return cost
    checks.array_likes("brier_score_loss", {"y_true": y_true, "y_proba": y_proba}, sample_weight, labels=labels)
    pos_label_of("brier_score_loss", pos_label)
    if not (isinstance(scale_by_half, str) and scale_by_half == "auto") and not isinstance(scale_by_half, bool | np.bool_):
        allowed = "an instance of 'bool' or an instance of 'numpy.bool' or a str among {'auto'}"
        raise checks.invalid("brier_score_loss", "scale_by_half", allowed, scale_by_half)
    brier, _, classes = brier_of(y_true, probabilities(y_proba), sample_weight, pos_label, labels)
    halved = classes < 3 if isinstance(scale_by_half, str) else scale_by_half
    return 0.5 * brier if halved else brier


AUTO = brier_score_loss.__kwdefaults__["scale_by_half"]


def d2_brier_score(y_true, y_proba, *, sample_weight=None, pos_label=None, labels=None):
    """1 - the Brier score over that of the classes' shares, as sklearn.metrics.d2_brier_score.

    >>> d2_brier_score([0, 1, 1, 0], [0.25, 0.75, 1.0, 0.25])
    0.8125
    """
    checks.array_likes("d2_brier_score", {"y_true": y_true, "y_proba": y_proba}, sample_weight, labels=labels)
    pos_label_of("d2_brier_score", pos_label)
    if too_few(y_true, y_proba, sample_weight):
        return float("nan")
    brier, null, _ = brier_of(y_true, probabilities(y_proba), sample_weight, pos_label, labels)
    return float(1 - np.float64(brier) / np.float64(null()))
