"""What targets and their predictions look like, in pieces that merge exactly: fl.suggest judges by that. Memory is bounded.

Counts and extremes merge as they are; moments are exact sums and quantiles those of spread.py, so that nothing depends on the chunks.
"""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np

from fastloss.engine.environment import ieee
from fastloss.engine.errors import InputError
from fastloss.engine.exact import ONE, quotient
from fastloss.engine.groups import BLOCK, Counts, GroupSums
from fastloss.engine.spread import Spread

DISTINCT = 1000  # values that are told apart; a column with more of them holds no labels that one could list
QUANTILES = (0.0005, 0.005, 0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975, 0.995, 0.9995)


class Column:
    """Numbers: how many, which, how spread; and how spread by weight, where there are weights."""

    COUNTS = ("n_null", "n_nan", "n_inf", "n_zero", "n_negative", "n_above_one", "n_whole")

    def __init__(self):
        self.spread, self.weighted = Spread("skip", QUANTILES), None
        for name in self.COUNTS:
            setattr(self, name, 0)

    def update(self, values, nulls=None, weights=None):
        """Add float64 numbers, those of ``nulls`` (a mask) being none. weights: float64, finite and >= 0, or None."""
        if nulls is not None:
            self.n_null += int(np.count_nonzero(nulls))
            values, weights = values[~nulls], None if weights is None else weights[~nulls]
        finite = np.isfinite(values)
        if not finite.all():
            lost = int(np.count_nonzero(np.isnan(values)))
            self.n_nan += lost
            self.n_inf += len(values) - int(np.count_nonzero(finite)) - lost
            values, weights = values[finite], None if weights is None else weights[finite]
        self.n_zero += len(values) - int(np.count_nonzero(values))
        self.n_negative += int(np.count_nonzero(values < 0))
        self.n_above_one += int(np.count_nonzero(values > 1))
        self.n_whole += int(np.count_nonzero(np.floor(values) == values))
        self.spread.update(SimpleNamespace(losses=values, weights=None, divisor=None))
        if weights is not None:
            self._weighted().update(SimpleNamespace(losses=values, weights=weights, divisor=weights))

    def _weighted(self):
        self.weighted = self.weighted or Spread("skip", QUANTILES)
        return self.weighted

    def merge(self, other):
        for name in self.COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.spread.merge(other.spread)
        if other.weighted is not None:
            self._weighted().merge(other.weighted)

    def result(self):
        """A namespace of the counts, and of n (finite ones), min, max, mean, std, quantiles and histogram: None where n is 0. Likewise
        ``weighted``, of those of weight above 0, or None where there are no weights or none of these; its n_effective says how many
        numbers of equal weight would tell as much (Kish 1965): the square of the sum of weights over the sum of their squares."""
        facts = {name: getattr(self, name) for name in self.COUNTS}
        weighted = None
        if self.weighted is not None and self.weighted.n:
            total, squares = (Fraction(sums.totals().get(0, 0), ONE) for sums in self.weighted.sums[6:])
            # never above n; of weights whose squares are out of range of float64, it is no better known than that
            effective = min(total * total / squares, self.weighted.n) if squares else self.weighted.n
            weighted = described(self.weighted, n_effective=float(effective))
        return described(self.spread, **facts, weighted=weighted)


def described(spread, **facts):
    """A namespace of these facts and what a Spread found."""
    found = spread.result("") if spread.n else None
    names = ("min", "max", "mean", "std", "quantiles", "histogram")
    return SimpleNamespace(n=spread.n, **facts, **{name: getattr(found, name, None) for name in names})


class Values:
    """The values of a column, while they are DISTINCT or fewer: how often each occurs, the mean of the predictions beside it, and what it
    weighs, where there are weights."""

    def __init__(self):
        self.ids, self.counts, self.beside, self.sums, self.weights = {}, Counts(), Counts(), GroupSums(), GroupSums()
        self.last = None  # the values met, sorted

    def update(self, values, scores=None, keys=None, weights=None):
        """Add finite numbers, or with ``keys`` codes of those; ``scores`` and ``weights``: float64, as many."""
        for start in range(0, len(values), BLOCK):
            if self.ids is None:
                return
            there, codes = self._codes(values[start : start + BLOCK])
            ids = self._ids(there.tolist() if keys is None else [keys[i] for i in there.tolist()])
            if ids is None:
                return
            counts = np.bincount(codes, minlength=len(ids))
            self.counts.add(counts, ids)
            if weights is not None and len(codes):
                self.weights.add(weights[start : start + BLOCK].copy(), codes.astype(np.intp), ids, int(counts.max()))
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
        self.ids = self.counts = self.beside = self.sums = self.weights = self.last = None
        return None

    def merge(self, other):
        ids = None if self.ids is None or other.ids is None else self._ids(list(other.ids))
        if ids is None:
            self.ids = None
            return
        for name in ("counts", "beside", "sums", "weights"):
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

    def shares(self):
        """{value: its part of all weight}, in order of the values; None if they are too many, or weigh nothing."""
        totals = {} if self.ids is None else self.weights.totals()
        whole = sum(totals.values())
        return {value: quotient(totals.get(self.ids[value], 0), whole) for value in sorted(self.ids)} if whole else None


