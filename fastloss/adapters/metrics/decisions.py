"""The losses of decisions in sklearn.metrics: hinge_loss, of scores, and zero_one_loss and hamming_loss, of labels."""

import numpy as np

from fastloss.adapters.metrics import checks
from fastloss.adapters.metrics.classification import CRAMMER_SINGER, HEAD, HINGE, WRONG, plain_labels
from fastloss.adapters.metrics.labels import as_labels, classes_of, distinct, type_of


def signs(y):
    """Labels -1 and 1, or 0 and 1 as bool, if these integers are seen to be such at a glance and both are there; else None."""
    head = y[:HEAD]
    low, high = head.min(), head.max()
    if high != 1 or low == high:
        return None
    if low == -1:
        return y  # the loss itself refuses others
    return y.astype(bool) if low == 0 and y.max() == 1 and (y.dtype.kind != "i" or y.min() == 0) else None


def quick_hinge(y, z, w):
    if not plain_labels(y) or not y.size or (y := signs(y)) is None:
        return None
    cost = checks.quick(HINGE, y, z, w)
    # an infinite score may cost nothing, but is refused
    return cost if cost is not None and (z.dtype.kind != "f" or np.isfinite(z.sum())) else None


def hinge_loss(y_true, pred_decision, *, labels=None, sample_weight=None):
    """Mean hinge loss, as sklearn.metrics.hinge_loss: of two classes (the larger label is the positive one) max(0, 1 - margin); of more,
    from (n, C) decisions, that of Crammer and Singer.

    >>> hinge_loss([-1, 1, 1], [-2.2, 2.4, 0.9])
    0.0333...
    """
    if labels is None and (cost := quick_hinge(y_true, pred_decision, sample_weight)) is not None:
        return cost
    checks.array_likes("hinge_loss", {"y_true": y_true, "pred_decision": pred_decision}, sample_weight, labels=labels)
    checks.same_length(y_true, pred_decision, sample_weight)
    z, y = checks.numeric(pred_decision), checks.column(as_labels(y_true))
    w = None if sample_weight is None else np.asarray(sample_weight)
    if w is not None and not w.any():
        raise ZeroDivisionError("Weights sum to zero, can't be normalized")
    known = distinct(y if labels is None else as_labels(labels))
    if len(known) <= 2:
        z, (classes, _) = checks.column(z), classes_of(y)
        positive = y == classes[-1] if len(classes) == 2 else y == classes[0] if len(classes) > 2 else np.zeros(len(y), bool)
        return checks.cost(HINGE, positive, z, w)
    shape = f"pred_decision shape must be (n_samples, n_classes), that is ({len(y)}, {len(known)}). Got: {z.shape}"
    if z.ndim == 1:
        raise ValueError(f"The shape of pred_decision cannot be 1d arraywith a multiclass target. {shape}")
    if z.shape[1] != len(known):
        if labels is None:
            raise ValueError("Please include all labels in y_true or pass labels as third argument")
        what = "The shape of pred_decision is not consistent with the number of classes. With a multiclass target,"
        raise ValueError(f"{what} {shape}")
    if unseen := sorted(set(distinct(y).tolist()) - set(known.tolist())):
        raise ValueError(f"y contains previously unseen labels: {unseen}")
    return checks.cost(CRAMMER_SINGER, np.searchsorted(known, y), z, w)


def _arrays(function, y_true, y_pred, sample_weight):
    """Sparse matrices are taken, too."""
    given = {"y_true": y_true, "y_pred": y_pred}
    checks.array_likes(function, {name: array for name, array in given.items() if not checks.is_sparse(array)}, sample_weight)


class Decisions:
    """Labels and predictions for them. ``wrong``: where they differ, (n,) or, of several labels per sample, the number of differences."""

    def __init__(self, y_true, y_pred, sample_weight):
        checks.same_length(y_true, y_pred, sample_weight)
        y, p = (value if checks.is_sparse(value) else as_labels(value) for value in (y_true, y_pred))
        kinds = [_kind(array, name) for array, name in ((y, "y_true"), (p, "y_pred"))]
        if not y.shape[0]:
            raise ValueError("Found empty input array (e.g., `y_true` or `y_pred`) while a minimum of 1 sample is required.")
        self.n, self.outputs = y.shape[0], 1
        self.w = checks.weights(sample_weight, self.n)
        names = {"multiclass" if kind == "binary" else kind for kind in kinds}
        if len(names) > 1:
            raise ValueError(f"Classification metrics can't handle a mix of {kinds[0]} and {kinds[1]} targets")
        kind = names.pop()
        if kind == "multilabel-indicator":
            self.outputs = y.shape[1]
            if self.outputs != p.shape[1]:
                raise ValueError("Multi-label binary indicator input with different numbers of labels")
            self.wrong = _differences(y, p)
        elif kind == "multiclass":
            y, p = checks.column(y), checks.column(p)
            if (y.dtype.kind in "OU") != (p.dtype.kind in "OU"):
                raise ValueError(f"Mix of label input types (string and number); Got {np.unique(y)} and {np.unique(p)}.")
            self.wrong = y != p
        else:
            raise ValueError(f"{kinds[0]} is not supported")


def _kind(array, name):
    return "multilabel-indicator" if checks.is_sparse(array) else type_of(array, name)


def _differences(y, p):
    """How many labels of each sample differ; sparse matrices as they are."""
    if checks.is_sparse(y) or checks.is_sparse(p):
        y, p = (array.tocsr() if checks.is_sparse(array) else array for array in (y, p))
        differences = y - p
        return np.asarray((differences != 0).sum(axis=1)).reshape(-1)
    return (y != p).sum(axis=1)


def share(wrong, w, total=False):
    """The weighted share, or sum, of what is True."""
    if w is None:
        count = int(np.count_nonzero(wrong))
        return float(count) if total else count / len(wrong)
    return checks.cost(WRONG, wrong, np.float64(0.0), w, total) if not (w < 0).any() else checks.average(wrong, w, total)


def zero_one_loss(y_true, y_pred, *, normalize=True, sample_weight=None):
    """The share of wrong labels, or with normalize=False their number, as sklearn.metrics.zero_one_loss; of several labels per sample,
    given as an indicator matrix, that of samples with a wrong one.

    >>> zero_one_loss([2, 2, 3, 4], [1, 2, 3, 4])
    0.25
    """
    _arrays("zero_one_loss", y_true, y_pred, sample_weight)
    normalize = checks.boolean("zero_one_loss", "normalize", normalize)
    found = Decisions(y_true, y_pred, sample_weight)
    return share(found.wrong if found.outputs == 1 else found.wrong > 0, found.w, not normalize)


def hamming_loss(y_true, y_pred, *, sample_weight=None):
    """The share of wrong labels, as sklearn.metrics.hamming_loss: of several per sample, of all of them.

    >>> hamming_loss(np.array([[0, 1], [1, 1]]), np.zeros((2, 2)))
    0.75
    """
    _arrays("hamming_loss", y_true, y_pred, sample_weight)
    found = Decisions(y_true, y_pred, sample_weight)
    return share(found.wrong, found.w) if found.outputs == 1 else checks.average(found.wrong, found.w) / found.outputs
