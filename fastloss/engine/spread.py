"""How the losses of single samples spread: extremes, quantiles of bounded relative error, standard deviation, standard error of the mean.

The quantiles are read off a histogram whose buckets are the high bits of a float64: sign, exponent and BITS bits of the mantissa. So a
bucket is 1/64 of its lower end wide or less, its middle is within 1/128 of all it holds, and histograms add up to the same in any order
(the idea of DDSketch, Masson et al. 2019, with buckets that need no logarithm). Zeros and infinities have buckets of their own.
"""

import itertools
import math
from fractions import Fraction
from statistics import NormalDist

import numpy as np

from fastloss.engine.configured import OUTER
from fastloss.engine.environment import ieee
from fastloss.engine.exact import ONE, quotient
from fastloss.engine.groups import BLOCK, GroupSums, has_specials
from fastloss.engine.portable import count, number, positive, read_number, read_whole, whole

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BITS = 6
SHIFT = 52 - BITS
TOP = 1 << (63 - SHIFT)  # buckets of one sign; the last of them from INFINITE on are infinity (and NaN, which never comes here)
INFINITE = 0x7FF << BITS
MAGNITUDE = np.int64(2**63 - 1)
COUNTED = ("n", "n_nan", "n_plain", "n_infinite", "n_beyond")
ONLY = np.zeros(1, np.intp)
root = ieee(math.sqrt)


class Histogram:
    """Buckets in ascending order, without empty ones: low and high (float64 arrays; of zeros and infinities equal), count (int64), weight
    (float64, rounded from exact sums; count where there are no weights). Of low < high, values are low <= x < high, of negative ones
    low < x <= high."""

    __slots__ = ("low", "high", "count", "weight")

    def __init__(self, *arrays):
        for name, array in zip(self.__slots__, arrays, strict=True):
            setattr(self, name, array)

    def bins(self, edges):
        """The same in len(edges) + 1 bins, empty ones among them: of what is below the first of ascending ``edges``, between it and the
        second ..., from the last on. An edge moves to the low end of the bucket that it is in, by 1/64 of it or less, so that counts and
        weights stay exact; edges that meet there are one. ValueError for edges that are none."""
        given = np.asarray(edges, np.float64) + 0.0
        if given.ndim != 1 or not len(given) or np.isnan(given).any() or (np.diff(given) < 0).any():
            raise ValueError(f"`edges` must be one number or more, in ascending order, got {edges!r}")
        ends = np.unique(bucket_of(given))
        near = np.where(self.low < 0, self.high, self.low) + 0.0  # the end of each bucket that belongs to it
        places = np.searchsorted(ends, bucket_of(near), side="right")
        ends = [span(bucket)[0] for bucket in ends.tolist()]
        count = np.zeros(len(ends) + 1, np.int64)
        np.add.at(count, places, self.count)
        return Histogram(np.array([-np.inf, *ends]), np.array([*ends, np.inf]), count, np.bincount(places, self.weight, len(count)))

    def ecdf(self):
        """(x, share), float64 arrays: the losses up to x have that share of the weight. x are the buckets' high ends, so the curve lies
        right of the true one by 1/64 of x or less; the last share is 1 (0 if nothing weighs anything)."""
        total = np.cumsum(self.weight)
        return self.high.copy(), total / (total[-1] or 1.0)

    def __repr__(self):
        return f"<Histogram of {int(self.count.sum())} in {len(self.count)} buckets>"


