"""Costs of the rows of each segment: exact, and merging to the same bits whatever the split, as those of a State."""

import math

import numpy as np

from fastloss.engine.configured import OUTER
from fastloss.engine.environment import ieee
from fastloss.engine.errorsums import ErrorSums, Place
from fastloss.engine.exact import ONE, quotient
from fastloss.engine.grouped import Grouped
from fastloss.engine.portable import flag, read_value, value_fields
from fastloss.engine.records import Record
from fastloss.engine.spread import normal_interval

MAX_SEGMENTS = 10_000


class TooManySegments(ValueError):  # noqa: N818 - what it is called where it is met
    """There are more segments than were asked for. ``limit``: how many may be."""

    def __init__(self, limit):
        super().__init__(f"there are more than {limit} segments; raise max_segments, or choose what has fewer values")
        self.limit = limit


class SegmentCost(Record):
    """What one loss comes to in a segment: name, cost (None if there is nothing to divide by), n, n_nan, n_inf, weight_sum (or None);
    standard_error and interval (low, high) as those of a SpreadResult, but None where they were not asked for."""

    __slots__ = ("name", "cost", "n", "n_nan", "n_inf", "weight_sum", "standard_error", "interval")


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


class Segments:
    """Sums of the computed losses of a State by segment.

    computed      the losses whose Sample each update takes, in order
    nan           the State's policy: with "skip", rows whose loss is NaN count only as such
    max_segments  more are refused, with TooManySegments
    confidence    of intervals of the costs, which are there unless it is None; not of costs that are computed from sums
    """

    def __init__(self, computed, nan="propagate", max_segments=MAX_SEGMENTS, confidence=None):
        self.computed, self.nan, self.max_segments, self.confidence = tuple(computed), nan, max_segments, confidence
        self.index, self.weighted, self._last = {}, False, ((), ())
        self.sums = [Grouped(nan == "skip") for _ in self.computed]
        self.errors = [ErrorSums() for _ in self.computed] if confidence else []

    @ieee
    def update(self, keys, codes, samples, n_threads=None):
        """Add rows: of segment ``keys[codes[i]]`` is row i. keys: hashable, none twice; codes: integers; samples: a Sample per loss."""
        codes, rows = np.asarray(codes), len(samples[0].losses)
        if codes.dtype.kind not in "iu" or codes.shape != (rows,):  # kernels read as many as there are rows
            raise ValueError(f"`codes` must be {rows} integers, one for each row, got {codes.dtype} of shape {codes.shape}")
        codes = np.ascontiguousarray(codes, np.intp)
        ids = self._known(keys, codes)
        for sums, sample in zip(self.sums, samples, strict=True):
            sums.add(sample, codes, ids, len(self.index), n_threads)
            self.weighted |= sample.weights is not None
        if self.errors and len(codes):
            counts = np.bincount(codes, minlength=len(keys))
            here = np.flatnonzero(counts)
            for errors, sample in zip(self.errors, samples, strict=True):
                errors.add(sample, sample.terms(), Place(codes, len(keys), here, ids[here]), counts.max())
        return self

    def _known(self, keys, codes):
        """The numbers of the segments ``keys``, of those at least that the codes name; looked up once for each list."""
        listed, ids = self._last
        if listed is not keys or len(ids) != len(keys):
            ids = np.concatenate([ids, np.full(len(keys) - len(ids), -1)]) if listed is keys else np.full(len(keys), -1, np.intp)
            self._last = keys, ids
        if len(codes) and (not len(ids) or ids.min() < 0):
            here = np.flatnonzero(np.bincount(codes, minlength=len(keys)))
            new = here[ids[here] < 0]
            ids[new] = self._ids([keys[i] for i in new.tolist()])
        return ids

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
        for mine, theirs in zip(self.sums, other.sums, strict=True):
            mine.merge(theirs, ids)
        for mine, theirs in zip(self.errors, other.errors, strict=True):
            mine.merge(theirs, ids)
        self.weighted |= other.weighted
        return self

    def fields(self):
        """Keys and sums as JSON, in the order of the keys. TypeError if a key's values are such as no file has."""
        keys = sorted(self.index, key=order)
        ids = [self.index[key] for key in keys]
        return {
            "keys": [list(map(value_fields, key)) for key in keys], "weighted": self.weighted,
            "sums": [one.fields(ids) for one in self.sums], "errors": [one.fields(ids) for one in self.errors],
        }  # fmt: skip

    def take(self, fields):
        """Hold what ``fields`` told, in empty ones. ValueError if no Segments tell that."""
        keys, self.weighted = [tuple(map(read_value, key)) for key in fields["keys"]], flag(fields["weighted"])
        self.index = {key: i for i, key in enumerate(keys)}
        if len(self.index) < len(keys) or len(keys) > self.max_segments or len(set(map(len, keys))) > 1:
            raise ValueError("segments are too many, come twice, or are of different columns")
        for sums, found in zip(self.sums, fields["sums"], strict=True):
            if len(found) != len(keys):
                raise ValueError("segments and sums do not match")
            sums.take(found)
            if len(sums.held) < len(keys):
                raise ValueError("a segment has no rows")
        for errors, found in zip(self.errors, fields["errors"], strict=True):
            if len(found) != len(keys):
                raise ValueError("segments and their errors do not match")
            errors.take(found)
        return self

    def results(self, names, losses, which):
        """[Segment] in the order of their values: numbers, then dates, then text, what is missing last. names, losses: of a State; which:
        of what computed losses each is made."""
        segments, sums = [], [grouped.tallies() for grouped in self.sums]
        for key in sorted(self.index, key=order):
            tallies, results = [found[self.index[key]] for found in sums], []
            for name, loss, of in zip(names, losses, which, strict=True):
                tally, mine = tallies[of[0]], [tallies[j] for j in of]
                cost = cost_of(loss, mine, self.nan)
                weight_sum = quotient(tally.weight, ONE) if self.weighted else None
                n_inf, error = tally.n_positive + tally.n_negative, self._error(of, loss, self.index[key], tally)
                results.append(SegmentCost(name, cost, tally.n, tally.n_nan, n_inf, weight_sum, *error))
            segments.append(Segment(key, results, tallies[0].n))
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
