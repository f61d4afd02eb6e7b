"""The samples whose losses are largest, with their places: the same ones for any chunks, order and merging."""

import math

import numpy as np

from fastloss.engine.portable import count, number, read_number
from fastloss.engine.records import Record


class WorstSample(Record):
    """loss; file (its number, or path), row in it from 0; target, prediction (a tuple, of rows of scores), weight (or None)."""

    __slots__ = ("loss", "file", "row", "target", "prediction", "weight")

    @property
    def rank(self):
        return -self.loss, self.file, self.row


class Worst:
    """The k samples of the largest losses; among equal ones those that come first, by file and row. NaN are none of them, nor are
    samples of weight 0."""

    def __init__(self, k):
        if not isinstance(k, int) or isinstance(k, bool) or k < 1:
            raise ValueError(f"`worst` must be an integer >= 1, got {k!r}")
        self.k, self.held = k, []

    def update(self, sample, y_true, y_pred, sample_weight=None, kept=None, *, file=0, row=0):
        """Add samples, of rows ``row`` and on of a file. kept: where among the losses the targets are, or None."""
        losses = sample.losses
        least = self.held[-1].loss if len(self.held) == self.k else -np.inf
        places = np.flatnonzero(losses >= least)
        if sample.divisor is not None and len(places):
            places = places[sample.divisor[places] > 0]
        for i in self._first(losses, places).tolist():
            j = i if kept is None else int(np.searchsorted(kept, i))
            weight = None if sample_weight is None else float(sample_weight[j])
            found = WorstSample(float(losses[i]), file, row + i, taken_at(y_true, j), taken_at(y_pred, j), weight)
            self.held.append(found)
        self._keep()
        return self

    def _first(self, losses, places):
        """Of some places, the k of the largest losses; of equal ones the first."""
        if len(places) <= self.k:
            return places
        values = losses[places]
        least = np.partition(values, len(values) - self.k)[len(values) - self.k]
        above = places[values > least]
        return np.concatenate([above, places[values == least][: self.k - len(above)]])

    def _keep(self):
        self.held = sorted(self.held, key=lambda sample: sample.rank)[: self.k]

    def merge(self, other):
        """Add what another has seen; it must be of as many, and file numbers must mean the same files."""
        if not isinstance(other, Worst):
            raise TypeError(f"can merge only another Worst, got {type(other).__name__}")
        if other.k != self.k:
            raise ValueError(f"worst samples of different numbers do not merge: {self.k} and {other.k}")
        self.held += other.held
        self._keep()
        return self

    def fields(self):
        """The samples as JSON, the worst first."""
        return [
            [number(s.loss), s.file, s.row, shown(s.target), shown(s.prediction), None if s.weight is None else number(s.weight)]
            for s in self.held
        ]

    def take(self, fields):
        """Hold the samples that ``fields`` told, in an empty one. ValueError if no Worst tells that."""
        for loss, file, row, target, prediction, weight in fields:
            weight = None if weight is None else read_number(weight)
            file = file if isinstance(file, str) else count(file)
            self.held.append(WorstSample(read_number(loss, special=False), file, count(row), read(target), read(prediction), weight))
            if weight is not None and not 0 < weight < math.inf:
                raise ValueError("a weight is not above 0")
        ranks = [sample.rank for sample in self.held]
        if len(ranks) > self.k or any(after <= before for before, after in zip(ranks, ranks[1:], strict=False)):
            raise ValueError("the worst samples are too many, or out of order")
        return self


def shown(value):
    """A target or prediction as JSON."""
    if isinstance(value, tuple):
        return list(map(shown, value))
    return number(value) if isinstance(value, float) else value


def read(found):
    if isinstance(found, list):
        return tuple(map(read, found))
    if not isinstance(found, str | bool | int):
        raise ValueError(f"{found!r} is no target and no prediction")
    return read_number(found) if isinstance(found, str) else found


def taken_at(array, i):
    """The number, or tuple of the numbers of the row, that an argument has in a place."""
    if isinstance(array, list):
        return tuple(column[i].item() for column in array)
    value = array[i]
    return tuple(value.tolist()) if value.ndim else value.item()
