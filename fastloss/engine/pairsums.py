"""What two sets of losses of the same samples add up to, by segment: exact sums, of which costs, differences and standard errors are made.

The standard error of a difference takes sums of squares and of products, too. All of them are exact: a product of two float64 is the sum of
two float64, itself rounded and what that left out (Dekker 1971), and both are added. So a result has the same bits whatever the chunks, and
what is subtracted at the end loses no digits.
"""

import math
from fractions import Fraction

import numpy as np

from fastloss.engine.environment import ieee
from fastloss.engine.exact import ONE, quotient
from fastloss.engine.grouped import Grouped
from fastloss.engine.groups import Counts
from fastloss.engine.run import Tally
from fastloss.engine.samples import Sample
from fastloss.engine.segments import Segments
from fastloss.engine.spread import positive_root

SPLITTER = 2.0**27 + 1
COUNTS = ("counted", "nan", "infinite", "better_a", "better_b", "equal")
PRODUCTS = ("aa", "ab", "bb")  # of the terms w * loss of A and of B; with weights also of d, what a sample counts for in their sum:
WEIGHTED = ("ad", "bd", "dd")
ALL = [()]  # the segments where there are none


def product(x, y):
    """(x * y, what its rounding left out) of float64 arrays; exact where the product is between 2**-960 and 2**996."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        rounded = x * y
        (x_high, x_low), (y_high, y_low) = halves(x), (halves(x) if x is y else halves(y))
        rest = ((x_high * y_high - rounded) + x_high * y_low + x_low * y_high) + x_low * y_low
    rest[~np.isfinite(rest)] = 0
    return rounded, rest


def halves(x):
    """Two float64 of 26 bits that add up to x."""
    high = x * SPLITTER
    high -= high - x
    return high, x - high


class LossSums:
    """The sums of one computed loss by segment."""

    def __init__(self, skip_nan):
        self.skip_nan = skip_nan
        self.a, self.b, self.products = Grouped(skip_nan), Grouped(skip_nan), {}
        self.counts = {name: Counts() for name in COUNTS}
        self.weighted = False

    def add(self, a, b, codes, ids, size, n_threads):
        """Add Samples of A and of B, of segments ids[codes]. Where NaN are skipped, both are NaN where one is."""
        self.a.add(a, codes, ids, size, n_threads)
        self.b.add(b, codes, ids, size, n_threads)
        divisor = a.divisor
        self._count(a.losses, b.losses, divisor, codes, ids)
        parts = {"a": a.terms(), "b": b.terms()}
        short = a.weights is None and a.losses.dtype == b.losses.dtype == np.float32  # their products fit into float64
        names = PRODUCTS
        if divisor is not None:
            self.weighted, names, parts["d"] = True, PRODUCTS + WEIGHTED, divisor
        for name in names:
            rounded, rest = (parts[name[0]] * parts[name[1]], None) if short and "d" not in name else product(*(parts[i] for i in name))
            for part in (rounded, rest):
                if part is not None:
                    if "a" not in name and "b" not in name:  # of samples that are left out, d is, too
                        part = np.where(np.isnan(parts["a"]), np.nan, part)
                    self.products.setdefault(name, Grouped(self.skip_nan)).add(Sample(part), codes, ids, size, n_threads)

    def _count(self, a, b, divisor, codes, ids):
        lost = np.isnan(a) | np.isnan(b)
        counted = ~lost if divisor is None else ~lost & (divisor > 0)
        found = {"counted": counted, "nan": lost, "infinite": np.isinf(a) | np.isinf(b), "better_a": (a < b) & counted,
                 "better_b": (b < a) & counted, "equal": (a == b) & counted}  # fmt: skip
        for name, chosen in found.items():
            counts = np.bincount(codes[chosen], minlength=len(ids))
            here = np.flatnonzero(counts)
            self.counts[name].add(counts[here], ids[here])

    def merge(self, other, ids):
        self.a.merge(other.a, ids)
        self.b.merge(other.b, ids)
        for name, grouped in other.products.items():
            self.products.setdefault(name, Grouped(self.skip_nan)).merge(grouped, ids)
        for name, counts in self.counts.items():
            counts.merge(other.counts[name], ids)
        self.weighted |= other.weighted

    def of(self, groups):
        """The Sums of some segments together."""

        def together(grouped):
            tallies, whole = grouped.tallies(), Tally()
            for group in groups:
                if group in tallies:
                    whole.merge(tallies[group])
            return whole

        products = {name: together(grouped) for name, grouped in self.products.items()}
        counts = {name: sum(counts[group] for group in groups) for name, counts in self.counts.items()}
        return Sums(together(self.a), together(self.b), products, counts, self.weighted, self.skip_nan)


class Sums:
    """What one computed loss comes to: a and b, Tallies; products, {name: Tally}; counts, {name of COUNTS: int}."""

    def __init__(self, a, b, products, counts, weighted, skip_nan):
        self.a, self.b, self.products, self.counts, self.weighted, self.skip_nan = a, b, products, counts, weighted, skip_nan

    def specials(self, tally):
        return (tally.n_nan and not self.skip_nan) or tally.n_positive or tally.n_negative

    def means(self):
        """The exact means of A and B, or None where one of them is no number."""
        if self.specials(self.a) or self.specials(self.b):
            return None
        return Fraction(self.a.total, self.a.weight), Fraction(self.b.total, self.b.weight)

    def standard_error(self, by_a, by_b):
        """Of by_b * mean of B - by_a * mean of A, of independent pairs: sqrt(n / (n - 1) sum (by_b (t_b - mean_b d) - by_a (t_a - mean_a
        d))**2) / sum d, with terms t = w * loss, and d what a pair counts for. None of fewer than two pairs. Where d are made of class
        weights rounded to the precision of each side, those of A are taken."""
        n, means = self.counts["counted"], self.means()
        if n < 2:
            return None
        if means is None:
            return math.nan
        if any(self.specials(tally) for tally in self.products.values()):
            return math.inf
        weight = Fraction(self.a.weight, ONE)
        a, b = (Fraction(tally.total, ONE) for tally in (self.a, self.b))
        sums = {"ad": a, "bd": b, "dd": weight} | {name: Fraction(tally.total, ONE) for name, tally in self.products.items()}
        by_a, by_b = Fraction(by_a), Fraction(by_b)
        shift = by_b * means[1] - by_a * means[0]
        squares = (
            by_b * by_b * sums["bb"] - 2 * by_a * by_b * sums["ab"] + by_a * by_a * sums["aa"]
            - 2 * shift * (by_b * sums["bd"] - by_a * sums["ad"]) + shift * shift * sums["dd"]
        )  # fmt: skip
        return ieee(positive_root)(squares * Fraction(n, n - 1) / (weight * weight))


class PairSums(Segments):
    """Sums of the computed losses of two States over the same samples, by segment."""

    def __init__(self, computed, nan, max_segments):
        super().__init__(computed, nan, max_segments)
        self.sums = [LossSums(nan == "skip") for _ in self.computed]

    @ieee
    def update(self, keys, codes, samples, n_threads=None):
        """As Segments.update, with a pair of Samples per loss."""
        ids = self._known(keys, codes)
        for sums, (a, b) in zip(self.sums, samples, strict=True):
            sums.add(a, b, codes, ids, len(self.index), n_threads)
            self.weighted |= a.weights is not None
        return self

    def weight_sum(self, sums):
        return quotient(sums.a.weight, ONE) if self.weighted else None
