"""What targets and their predictions look like, in pieces that merge exactly: fl.suggest judges by that. Memory is bounded.

Counts and extremes merge as they are; moments are exact sums and quantiles those of spread.py, so that nothing depends on the chunks.
"""

import math
from types import SimpleNamespace

import numpy as np

from fastloss.engine.environment import ieee
from fastloss.engine.exact import ONE, quotient
from fastloss.engine.groups import BLOCK, Counts, GroupSums
from fastloss.engine.spread import Spread

DISTINCT = 1000  # values that are told apart; a column with more of them holds no labels that one could list
SUM_TOLERANCE = 1e-3  # of a row's sum from 1: float32 sums of 10**4 classes and numbers of 4 written digits pass, a lost class does not
QUANTILES = (0.0005, 0.005, 0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975, 0.995, 0.9995)
PIECE = 1 << 18  # scores of rows at a time


class Column:
    """Numbers: how many, which, how spread."""

    COUNTS = ("n_null", "n_nan", "n_inf", "n_zero", "n_negative", "n_above_one", "n_whole")

    def __init__(self):
        self.spread = Spread("skip", QUANTILES)
        for name in self.COUNTS:
            setattr(self, name, 0)

    def update(self, values, nulls=None):
        """Add float64 numbers, those of ``nulls`` (a mask) being none."""
        if nulls is not None:
            self.n_null += int(np.count_nonzero(nulls))
            values = values[~nulls]
        finite = np.isfinite(values)
        if not finite.all():
            lost = int(np.count_nonzero(np.isnan(values)))
            self.n_nan += lost
            self.n_inf += len(values) - int(np.count_nonzero(finite)) - lost
            values = values[finite]
        self.n_zero += len(values) - int(np.count_nonzero(values))
        self.n_negative += int(np.count_nonzero(values < 0))
        self.n_above_one += int(np.count_nonzero(values > 1))
        self.n_whole += int(np.count_nonzero(np.floor(values) == values))
        self.spread.update(SimpleNamespace(losses=values, weights=None, divisor=None))

    def merge(self, other):
        for name in self.COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.spread.merge(other.spread)

    def result(self):
        """A namespace of the counts, and of n (finite ones), min, max, mean, std, quantiles and histogram: None where n is 0."""
        facts = {name: getattr(self, name) for name in self.COUNTS}
        found = self.spread.result("") if self.spread.n else None
        names = ("min", "max", "mean", "std", "quantiles", "histogram")
        return SimpleNamespace(n=self.spread.n, **facts, **{name: getattr(found, name, None) for name in names})


class Values:
    """The values of a column, while they are DISTINCT or fewer: how often each occurs, and the mean of the predictions beside it."""

    def __init__(self):
        self.ids, self.counts, self.beside, self.sums = {}, Counts(), Counts(), GroupSums()
        self.last = None  # the values met, sorted

    def update(self, values, scores=None, keys=None):
        """Add finite numbers, or with ``keys`` codes of those; ``scores``: float64, as many."""
        for start in range(0, len(values), BLOCK):
            if self.ids is None:
                return
            there, codes = self._codes(values[start : start + BLOCK])
            ids = self._ids(there.tolist() if keys is None else [keys[i] for i in there.tolist()])
            if ids is None:
                return
            self.counts.add(np.bincount(codes, minlength=len(ids)), ids)
            if scores is None:
                continue
            near = scores[start : start + BLOCK]
            kept = np.isfinite(near)
            codes, near = codes[kept].astype(np.intp), near[kept]
            beside = np.bincount(codes, minlength=len(ids))
            self.beside.add(beside, ids)
            if len(near):
                self.sums.add(near, codes, ids, int(beside.max()))

    def _codes(self, part):
        """np.unique(part, return_inverse=True), but for values that are there no more: known ones are looked up, which sorts nothing."""
        if self.last is not None and self.last.dtype == part.dtype:
            codes = np.minimum(np.searchsorted(self.last, part), len(self.last) - 1)
            if np.array_equal(self.last[codes], part):
                return self.last, codes
        there, codes = np.unique(part, return_inverse=True)
        self.last = there if self.last is None or self.last.dtype != part.dtype else np.union1d(self.last, there)
        self.last = self.last if len(self.last) <= DISTINCT else None
        return there, codes

    def _ids(self, values):
        """Numbers of values, new ones for new values; None, for good, if they are too many."""
        for value in values:
            self.ids.setdefault(value, len(self.ids))
        if len(self.ids) <= DISTINCT:
            return np.array([self.ids[value] for value in values], np.intp)
        self.ids = self.counts = self.beside = self.sums = self.last = None
        return None

    def merge(self, other):
        ids = None if self.ids is None or other.ids is None else self._ids(list(other.ids))
        if ids is None:
            self.ids = None
            return
        for name in ("counts", "beside", "sums"):
            getattr(self, name).merge(getattr(other, name), ids.tolist())

    def result(self):
        """{value: (how many, mean of the predictions beside it, or None)} in order of the values, or None if they are too many."""
        if self.ids is None:
            return None
        totals, found = self.sums.totals(), {}
        for value in sorted(self.ids):
            i = self.ids[value]
            beside = self.beside[i]
            found[value] = (self.counts[i], quotient(totals.get(i, 0), beside * ONE) if beside else None)
        return found


