"""The segments of a run: combinations of the values of columns, taken off its chunks."""

from dataclasses import replace

import numpy as np

from fastloss.evaluation.columns import named
from fastloss.evaluation.errors import DataError, SourceError
from fastloss.evaluation.segments import KINDS, MOST, Coded, NotWhole, Values, kind_of
from fastloss.evaluation.source import path_of


def same(value):
    return value


def as_date(value):
    return value if value is None else np.datetime64(value, "D").item()


def as_time(value):
    return value if value is None else np.datetime64(value, "us").item()


NO_KIND = (None, None)
SHOWN_AS = {"date": as_date, "time": as_time}


class Keys:
    """The segments of chunks: combinations of the values of one or more columns."""

    def __init__(self, names, most):
        self.names, self.most, self.kinds = names, most, {}  # kinds: of the columns met so far, and in which file
        self.columns = [Values(f"column {name!r} has", most) for name in names]
        words = [f"columns {', '.join(map(repr, names[: i + 2]))} have together" for i in range(len(names) - 1)]
        self.combined = [Values(what, most) for what in words]  # of the first two columns, the first three ...
        self.keys = [[] for _ in names]  # tuples of values, by the codes of the first column, of the first two ...

    def begin(self, source, wants):
        """The next source."""
        self.source, self.told = source, [kind_of(source, want.name) for want in wants]
        for column in self.columns:
            column.given = np.zeros(0, np.intp)

    def check(self, name, told, array, nulls):
        """SourceError if a column holds something else than in the files before. A column of text whose first values are numbers, or
        missing, is told to hold numbers."""
        if nulls is not None and nulls.all():
            return
        kind = "text" if isinstance(array, Coded) or array.dtype.kind in "US" else told
        before, path = self.kinds.setdefault(name, (kind, self.source.path))
        if before != kind:
            raise SourceError(f"column {name!r} holds {KINDS[before]} in {path}, but {KINDS[kind]} in {self.source.path}")

    def of(self, source, chunk, wants, arrays, nulls):
        """(keys, codes): row i of a chunk is of segment keys[codes[i]], a tuple of values."""
        for i, (want, values, array, missing) in enumerate(zip(wants, self.columns, arrays, nulls, strict=True)):
            self.check(want.name, self.told[i], array, missing)
            try:
                mine = values.of(array, missing)
            except NotWhole as error:
                message = f"column {want.name!r} must hold text, integers, bools or dates to evaluate by, got {error.value!r}"
                raise DataError(message, path_of(source, want.name), chunk.first + error.row, want.name) from error
            shown_as, keys = SHOWN_AS.get(self.kinds.get(want.name, NO_KIND)[0], same), self.keys[i]
            if i == 0:
                codes = mine
                keys += [(shown_as(value),) for value in values.values[len(keys) :]]
                continue
            pairs, step = self.combined[i - 1], min(self.most, MOST) + 1
            codes = pairs.of(codes * step + mine)
            keys += [(*self.keys[i - 1][pair // step], shown_as(values.values[pair % step])) for pair in pairs.values[len(keys) :]]
        return self.keys[-1], codes


class Segmented:
    """The columns of segments of a run: takes them off its chunks, and tells which segment each row is of."""

    def __init__(self, by, most):
        if not isinstance(most, int) or isinstance(most, bool) or most < 1:
            raise SourceError(f"`max_segments` must be an integer >= 1, got {most!r}")
        self.names, self.most = named("by", by), most
        self.keys = Keys(self.names, most) if self.names else None

    def follow(self, other):
        """Hold the next files to the kinds of columns that another has met, too."""
        if self.names:
            self.keys.kinds = dict(other.keys.kinds)

    @property
    def kinds(self):
        """{column: (its kind, a file that has it)} of the columns met so far."""
        return self.keys.kinds if self.names else {}

    def agree(self, kinds):
        """Take in the kinds that others have met. SourceError if they are not those met here."""
        for name, (kind, path) in kinds.items():
            before, other = self.keys.kinds.setdefault(name, (kind, path))
            if before != kind:
                raise SourceError(f"column {name!r} holds {KINDS[before]} in {other}, but {KINDS[kind]} in {path}")

    def begin(self, source, wants):
        """The next source: its wants end with those of the segments."""
        if wants is not None and self.names:
            self.wants = wants[len(wants) - len(self.names) :]
            self.keys.begin(source, self.wants)

    def split(self, chunk, source):
        """(the chunk without the columns of segments, the keys and codes of its rows as arguments of Analysis.update)."""
        if not self.names:
            return chunk, {}
        own = len(chunk.arrays) - len(self.names)
        keys, codes = self.keys.of(source, chunk, self.wants, chunk.arrays[own:], chunk.nulls[own:])
        return replace(chunk, arrays=chunk.arrays[:own], nulls=chunk.nulls[:own]), {"keys": keys, "codes": codes}