class Profile:
    """One prediction per target, in pieces: ``update``, ``merge``, and what was seen.

    target, prediction, residual   Column: of prediction minus target
    values, predicted              Values of the target and of the prediction
    n                              rows
    n_certain_wrong                rows of a target above 0, at most 1, and a prediction of exactly 0; or below 1, at least -1, and of 1
    dispersion                     Column of (y - p)**2 / p, where y >= 0 and p > 0: what a Poisson variable has 1 of in the mean
    weighted                       whether rows have weights, or None before the first; target, residual, dispersion and values know them
    heaviest                       the largest weight
    """

    PARTS = ("target", "prediction", "residual", "dispersion", "values", "predicted")
    rows = False

    def __init__(self):
        self.target, self.prediction, self.residual, self.dispersion = (Column() for _ in range(4))
        self.values, self.predicted = Values(), Values()
        self.n = self.n_certain_wrong = 0
        self.weighted, self.heaviest = None, 0.0
        self.words, self.bools = False, True  # is the target text? was it of bools alone?

    @ieee
    def update(self, target, prediction, sample_weight=None, *, keys=None, nulls=(None, None)):
        """Add one-dimensional arrays of equal length; with ``keys``, ``target`` are codes of those, -1 for none. ``nulls``: masks of
        missing values, or None. InputError for weights that are none."""
        p, lost, w = as_float(prediction), nulls[1], weights_of(self, sample_weight)
        self.n += len(p)
        known = ~(nulls[0] if nulls[0] is not None else np.zeros(len(p), bool))
        said = ~lost if lost is not None else np.ones(len(p), bool)
        self.prediction.update(p, lost)
        self.predicted.update(p[said & np.isfinite(p)])
        if keys is not None:
            known &= np.asarray(target) >= 0
            self.words = True
            self.target.n_null += len(p) - int(np.count_nonzero(known))
            self.values.update(np.asarray(target)[known], np.where(said, p, np.nan)[known], keys, None if w is None else w[known])
            return self
        self.bools &= np.asarray(target).dtype == bool
        y = as_float(target)
        self.target.update(y, nulls[0], w)
        finite = known & np.isfinite(y)
        self.values.update(y[finite], np.where(said, p, np.nan)[finite], weights=None if w is None else w[finite])
        both = finite & said & np.isfinite(p)
        if not both.all():
            y, p, w = y[both], p[both], None if w is None else w[both]
        with np.errstate(over="ignore"):
            self.residual.update(p - y, weights=w)
            self.n_certain_wrong += int(np.count_nonzero(((p == 0) & (y > 0) & (y <= 1)) | ((p == 1) & (y < 1) & (y >= -1))))
            fit = (p > 0) & (y >= 0)
            self.dispersion.update((y[fit] - p[fit]) ** 2 / p[fit], weights=None if w is None else w[fit])
        return self

    def merge(self, other):
        """Add what another has seen."""
        if type(other) is not type(self):
            raise TypeError(f"can merge only another {type(self).__name__}, got {type(other).__name__}")
        agree(self, other.weighted)
        for name in self.PARTS:
            getattr(self, name).merge(getattr(other, name))
        for name in ("n", "n_certain_wrong"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.heaviest = max(self.heaviest, other.heaviest)
        self.words, self.bools = self.words or other.words, self.bools and other.bools
        return self


def weights_of(profile, given):
    """The weights of an update as float64, or None. InputError for one that is negative, infinite or NaN."""
    weights = None if given is None else as_float(given)
    agree(profile, weights is not None)
    if weights is not None and len(bad := np.flatnonzero(~((weights >= 0) & (weights < np.inf)))):
        raise InputError(None, "sample_weight", "finite and >= 0", float(weights[bad[0]]), int(bad[0]))
    if weights is not None and len(weights):
        profile.heaviest = max(profile.heaviest, float(weights.max()))
    return weights


def agree(profile, weighted):
    """Note whether rows have weights; ValueError if others had them, or had none."""
    if None not in (profile.weighted, weighted) and profile.weighted != weighted:
        raise ValueError("some rows of a profile have weights, and others have none")
    profile.weighted = weighted if profile.weighted is None else profile.weighted


def as_float(array):
    """float64, the same array if it is that; Fractions of bfloat16 and byte orders are numpy's business."""
    return np.asarray(array).astype(np.float64, copy=False)
