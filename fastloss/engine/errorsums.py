"""Standard errors of the costs of segments: sums of squares beside those of the losses, as exact and as mergeable."""

import math

import numpy as np

from fastloss.engine.exact import SHIFT, quotient
from fastloss.engine.groups import Counts, GroupSums, has_specials
from fastloss.engine.portable import count, positive, read_whole, whole
from fastloss.engine.spread import root

SUMS, READ = ("squares", "terms", "crosses", "divisors"), (positive, read_whole, read_whole, positive)
COUNTS = ("counted", "plain", "beyond")


class ErrorSums:
    """What one loss's standard errors are computed from, by segment. Of rows that have a weight w, and count d in the sum of weights,
    there are sums of w l, (w l)**2, w l d and d**2; of the others, where both are 1, that of l**2 is enough."""

    __slots__ = (*SUMS, *COUNTS)

    def __init__(self):
        self.squares, self.terms, self.crosses, self.divisors = GroupSums(), GroupSums(), GroupSums(), GroupSums()
        self.counted, self.plain, self.beyond = Counts(), Counts(), Counts()  # rows with a divisor, those without, overflown squares

    def add(self, sample, terms, place, most):
        """Add a chunk. terms: its losses times their weights; rows in which they are NaN or infinite are left out."""
        finite = None
        divisor = sample.divisor
        if has_specials(terms):
            finite = np.isfinite(terms)
            terms, place = terms[finite], place.some(finite)
            divisor = divisor if divisor is None else divisor[finite]
        with np.errstate(over="ignore", under="ignore"):
            if divisor is None:
                place.count(self.plain, slice(None))
                parts = [(self.squares, terms * terms)]
            else:
                place.count(self.counted, divisor > 0)
                parts = [(self.squares, terms * terms), (self.terms, terms.copy()), (self.crosses, terms * divisor)]
                parts.append((self.divisors, divisor * divisor))
        for sums, part in parts:
            if has_specials(part):
                over = ~np.isfinite(part)
                place.count(self.beyond, over)
                part[over] = 0
            place.add(sums, part, most)

    def merge(self, other, ids):
        for name in self.__slots__:
            getattr(self, name).merge(getattr(other, name), ids)

    def fields(self, groups):
        """The sums of some groups, in their order, as JSON."""
        sums, counts = [getattr(self, name).totals() for name in SUMS], [getattr(self, name) for name in COUNTS]
        return [[*(whole(totals.get(i, 0)) for totals in sums), *(found[i] for found in counts)] for i in groups]

    def take(self, fields):
        """Hold what ``fields`` told, of groups 0, 1, ..., in empty ones. ValueError if it is none of that."""
        for i, (squares, terms, crosses, divisors, *counts) in enumerate(fields):
            for name, read, text in zip(SUMS, READ, (squares, terms, crosses, divisors), strict=True):
                getattr(self, name).whole[i] = read(text)
            for name, found in zip(COUNTS, counts, strict=True):
                getattr(self, name).add(np.array([count(found)]), np.array([i]))

    def standard_error(self, i, tally):
        """Of the mean that segment ``i`` has by its Tally; None of less than two samples, NaN if a loss is not finite.

        sqrt(n / (n - 1) sum (w l - mean d)**2) / sum d, in integers: fractions of such length take long."""
        n = self.plain[i] + self.counted[i]
        if n < 2 or not tally.weight:
            return None
        if self.beyond[i]:
            return math.inf
        squares, total, weight = self.squares.totals().get(i, 0), tally.total, tally.weight
        if not self.counted[i]:  # the same with w = d = 1, where there may be many segments of few rows
            apart, below = (squares * n << SHIFT) - total * total, (n - 1) * n * n << 2 * SHIFT
        else:
            terms, crosses, divisors = (sums.totals().get(i, 0) for sums in (self.terms, self.crosses, self.divisors))
            crosses += total - terms  # of rows without a divisor w l d is l
            divisors += self.plain[i] << SHIFT
            apart = squares * weight * weight - 2 * total * crosses * weight + total * total * divisors
            apart, below = apart * n << SHIFT, (n - 1) * weight**4
        return root(quotient(apart, below)) if apart > 0 else 0.0  # roundings of the squares may have made it negative


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
