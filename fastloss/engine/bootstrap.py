"""Poisson bootstrap: confidence intervals of costs, in one pass, the same for any chunks, order, threads and merging.

A bootstrap draws n of n samples with replacement, many times, and looks how the cost varies. Of large data each sample is drawn
Poisson(1) times, near enough, independently of the others (Hanley and MacGibbon 2006; Chamandy, Muralidharan, Najmi and Naidu 2012), so
that no one needs to know n, and parts can be drawn apart. Here the draws of a sample come from a counter-based generator (Philox 4x64,
Salmon et al. 2011) at a place that its file and row alone decide. How often a sample is drawn takes 16 random bits; its probabilities are
those of Poisson(1) to 2**-16, with 8 the most. Sums are exact: products of small integers and slices of losses (groups.py), by
matrix multiplication in float64.

It takes some 3 ns per sample and replicate, two of them for the draws, in one thread: 200 replicates of 10 million samples take 6 s, where
the costs take some hundredths.
"""

import math

import numpy as np

from fastloss.engine.environment import ieee
from fastloss.engine.groups import GroupSums
from fastloss.engine.portable import flag, positive, read_whole, whole
from fastloss.engine.records import Record
from fastloss.engine.run import Tally
from fastloss.engine.segments import cost_of

BLOCK = 1024  # rows whose draws are made together
MOST = 8


def cuts():
    """From which of 2**16 numbers on a sample is drawn once, twice ..., MOST times."""
    below, probability, found = 0.0, math.exp(-1), []
    for k in range(1, MOST + 1):
        below += probability
        probability /= k
        found.append(np.uint16(round(below * (1 << 16))))
    return found


CUTS = cuts()


def drawn(bits):
    """uint8: how often samples are drawn, by 16 random bits each. Comparisons, because they are vectorised, and a table is not."""
    times, reached = np.zeros(bits.shape, np.uint8), np.empty(bits.shape, bool)
    for cut in CUTS:
        np.greater_equal(bits, cut, out=reached)
        times += reached.view(np.uint8)
    return times


class BootstrapResult(Record):
    """name; interval: (low, high), the percentiles that leave out as much on either side; standard_error: standard deviation of the
    replicates; confidence; replicates: their costs, a float64 array (those with nothing to divide by left out)."""

    __slots__ = ("name", "interval", "standard_error", "confidence", "replicates")

    def __repr__(self):
        return f"<BootstrapResult of {self.name}: {self.interval} at {self.confidence}, {len(self.replicates)} replicates>"


