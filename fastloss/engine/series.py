"""Costs along the rows: of stretches of equal length, whose number is bounded whatever the number of rows."""

import numpy as np

from fastloss.engine.portable import count
from fastloss.engine.records import Record
from fastloss.engine.segments import Segments

STRETCHES = 512


class Stretch(Record):
    """Rows start <= position < stop, n of them that were seen; results: a SegmentCost per loss, in order."""

    __slots__ = ("start", "stop", "n", "results")


class Series:
    """Exact sums of the computed losses of a State by stretches of rows; computed, nan and confidence are as in Segments.

    A stretch is ``width`` rows, the least power of two with which all rows seen are in ``most`` stretches: where rows come beyond, pairs
    of stretches become one. So it only depends on the rows and their positions what it holds, not on chunks, order and merging.
    """

    def __init__(self, computed, nan="propagate", confidence=None, most=STRETCHES):
        self.most, self.width, self.stop = most, 1, 0
        self.sums = Segments(computed, nan, most, confidence)

    def update(self, samples, position):
        """Add rows from ``position`` on, counted over all data; a Sample per loss."""
        n = len(samples[0].losses)
        if not n:
            return self
        self._reach(position + n)
        first = position // self.width
        codes = (np.arange(position, position + n) // self.width - first).astype(np.intp, copy=False)
        self.sums.update([(first + i,) for i in range(int(codes[-1]) + 1)], codes, samples)
        return self

    def _reach(self, stop):
        """Make stretches so long that those before row ``stop`` are no more than allowed."""
        self.stop = max(self.stop, stop)
        times = 1
        while -(-self.stop // (self.width * times)) > self.most:
            times *= 2
        if times > 1:
            self.sums, self.width = self._joined(times), self.width * times

    def _joined(self, times):
        """The sums of so many stretches together."""
        made = Segments(self.sums.computed, self.sums.nan, self.sums.max_segments, self.sums.confidence)
        return made.merge(self.sums, lambda key: (key[0] // times,))

    def merge(self, other):
        """Add what another has seen of other rows, whose positions count from the same place."""
        if not isinstance(other, Series):
            raise TypeError(f"can merge only another Series, got {type(other).__name__}")
        if other.most != self.most:
            raise ValueError(f"series of different lengths do not merge: {self.most} and {other.most}")
        self._reach(other.stop)
        times = self.width // other.width
        self.sums.merge(other.sums, lambda key: (key[0] // times,))
        return self

    def fields(self):
        """It as JSON, the same for the same rows."""
        return {"width": self.width, "stop": self.stop, "sums": self.sums.fields()}

    def take(self, fields):
        """Hold what ``fields`` told, in an empty one. ValueError if no Series tells that."""
        self._reach(count(fields["stop"]))
        if fields["width"] != self.width:
            raise ValueError("stretches are not as long as their rows make them")
        self.sums.take(fields["sums"])
        if not all(len(key) == 1 and type(key[0]) is int and 0 <= key[0] * self.width < self.stop for key in self.sums.index):
            raise ValueError("a stretch is not among the rows")
        return self

    def results(self, names, losses, which, most=None):
        """(Stretch, ...) in order; with ``most``, neighbours are taken together until there are no more than that. The others are as in
        Segments.results."""
        there = -(-self.stop // self.width)
        times = 1 if most is None else max(1, -(-there // most))
        sums, width, found = self._joined(times) if times > 1 else self.sums, self.width * times, []
        for part in sums.results(names, losses, which):
            start = part.values[0] * width
            found.append(Stretch(start, min(start + width, self.stop), part.n, part.results))
        return tuple(found)