class Profile:
    """One prediction per target, in pieces: ``update``, ``merge``, and what was seen.

    target, prediction, residual   Column: of prediction minus target
    values, predicted              Values of the target and of the prediction
    n                              rows
    n_certain_wrong                rows of a target above 0, at most 1, and a prediction of exactly 0; or below 1, at least -1, and of 1
    dispersion                     Column of (y - p)**2 / p, where y >= 0 and p > 0: what a Poisson variable has 1 of in the mean
    """

    PARTS = ("target", "prediction", "residual", "dispersion", "values", "predicted")
    rows = False

    def __init__(self):
        self.target, self.prediction, self.residual, self.dispersion = (Column() for _ in range(4))
        self.values, self.predicted = Values(), Values()
        self.n = self.n_certain_wrong = 0
        self.words, self.bools = False, True  # is the target text? was it of bools alone?

    @ieee
    def update(self, target, prediction, *, keys=None, nulls=(None, None)):
        """Add one-dimensional arrays of equal length; with ``keys``, ``target`` are codes of those, -1 for none. ``nulls``: masks of
        missing values, or None."""
        p, lost = as_float(prediction), nulls[1]
        self.n += len(p)
        known = ~(nulls[0] if nulls[0] is not None else np.zeros(len(p), bool))
        said = ~lost if lost is not None else np.ones(len(p), bool)
        self.prediction.update(p, lost)
        self.predicted.update(p[said & np.isfinite(p)])
        if keys is not None:
            known &= np.asarray(target) >= 0
            self.words = True
            self.target.n_null += len(p) - int(np.count_nonzero(known))
            self.values.update(np.asarray(target)[known], np.where(said, p, np.nan)[known], keys)
            return self
        self.bools &= np.asarray(target).dtype == bool
        y = as_float(target)
        self.target.update(y, nulls[0])
        finite = known & np.isfinite(y)
        self.values.update(y[finite], np.where(said, p, np.nan)[finite])
        both = finite & said & np.isfinite(p)
        y, p = (y, p) if both.all() else (y[both], p[both])
        with np.errstate(over="ignore"):
            self.residual.update(p - y)
            self.n_certain_wrong += int(np.count_nonzero(((p == 0) & (y > 0) & (y <= 1)) | ((p == 1) & (y < 1) & (y >= -1))))
            fit = (p > 0) & (y >= 0)
            self.dispersion.update((y[fit] - p[fit]) ** 2 / p[fit])
        return self

    def merge(self, other):
        """Add what another has seen."""
        if type(other) is not type(self):
            raise TypeError(f"can merge only another {type(self).__name__}, got {type(other).__name__}")
        for name in self.PARTS:
            getattr(self, name).merge(getattr(other, name))
        for name in ("n", "n_certain_wrong"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.words, self.bools = self.words or other.words, self.bools and other.bools
        return self


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
    """

    PARTS, COUNTS = ("target", "prediction", "values"), ("n", "n_hit", "n_hit_one", "n_outside")
    rows = True

    def __init__(self, matrix=False):
        self.matrix, self.width = matrix, None
        self.target, self.prediction, self.values = Scores() if matrix else Column(), Scores(), Values()
        self.n = self.n_hit = self.n_hit_one = self.n_outside = 0

    @ieee
    def update(self, target, prediction, *, nulls=(None, None)):
        """Add an array of shape (n,), or (n, C) where targets are rows, and one of (n, C). ``nulls``: masks of rows, or None."""
        width = prediction.shape[1]
        if self.width not in (None, width):
            raise ValueError(f"`prediction` has rows of {width}, and had rows of {self.width} before")
        self.width = width
        step = max(1, PIECE // max(1, width))
        for start in range(0, len(prediction), step):
            here = slice(start, start + step)
            self._update(target[here], prediction[here], *(None if mask is None else mask[here] for mask in nulls))
        return self

    def _update(self, target, prediction, unknown, lost):
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
        self.values.update(y[finite])
        self.n_outside += int(np.count_nonzero(finite & ~((y >= 0) & (y < p.shape[1]) & (np.floor(y) == y))))
        self.n_hit += int(np.count_nonzero(good & (y == best)))
        self.n_hit_one += int(np.count_nonzero(good & (y - 1 == best)))

    def merge(self, other):
        """Add what another has seen."""
        if type(other) is not type(self):
            raise TypeError(f"can merge only another {type(self).__name__}, got {type(other).__name__}")
        if other.matrix != self.matrix or len({self.width, other.width} - {None}) > 1:
            raise ValueError("only profiles of rows of the same length, and of the same kind of target, merge")
        for name in self.PARTS:
            getattr(self, name).merge(getattr(other, name))
        for name in self.COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.width = self.width or other.width
        return self


def as_float(array):
    """float64, the same array if it is that; Fractions of bfloat16 and byte orders are numpy's business."""
    return np.asarray(array).astype(np.float64, copy=False)
