"""Costs of the rows of each segment: exact, and merging to the same bits whatever the split, as those of a State."""

import math

import numpy as np

from fastloss.engine.configured import OUTER
from fastloss.engine.environment import ieee
from fastloss.engine.errorsums import ErrorSums
from fastloss.engine.exact import ONE, quotient
from fastloss.engine.groups import Counts, GroupSums, has_specials
from fastloss.engine.run import Tally
from fastloss.engine.spread import normal_interval

MAX_SEGMENTS = 10_000


class TooManySegments(ValueError):  # noqa: N818 - what it is called where it is met
    """There are more segments than were asked for. ``limit``: how many may be."""

    def __init__(self, limit):
        super().__init__(f"there are more than {limit} segments; raise max_segments, or choose what has fewer values")
        self.limit = limit


class SegmentCost:
    """What one loss comes to in a segment: name, cost (None if there is nothing to divide by), n, n_nan, n_inf, weight_sum (or None);
    standard_error and interval (low, high) as those of a SpreadResult, but None where they were not asked for."""

    __slots__ = ("name", "cost", "n", "n_nan", "n_inf", "weight_sum", "standard_error", "interval")

    def __init__(self, *fields):
        for name, value in zip(self.__slots__, fields, strict=True):
            setattr(self, name, value)

    def __repr__(self):
        return f"{type(self).__name__}(" + ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__) + ")"


class Segment:
    """values: of the columns, in their order, None for one that is missing. results: a SegmentCost per loss, in order. n: rows."""

    __slots__ = ("values", "results", "n")

    def __init__(self, values, results, n):
        self.values, self.results, self.n = values, results, n

    def __getitem__(self, name):
        """The cost of a loss, by its name."""
        return {result.name: result.cost for result in self.results}[name]

    def __repr__(self):
        return f"Segment(values={self.values!r}, n={self.n}, results={self.results!r})"


class LossSums:
    """What one computed loss adds up to by segment."""

    __slots__ = ("terms", "nan", "positive", "negative", "left", "left_rows", "shares")

    def __init__(self):
        self.terms, self.left, self.shares = GroupSums(), GroupSums(), GroupSums()
        self.nan, self.positive, self.negative, self.left_rows = Counts(), Counts(), Counts(), Counts()

    def merge(self, other, ids):
        for name in self.__slots__:
            getattr(self, name).merge(getattr(other, name), ids)


