"""What targets and rows of scores look like, as profile.py has it of single predictions."""

import math

import numpy as np

from fastloss.engine.environment import ieee
from fastloss.engine.profile import Column, Values, agree, as_float, weights_of

SUM_TOLERANCE = 1e-3  # of a row's sum from 1: float32 sums of 10**4 classes and numbers of 4 written digits pass, a lost class does not
PIECE = 1 << 18  # scores of rows at a time


class Scores:
    """Rows of C numbers.

    n, n_bad                rows, and those with a NaN or an infinity, which are of none of the following
    min, max                of all numbers
    n_negative, n_above_one numbers below 0, above 1 (and by more than a rounding)
    sums                    Column of the rows' sums
    n_sum_one               rows whose sum is 1 within SUM_TOLERANCE
    n_log                   rows that hold log-probabilities: none above 0, and their exponentials sum to 1
    n_zero_one, n_one_hot   rows of nothing but 0 and 1, and those of them with a single 1
    """

    COUNTS = ("n", "n_null", "n_bad", "n_negative", "n_above_one", "n_sum_one", "n_log", "n_zero_one", "n_one_hot")

    def __init__(self):
        self.sums, self.min, self.max = Column(), math.inf, -math.inf
        for name in self.COUNTS:
            setattr(self, name, 0)

    def update(self, rows, nulls=None):
        """Add a contiguous float64 array; returns which rows are finite."""
        self.n += len(rows)
        if nulls is not None:
            self.n_null += int(np.count_nonzero(nulls))
        good = np.isfinite(rows).all(axis=1)
        if nulls is not None:
            good &= ~nulls
        self.n_bad += len(rows) - int(np.count_nonzero(good))
        rows = rows if good.all() else rows[good]
        if not len(rows):
            return good
        self.min, self.max = min(self.min, float(rows.min())), max(self.max, float(rows.max()))
        self.n_negative += int(np.count_nonzero(rows < 0))
        self.n_above_one += int(np.count_nonzero(rows > 1 + SUM_TOLERANCE))
        with np.errstate(over="ignore", under="ignore"):
            sums = rows.sum(axis=1)
            self.sums.update(sums)
            self.n_sum_one += int(np.count_nonzero(np.abs(sums - 1) <= SUM_TOLERANCE))
            low = rows[rows.max(axis=1) <= SUM_TOLERANCE]
            self.n_log += int(np.count_nonzero(np.abs(np.exp(low).sum(axis=1) - 1) <= SUM_TOLERANCE))
        plain = ((rows == 0) | (rows == 1)).all(axis=1)
        self.n_zero_one += int(np.count_nonzero(plain))
        self.n_one_hot += int(np.count_nonzero(plain & (sums == 1)))
        return good

    def merge(self, other):
        for name in self.COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.sums.merge(other.sums)
        self.min, self.max = min(self.min, other.min), max(self.max, other.max)


class RowProfile:
    """A row of C scores per target, which is a class number or a row itself: ``update``, ``merge``, and what was seen.

    target              Column and values: Values of class numbers, or (matrix) Scores
    prediction          Scores
    n, width            rows, C
    n_hit, n_hit_one    rows whose largest score is the target's class, or would be if classes counted from 1
    n_outside           class numbers that are not 0 to C - 1
    weighted, heaviest  whether rows have weights, or None before the first (values know them), and the largest
    """

    PARTS, COUNTS = ("target", "prediction", "values"), ("n", "n_hit", "n_hit_one", "n_outside")
    rows = True

    def __init__(self, matrix=False):
        self.matrix, self.width = matrix, None
        self.target, self.prediction, self.values = Scores() if matrix else Column(), Scores(), Values()
        self.n = self.n_hit = self.n_hit_one = self.n_outside = 0
        self.weighted, self.heaviest = None, 0.0

    @ieee
    def update(self, target, prediction, sample_weight=None, *, nulls=(None, None)):
        """Add an array of shape (n,), or (n, C) where targets are rows, and one of (n, C). ``nulls``: masks of rows, or None. InputError
        for weights that are none."""
        width = prediction.shape[1]
        if self.width not in (None, width):
            raise ValueError(f"`prediction` has rows of {width}, and had rows of {self.width} before")
        self.width, weights = width, weights_of(self, sample_weight)
        step = max(1, PIECE // max(1, width))
        for start in range(0, len(prediction), step):
            here = slice(start, start + step)
            parts = (None if part is None else part[here] for part in (weights, *nulls))
            self._update(target[here], prediction[here], *parts)
        return self

    def _update(self, target, prediction, weights, unknown, lost):
        p = np.ascontiguousarray(as_float(prediction))
        self.n += len(p)
        good = self.prediction.update(p, lost)
        best = np.argmax(p, axis=1)
        if self.matrix:
            y = np.ascontiguousarray(as_float(target))
            good &= self.target.update(y, unknown)
            self.n_hit += int(np.count_nonzero(good & (np.argmax(y, axis=1) == best)))
            return
        y = as_float(target)
        self.target.update(y, unknown)
        finite = np.isfinite(y) if unknown is None else np.isfinite(y) & ~unknown
        self.values.update(y[finite], weights=None if weights is None else weights[finite])
        self.n_outside += int(np.count_nonzero(finite & ~((y >= 0) & (y < p.shape[1]) & (np.floor(y) == y))))
        self.n_hit += int(np.count_nonzero(good & (y == best)))
        self.n_hit_one += int(np.count_nonzero(good & (y - 1 == best)))

    def merge(self, other):
        """Add what another has seen."""
        if type(other) is not type(self):
            raise TypeError(f"can merge only another {type(self).__name__}, got {type(other).__name__}")
        agree(self, other.weighted)
        if other.matrix != self.matrix or len({self.width, other.width} - {None}) > 1:
            raise ValueError("only profiles of rows of the same length, and of the same kind of target, merge")
        for name in self.PARTS:
            getattr(self, name).merge(getattr(other, name))
        for name in self.COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.width, self.heaviest = self.width or other.width, max(self.heaviest, other.heaviest)
        return self
