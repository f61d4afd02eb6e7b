"""Labels as scikit-learn sees them: what kind of target they are, which classes there are, in sorted order, and their numbers."""

import warnings

import numpy as np

import fastloss as fl
from fastloss.adapters.metrics import checks

PIECE = 1 << 18
RANGE = 1 << 16
LEGACY = (
    "You appear to be using a legacy multi-label data representation. Sequence of sequences are no longer supported; use a binary array or "
    "sparse matrix instead."
)
COLUMNS = "But this function assumes labels are ordered lexicographically. Pass the ordered labels={} and ensure that the columns of y_prob"


def as_labels(value):
    """An array of numbers, or of text, or of objects where it is neither."""
    if isinstance(value, list | tuple) and any(isinstance(one, str) for one in value) and not all(isinstance(one, str) for one in value):
        return np.array(value, object)  # NumPy would make text of the numbers
    try:
        array = np.asarray(value)
    except ValueError as error:  # ragged
        raise ValueError(LEGACY) from error
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported\n{array}\n")
    if isinstance(value, set | frozenset | dict):
        raise ValueError(f"Expected array-like (array or non-string sequence), got {value!r}")
    checks.n_samples(array)
    return array.astype(str) if array.dtype.kind == "T" else array


def distinct(array):
    """The sorted values of labels; integers of a small range without sorting them all."""
    if array.dtype.kind in "iu" and array.size:
        low, high = int(array.min()), int(array.max())
        if high - low < RANGE:
            flat, seen = array.reshape(-1), np.zeros(high - low + 1, bool)
            for at in range(0, flat.size, PIECE):
                seen[flat[at : at + PIECE].astype(np.int64 if low < 0 else np.uint64) - low] = True
            return (np.flatnonzero(seen) + low).astype(array.dtype)
    return np.unique(array)


def type_of(array, name=""):
    """scikit-learn's word for the kind of target: "binary", "multiclass", "continuous", "multilabel-indicator", "unknown", some of them
    with "-multioutput"."""
    if array.ndim not in (1, 2):
        return "unknown"
    kind, wide = array.dtype.kind, array.ndim == 2 and array.shape[1] > 1
    if not array.size:
        return "binary" if array.ndim == 1 else "unknown"
    if kind == "O" and not isinstance(array.flat[0], str):
        if isinstance(array.flat[0], list | tuple | np.ndarray):
            raise ValueError(LEGACY)
        distinct(array)  # TypeError if they are no labels, or text among numbers
        return "unknown"
    if kind == "S":
        raise TypeError("Support for labels represented as bytes is not supported. Convert the labels to a string or integer format.")
    if kind == "f":
        with np.errstate(invalid="ignore"):
            broken = not (np.trunc(array) == array).all() or np.isinf(array).any()
        if broken:
            checks.finite(array, name)
            return "continuous-multioutput" if wide else "continuous"
    values = distinct(array)
    if wide:
        return "multilabel-indicator" if kind in "biuf" and len(values) < 3 else "multiclass-multioutput"
    return "multiclass" if len(values) > 2 else "binary"


def classes_of(labels, argument="y"):
    """(classes, are they columns of an indicator) of y_true, or of what ``labels`` lists."""
    array = as_labels(labels)
    found = type_of(array, argument)
    if "multioutput" in found:
        raise ValueError("Multioutput target data is not supported with label binarization")
    if not len(array):
        raise ValueError(f"y has 0 samples: {labels!r}")
    if found == "multilabel-indicator":
        return np.arange(array.shape[1]), True
    if found in ("continuous", "unknown"):
        raise ValueError(f"Unknown label type: ({array!r},)")
    return distinct(checks.column(array)), False


def numbered(y, classes):
    """Class numbers, 0 to C - 1: the labels themselves where they are just those."""
    if y.dtype.kind in "iu" and classes.dtype.kind in "iu" and classes[0] == 0 and classes[-1] == len(classes) - 1:
        return y
    if len(classes) == 2:
        return (y == classes[1]).view(np.int8)
    return fl.encode_labels(y, classes)


class Targets:
    """y_true for rows of probabilities.

    classes    sorted
    numbers    class numbers of the labels, (n,); None for an indicator
    indicator  (n, C) of 0 and 1, not one in each row; or None
    """

    def __init__(self, y_true, labels=None):
        y = as_labels(y_true)
        self.classes, wide = classes_of(y if labels is None else labels)
        self.given, self.indicator, self.numbers = labels is not None, None, None
        if labels is not None:
            self._check(y, labels, wide)
        if len(self.classes) == 1:
            if labels is None:
                what = f"y_true contains only one label ({self.classes[0]})."
                raise ValueError(f"{what} Please provide the list of all expected class labels explicitly through the labels argument.")
            raise ValueError(f"The labels array needs to contain at least two labels, got {self.classes}.")
        if wide:
            self.indicator = y
            if (y.sum(axis=1) == 1).all():
                self.numbers, self.indicator = y.argmax(axis=1), None
        else:
            self.numbers = numbered(checks.column(y), self.classes)

    def _check(self, y, labels, wide):
        listed = as_labels(labels)
        if not wide and len(self.classes) > 1 and (len(listed) != len(self.classes) or not (listed == self.classes).all()):
            where = COLUMNS.format(self.classes.tolist())
            warnings.warn(f"Labels passed were {labels}. {where} correspond to this ordering.", UserWarning, stacklevel=5)
        if not wide and type_of(y) == "multilabel-indicator":
            raise ValueError("The object was not fitted with multilabel input.")
        known = set(listed.ravel().tolist())
        missing = [value for value in distinct(y).tolist() if value not in known]
        if missing:
            raise ValueError(f"y_true contains values {set(missing)} not belonging to the passed labels {labels}.")

    def agree(self, columns):
        """ValueError unless there are so many classes."""
        if len(self.classes) == columns:
            return
        if self.given:
            what = "The number of classes in labels is different from that in y_prob. Classes found in labels: "
            raise ValueError(f"{what}{self.classes}")
        what = f"y_true and y_prob contain different number of classes: {len(self.classes)} vs {columns}."
        raise ValueError(
            f"{what} Please provide the true labels explicitly through the labels argument. Classes found in y_true: {self.classes}"
        )

    def shares(self, w):
        """The weighted share of each class (of an indicator: how often it is 1)."""
        if self.indicator is not None:
            return np.average(self.indicator, axis=0, weights=w)
        numbers = self.numbers.astype(np.intp) if self.numbers.dtype == np.uint64 else self.numbers  # bincount takes no others
        counts = np.bincount(numbers, weights=w, minlength=len(self.classes))
        return counts / (len(numbers) if w is None else w.sum(dtype=np.float64))