class SpreadResult:
    """What a Spread comes to:

    name            the loss; all is of its per-sample losses, of root_mean_squared_error those of squared_error
    n, n_nan        samples that count, and those whose loss is NaN; samples of weight 0 are of neither
    min, max        the extremes, exact
    quantiles       {q: value}: the least loss such that those not above it have q of the weight, within 1/128 of it (not of losses nearer
                    to 0 than 2**-1022)
    mean, std       weighted mean; root of the weighted mean of squared differences from it (the sum of weights divides)
    standard_error  of the mean, for samples that are independent: sqrt(n / (n - 1) sum (w (l - mean))**2) / sum w, None for n < 2
    interval        (low, high) of the cost, by the normal distribution, or None; confidence says of which probability
    histogram       a Histogram
    All but n, n_nan and histogram are NaN if a loss is, unless NaN are skipped.
    """

    __slots__ = ("name", "n", "n_nan", "min", "max", "quantiles", "mean", "std", "standard_error", "interval", "confidence", "histogram")

    def __init__(self, **fields):
        for name, value in fields.items():
            setattr(self, name, value)

    __repr__ = lambda self: f"SpreadResult({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__slots__)})"  # noqa: E731


class Spread:
    """The spread of one loss, in pieces: ``update(sample)``, with a Sample of engine/samples.py; merges exactly.

    quantiles   which ones, numbers in [0, 1]
    confidence  of the interval: above 0 and below 1
    """

    def __init__(self, nan="propagate", quantiles=QUANTILES, confidence=0.95):
        self.nan, self.quantiles, self.confidence = nan, checked(quantiles), confidence
        if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 < confidence < 1:
            raise ValueError(f"`confidence` must be a number above 0 and below 1, got {confidence!r}")
        self.n = self.n_nan = self.n_plain = self.n_infinite = self.n_beyond = 0
        self.min, self.max = math.inf, -math.inf
        self.counts, self.plain, self.weights = np.zeros(2 * TOP, np.int64), np.zeros(2 * TOP, np.int64), GroupSums()
        self.numbers, self.numbered = np.full(2 * TOP, -1, np.int32), []  # of buckets that have weights, and back
        # exact sums, without weights: l, l**2; with: w l, w l**2, (w l)**2, w l d, d, d**2, where d is what the sum of weights has of it
        self.sums = [GroupSums() for _ in range(8)]

    @ieee
    def update(self, sample):
        """Add samples."""
        for start in range(0, len(sample.losses), BLOCK):
            here = slice(start, start + BLOCK)
            weights, divisor = (None if part is None else part[here] for part in (sample.weights, sample.divisor))
            self._update(sample.losses[here].astype(np.float64), weights, divisor)
        return self

    def _update(self, losses, weights, divisor):
        lost = np.isnan(losses)
        kept = ~lost if divisor is None else ~lost & (divisor > 0)
        self.n_nan += int(np.count_nonzero(lost))
        if not kept.all():
            losses, weights, divisor = (None if part is None else part[kept] for part in (losses, weights, divisor))
        if not len(losses):
            return
        self.n += len(losses)
        self.min, self.max = min(self.min, float(losses.min())), max(self.max, float(losses.max()))
        losses += 0.0  # -0.0 becomes 0.0
        buckets = bucket_of(losses)
        first = int(buckets.min())
        buckets -= first
        counts = np.bincount(buckets)
        here = np.flatnonzero(counts)
        self.counts[first : first + len(counts)] += counts
        if divisor is None:
            self.plain[first : first + len(counts)] += counts
            self.n_plain += len(losses)
        else:
            self.weights.add(divisor.copy(), buckets, self._numbers(here + first), counts.max(), here, len(counts))
        if not (math.isfinite(self.min) and math.isfinite(self.max)):
            finite = np.isfinite(losses)
            self.n_infinite += int(np.count_nonzero(~finite))
            losses, weights, divisor = (None if part is None else part[finite] for part in (losses, weights, divisor))
        self._add(losses, weights, divisor)

    def _add(self, losses, weights, divisor):
        with np.errstate(over="ignore", under="ignore"):
            if divisor is None:
                parts = {0: losses.copy(), 1: losses * losses}
            else:
                terms = losses if weights is None else losses * weights
                parts = {2: terms.copy(), 3: terms * losses, 4: terms * terms, 5: terms * divisor, 6: divisor.copy(), 7: divisor * divisor}
        for i, part in parts.items():
            if has_specials(part):
                beyond = ~np.isfinite(part)
                self.n_beyond += int(np.count_nonzero(beyond))
                part[beyond] = 0
            self.sums[i].add(part, None, ONLY, max(1, len(part)))

    def merge(self, other):
        """Add what another has seen; it must be of the same policy."""
        if not isinstance(other, Spread):
            raise TypeError(f"can merge only another Spread, got {type(other).__name__}")
        if other.nan != self.nan:
            raise ValueError(f"spreads of different NaN policies do not merge: {self.nan!r} and {other.nan!r}")
        for name in (*COUNTED, "counts", "plain"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.min, self.max = min(self.min, other.min), max(self.max, other.max)
        for mine, theirs in zip(self.sums, other.sums, strict=True):
            mine.merge(theirs)
        self.weights.merge(other.weights, self._numbers(np.array(other.numbered, np.intp)).tolist())
        return self

    def fields(self):
        """What was seen, as JSON: the same for the same samples, however they came."""
        weighed, buckets = self.weights.totals(), np.flatnonzero(self.counts)
        weights = [weighed.get(i, 0) for i in self.numbers[buckets].tolist()]
        parts = buckets.tolist(), self.counts[buckets].tolist(), self.plain[buckets].tolist(), map(whole, weights)
        return {
            **{name: getattr(self, name) for name in COUNTED}, "min": number(self.min), "max": number(self.max),
            "buckets": list(map(list, zip(*parts, strict=True))), "sums": [whole(sums.totals().get(0, 0)) for sums in self.sums],
        }  # fmt: skip

    def take(self, fields):
        """Hold what ``fields`` told, in an empty one. ValueError if no Spread tells that."""
        for name in COUNTED:
            setattr(self, name, count(fields[name]))
        self.min, self.max = (read_number(fields[name], special=False) for name in ("min", "max"))
        buckets, counts, plain, weights = map(list, zip(*fields["buckets"], strict=True)) if fields["buckets"] else ([], [], [], [])
        if any(b <= a for a, b in zip([-1, *map(count, buckets)], buckets, strict=False)) or (buckets and buckets[-1] >= 2 * TOP):
            raise ValueError("buckets are out of order")
        if any(not 0 <= part <= whole_ for part, whole_ in zip(map(count, plain), map(count, counts), strict=True)) or 0 in counts:
            raise ValueError("buckets do not agree with themselves")
        ends = (self.min, self.max) if buckets else ()
        if [sum(counts), sum(plain)] != [self.n, self.n_plain] or [int(bucket_of(np.array([end + 0.0]))[0]) for end in ends] != [
            *buckets[:1], *buckets[-1:]
        ]:  # fmt: skip
            raise ValueError("buckets do not agree with counts and extremes")
        self.counts[buckets], self.plain[buckets] = counts, plain
        numbers = self._numbers(np.array(buckets, np.intp)).tolist()
        self.weights.given(dict(zip(numbers, map(positive, weights), strict=True)))
        for sums, total in zip(self.sums, fields["sums"], strict=True):
            sums.given({0: read_whole(total)})
        return self

    def _numbers(self, buckets):
        """Numbers 0, 1, ... of buckets, in the order in which they come."""
        for bucket in buckets[self.numbers[buckets] < 0].tolist():
            self.numbers[bucket] = len(self.numbered)
            self.numbered.append(bucket)
        return self.numbers[buckets].astype(np.intp)

    def result(self, name, outer=None):
        """The SpreadResult; ValueError if there are no samples. outer: of the loss whose cost the interval is of."""
        if not self.n:
            raise ValueError("there is no spread of no samples: none, or all of weight zero, or all NaN")
        here = np.flatnonzero(self.counts).tolist()
        weighed, numbers = self.weights.totals(), self.numbers[here].tolist()
        weights = [int(self.plain[i]) * ONE + weighed.get(number, 0) for i, number in zip(here, numbers, strict=True)]
        histogram = Histogram(*(np.array(part) for part in (
            [span(i)[0] for i in here], [span(i)[1] for i in here], self.counts[here], [quotient(weight, ONE) for weight in weights]
        )))  # fmt: skip
        unknown = self.n_nan > 0 and self.nan != "skip"
        found = dict(zip(("min", "max"), (math.nan,) * 2 if unknown else (self.min, self.max), strict=True))
        found["quantiles"] = {q: math.nan if unknown else self._quantile(q, here, weights) for q in self.quantiles}
        mean, std, error = (math.nan,) * 3 if unknown else self._moments()
        interval = None if error is None else normal_interval(mean, error, self.confidence, outer)
        return SpreadResult(
            name=name, n=self.n, n_nan=self.n_nan, mean=mean, std=std, standard_error=error, interval=interval, confidence=self.confidence,
            histogram=histogram, **found,
        )  # fmt: skip

    def _quantile(self, q, here, weights):
        wanted = Fraction(str(q)) * sum(weights)
        passed = itertools.accumulate(weights)
        low, high = span(next(bucket for bucket, weight in zip(here, passed, strict=True) if weight >= wanted and weight))
        return max(self.min, min(self.max, low if low == high else low + (high - low) / 2))

    @ieee
    def _moments(self):
        """(mean, std, standard error) of exact sums."""
        if self.n_infinite:
            infinite = math.inf if self.min > -math.inf else -math.inf if self.max < math.inf else math.nan
            return infinite, math.nan, math.nan
        l1, l2, wl, wll, wlwl, wld, d, dd = (Fraction(sums.totals().get(0, 0), ONE) for sums in self.sums)
        total, weight = l1 + wl, self.n_plain + d
        mean = total / weight
        variance = (l2 + wll) / weight - mean * mean if not self.n_beyond else None
        squares = l2 + wlwl - 2 * mean * (l1 + wld) + mean * mean * (self.n_plain + dd)
        number = quotient(mean.numerator, mean.denominator)
        if self.n_beyond:
            return number, math.inf, math.inf
        error = None if self.n < 2 else positive_root(squares * Fraction(self.n, self.n - 1) / (weight * weight))
        return number, positive_root(variance), error


def normal_interval(mean, error, confidence, outer=None):
    """(low, high) of a cost that is a mean, or the root or exponential of one, by the normal distribution."""
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) * error
    low, high = mean - reach, mean + reach
    return OUTER[outer](max(low, 0.0) if outer == "sqrt" else low), OUTER[outer](high)


