"""Columns that lie in several places, or must be made: seen as one, and taken a stretch at a time."""

import bisect

import numpy as np

PIECE = 1 << 18  # samples that are copied at a time
LONG = 1 << 14  # samples from which on a stretch of its own is worth a call of the backend


class Chunks:
    """A column of one dimension. Its parts are (length, array) or (length, function that makes an array of start, stop), none of them
    empty, and each of the one dtype."""

    __slots__ = ("parts", "starts", "dtype", "shape", "size")
    ndim = 1

    def __init__(self, parts, dtype):
        self.parts, self.dtype, self.starts = parts, dtype, [0]
        for length, _ in parts:
            self.starts.append(self.starts[-1] + length)
        self.size = self.starts[-1]
        self.shape = (self.size,)

    @classmethod
    def of(cls, parts, dtype):
        """The parts: an array, if they are one that is there or short; else Chunks."""
        chunks = cls(parts, dtype)
        return chunks.whole() if len(parts) < 2 and (not parts or isinstance(parts[0][1], np.ndarray)) or chunks.size <= LONG else chunks

    @property
    def arrays(self):
        """What of it is there."""
        return [part for _, part in self.parts if isinstance(part, np.ndarray)]

    def until(self, start):
        """Where a stretch from ``start`` may end: with the array that it is in, or if that is short or to be made, after a piece."""
        here = bisect.bisect_right(self.starts, start) - 1
        end = min(start + PIECE, self.size)
        while here < len(self.parts):
            length, part = self.parts[here]
            if length >= LONG and isinstance(part, np.ndarray):
                return self.starts[here + 1] if self.starts[here] <= start else min(end, self.starts[here])
            here += 1
            if self.starts[here] >= end:
                break
        return end

    def __getitem__(self, index):
        """A slice as an array: a view, if it is within an array that is there; or one number."""
        if not isinstance(index, slice):
            return self[index : index + 1][0]
        start, stop, _ = index.indices(self.size)
        here, found = bisect.bisect_right(self.starts, start) - 1, []
        while start < stop:
            (length, part), first = self.parts[here], self.starts[here]
            end = min(stop, first + length)
            inside = start - first, end - first
            found.append(part[slice(*inside)] if isinstance(part, np.ndarray) else part(*inside))
            start, here = end, here + 1
        return found[0] if len(found) == 1 else np.concatenate(found) if found else np.empty(0, self.dtype)

    def whole(self):
        """All of it, as an array."""
        if len(self.parts) < 2 or self.size <= PIECE:
            return self[:]
        array = np.empty(self.size, self.dtype)
        start = 0
        while start < self.size:
            stop = self.until(start)
            array[start:stop] = self[start:stop]
            start = stop
        return array


def stretches(columns, size):
    """(start, stop) of stretches that are each within one array of every column, or short."""
    start = 0
    while start < size:
        stop = min(column.until(start) for column in columns)
        yield start, stop
        start = stop