class Segments:
    """Sums of the computed losses of a State by segment.

    computed      the losses whose Sample each update takes, in order
    nan           the State's policy: with "skip", rows whose loss is NaN count only as such
    max_segments  more are refused, with TooManySegments
    confidence    of intervals of the costs, which are there unless it is None; not of costs that are computed from sums
    """

    def __init__(self, computed, nan="propagate", max_segments=MAX_SEGMENTS, confidence=None):
        self.computed, self.nan, self.max_segments, self.confidence = tuple(computed), nan, max_segments, confidence
        self.index, self.weighted, self._last, self._held = {}, False, ((), ()), np.empty(0)
        self.n, self.rows, self.weights = Counts(), Counts(), GroupSums()  # rows; those without a weight; weights of the others
        self.sums = [LossSums() for _ in self.computed]
        self.errors = [ErrorSums() for _ in self.computed] if confidence else []

    @ieee
    def update(self, keys, codes, samples):
        """Add rows: of segment ``keys[codes[i]]`` is row i. keys: hashable, none twice; codes: intp; samples: a Sample per loss."""
        counts = np.bincount(codes, minlength=len(keys))
        here = np.flatnonzero(counts)
        if not len(here):
            return self
        ids = self._known(keys, here)
        place, most = Place(codes, len(keys), here, ids), counts.max()
        self.n.add(counts[here], ids)
        common = next((sample.weights for sample in samples if sample.shares is None), None)
        whole = all(sample.divisor is common for sample in samples)
        if whole and common is None:
            self.rows.add(counts[here], ids)
        elif whole:
            self.weighted = True
            place.add(self.weights, common.copy(), most)
        for number, (sums, sample) in enumerate(zip(self.sums, samples, strict=True)):
            terms = sample.terms(self._room(len(codes)))
            if self.errors:
                self.errors[number].add(sample, terms, place, most)
            if has_specials(terms):
                self._specials(sums, sample, terms, place, most)
            place.add(sums.terms, terms, most)
            if not whole:
                divisor = np.ones(len(codes)) if sample.divisor is None else sample.divisor.copy()
                place.add(sums.shares, divisor, most)
                self.weighted |= sample.weights is not None
        return self

    def _specials(self, sums, sample, terms, place, most):
        """Count NaN and infinite terms, and make them 0."""
        bad = np.flatnonzero(~np.isfinite(terms))
        values, part = terms[bad], place.some(bad)
        for counts, chosen in ((sums.nan, np.isnan(values)), (sums.positive, values == np.inf), (sums.negative, values == -np.inf)):
            part.count(counts, chosen)
        lost = np.isnan(values)
        if sample.divisor is None:
            part.count(sums.left_rows, lost)
        else:
            place.some(bad[lost]).add(sums.left, sample.divisor[bad[lost]], most)
        terms[bad] = 0

    def _room(self, n):
        """Memory for n terms, the same for all."""
        if len(self._held) < n:
            self._held = np.empty(n)
        return self._held[:n]

    def _known(self, keys, here):
        """The numbers of the segments keys[i], i in ``here``; looked up once for each list."""
        listed, ids = self._last
        if listed is not keys or len(ids) != len(keys):
            ids = np.full(len(keys), -1, np.intp)
            self._last = keys, ids
        new = here[ids[here] < 0]
        if len(new):
            ids[new] = self._ids([keys[i] for i in new.tolist()])
        return ids[here]

    def _ids(self, keys):
        ids = np.empty(len(keys), np.intp)
        for i, key in enumerate(keys):
            found = self.index.get(key)
            if found is None:
                if len(self.index) >= self.max_segments:
                    raise TooManySegments(self.max_segments)
                found = self.index[key] = len(self.index)
            ids[i] = found
        return ids

    def merge(self, other, renamed=None):
        """Add what another has seen; it must be of the same losses and policy. renamed: from its keys to those here; several may be one."""
        if not isinstance(other, Segments):
            raise TypeError(f"can merge only other Segments, got {type(other).__name__}")
        if (other.computed, other.nan, other.confidence) != (self.computed, self.nan, self.confidence):
            raise ValueError("segments of different losses, NaN policies or intervals do not merge")
        keys = [key if renamed is None else renamed(key) for key in other.index]
        ids = dict(zip(other.index.values(), self._ids(keys).tolist(), strict=True))
        for mine, theirs in ((self.n, other.n), (self.rows, other.rows), (self.weights, other.weights)):
            mine.merge(theirs, ids)
        for mine, theirs in zip(self.sums, other.sums, strict=True):
            mine.merge(theirs, ids)
        for mine, theirs in zip(self.errors, other.errors, strict=True):
            mine.merge(theirs, ids)
        self.weighted |= other.weighted
        return self

    def tallies(self, i):
        """A Tally per computed loss of the segment with number i."""
        found = []
        for sums in self.sums:
            tally = Tally()
            tally.n, tally.total, tally.n_nan = self.n[i], sums.terms.totals().get(i, 0), sums.nan[i]
            tally.n_positive, tally.n_negative = sums.positive[i], sums.negative[i]
            tally.weight = self.rows[i] * ONE + self.weights.totals().get(i, 0) + sums.shares.totals().get(i, 0)
            if self.nan == "skip":
                tally.weight -= sums.left_rows[i] * ONE + sums.left.totals().get(i, 0)
            found.append(tally)
        return found

    def results(self, names, losses, which):
        """[Segment] in the order of their values: numbers, then dates, then text, what is missing last. names, losses: of a State; which:
        of what computed losses each is made."""
        segments = []
        for key in sorted(self.index, key=order):
            tallies, results = self.tallies(self.index[key]), []
            for name, loss, of in zip(names, losses, which, strict=True):
                tally, mine = tallies[of[0]], [tallies[j] for j in of]
                cost = cost_of(loss, mine, self.nan)
                weight_sum = quotient(tally.weight, ONE) if self.weighted else None
                n_inf, error = tally.n_positive + tally.n_negative, self._error(of, loss, self.index[key], tally)
                results.append(SegmentCost(name, cost, tally.n, tally.n_nan, n_inf, weight_sum, *error))
            segments.append(Segment(key, results, self.n[self.index[key]]))
        return segments

    def _error(self, of, loss, i, tally):
        """(standard error, interval) of the mean that a cost is, or is made of."""
        if not self.errors or loss.definition.terms:
            return None, None
        mean = tally.mean(self.nan == "skip") if tally.weight else math.nan
        error = self.errors[of[0]].standard_error(i, tally)
        if error is None:
            return None, None
        if not math.isfinite(mean):
            error = math.nan
        return error, normal_interval(mean, error, self.confidence, loss.definition.outer)


def cost_of(loss, tallies, nan):
    """The cost, or None if there is nothing to divide by."""
    if any(tally.weight == 0 for tally in tallies):
        return None
    if loss.definition.terms:
        return loss.cost_of(tallies, nan)
    return OUTER[loss.definition.outer](tallies[0].mean(nan == "skip"))


def order(key):
    """What keys, tuples of values, are sorted by."""
    kinds = {bool: 0, int: 0, float: 0, str: 2, type(None): 3}
    return [
        (kinds.get(type(value), 1), str(value) if kinds.get(type(value), 1) == 1 else value if value is not None else 0) for value in key
    ]


class Place:
    """Where the rows of an update belong: codes below ``size``, of which those ``here`` occur and have the numbers ``ids``."""

    __slots__ = ("codes", "size", "here", "ids")

    def __init__(self, codes, size, here, ids):
        self.codes, self.size, self.here, self.ids = codes, size, here, ids

    def some(self, rows):
        return Place(self.codes[rows], self.size, self.here, self.ids)

    def add(self, sums, values, most):
        sums.add(values, self.codes, self.ids, most, self.here, self.size)

    def count(self, counts, chosen):
        counts.add(np.bincount(self.codes[chosen], minlength=self.size)[self.here], self.ids)