def positive_root(number):
    """Of a fraction, which roundings of the squares may have made negative."""
    return root(quotient(number.numerator, number.denominator)) if number > 0 else 0.0


def checked(quantiles):
    """Quantiles as a tuple of numbers in [0, 1]."""
    try:
        given = tuple(quantiles)
    except TypeError:
        given = (quantiles,)
    for q in given:
        if isinstance(q, bool) or not isinstance(q, int | float) or not 0 <= q <= 1:
            raise ValueError(f"`quantiles` must be numbers from 0 to 1, got {q!r}")
    return given


def bucket_of(values):
    """The buckets of float64 numbers, none of them NaN or -0.0."""
    bits = values.view(np.int64)
    buckets = (bits & MAGNITUDE) >> SHIFT
    if values.min() < 0:
        return np.where(bits < 0, TOP - 1 - buckets, TOP + buckets)
    buckets += TOP
    return buckets


def span(bucket):
    """(low, high) of a bucket: of zeros (and what is below 2**-1028) and infinities both the same."""
    place = bucket - TOP if bucket >= TOP else TOP - 1 - bucket
    low, high = np.array([place << SHIFT, min(place + 1, INFINITE) << SHIFT], np.int64).view(np.float64).tolist()
    if place == 0:
        high = 0.0
    return (low, high) if bucket >= TOP else (-high, -low)