class Bootstrap:
    """Sums of the computed losses of a State in each of some replicates.

    replicates  how many, 2 or more; 200 give a standard error to 5 %, intervals want 1,000
    seed        an integer from 0 to 2**64 - 1
    """

    def __init__(self, computed, nan="propagate", replicates=200, seed=0, confidence=0.95):
        for name, value, least in (("bootstrap", replicates, 2), ("seed", seed, 0)):
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 2**64:
                raise ValueError(f"`{name}` must be an integer >= {least}, got {value!r}")
        self.computed, self.nan, self.replicates, self.seed, self.confidence = tuple(computed), nan, replicates, seed, confidence
        self.terms = [GroupSums() for _ in self.computed]
        self.weights = [GroupSums() for _ in self.computed]
        self.unknown = [False] * len(self.computed)  # NaN, or infinite
        self.block = None, None

    def draws(self, file, block):
        """(BLOCK, replicates) float64: how often each row of a block is drawn."""
        if self.block[0] != (file, block):
            words = -(-self.replicates // 4)
            key = np.array([self.seed, file], np.uint64)  # a list of large numbers becomes one of floats
            bits = np.random.Philox(key=key, counter=[0, 0, 0, block]).random_raw(BLOCK * words)
            times = drawn(bits.astype("<u8", copy=False).view("<u2")).reshape(BLOCK, 4 * words)
            self.block = (file, block), times[:, : self.replicates].astype(np.float64)
        return self.block[1]

    @ieee
    def update(self, samples, *, file=0, row=0):
        """Add samples, of rows ``row`` and on of a file; a Sample per loss."""
        n = len(samples[0].losses)
        if not n:
            return self
        parts, ids = [], np.arange(self.replicates)
        for i, sample in enumerate(samples):
            terms = sample.terms()
            divisor = np.ones(n) if sample.divisor is None else sample.divisor
            bad = ~np.isfinite(terms)
            if bad.any():
                lost = np.isnan(terms)
                self.unknown[i] |= bool((bad & ~lost).any()) or self.nan != "skip"
                divisor = np.where(lost, 0.0, divisor)
                terms[bad] = 0
            parts.append((terms, divisor.copy()))
        for start in range(row - row % BLOCK, row + n, BLOCK):
            here = slice(max(start, row) - row, min(start + BLOCK, row + n) - row)
            times = self.draws(file, start // BLOCK)[here.start + row - start : here.stop + row - start]
            for numbers, sums in zip(parts, zip(self.terms, self.weights, strict=True), strict=True):
                for part, into in zip(numbers, sums, strict=True):
                    into.add(part[here], times, ids, MOST * BLOCK)
        return self

    def merge(self, other):
        """Add what another has seen of other rows; it must be of the same losses, policy, seed and number of replicates."""
        if not isinstance(other, Bootstrap):
            raise TypeError(f"can merge only another Bootstrap, got {type(other).__name__}")
        mine, theirs = ((one.computed, one.nan, one.replicates, one.seed) for one in (self, other))
        if mine != theirs:
            raise ValueError("bootstraps of different losses, NaN policies, seeds or numbers of replicates do not merge")
        for sums, others in ((self.terms, other.terms), (self.weights, other.weights)):
            for into, part in zip(sums, others, strict=True):
                into.merge(part)
        self.unknown = [a or b for a, b in zip(self.unknown, other.unknown, strict=True)]
        return self

    def fields(self):
        """The sums of each replicate, by loss, as JSON."""
        totals = [[sums.totals() for sums in group] for group in (self.terms, self.weights)]
        found = [[[whole(sums.get(i, 0)) for i in range(self.replicates)] for sums in group] for group in totals]
        return {"terms": found[0], "weights": found[1], "unknown": self.unknown}

    def take(self, fields):
        """Hold what ``fields`` told, in an empty one. ValueError if no Bootstrap tells that."""
        for name, group, read in (("terms", self.terms, read_whole), ("weights", self.weights, positive)):
            for into, sums in zip(group, fields[name], strict=True):
                into.given(dict(zip(range(self.replicates), map(read, sums), strict=True)))
        self.unknown = [flag(one) for _, one in zip(self.computed, fields["unknown"], strict=True)]
        return self

    def costs(self, loss, which):
        """The costs of a loss that is made of the computed losses ``which``, by replicate; None where there is nothing to divide by."""
        costs = []
        totals, weights = ([sums.totals() for sums in group] for group in (self.terms, self.weights))
        for i in range(self.replicates):
            tallies = []
            for j in which:
                tally = Tally()
                tally.total, tally.weight = totals[j].get(i, 0), weights[j].get(i, 0)
                tallies.append(tally)
            costs.append(cost_of(loss, tallies, self.nan))
        return costs

    def result(self, name, loss, which):
        """The BootstrapResult of such a loss."""
        return self.summary(name, [cost for cost in self.costs(loss, which) if cost is not None], which)

    def summary(self, name, costs, which):
        """The BootstrapResult of replicates that are made of the computed losses ``which``."""
        costs = np.array(costs, np.float64)
        if len(costs) < 2 or any(self.unknown[j] for j in which):
            return BootstrapResult(name, (math.nan, math.nan), math.nan, self.confidence, costs)
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(costs, [tail, 1 - tail]).tolist()
        return BootstrapResult(name, (low, high), float(costs.std(ddof=1)), self.confidence, costs)
