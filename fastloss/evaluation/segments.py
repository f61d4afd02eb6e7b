"""Columns of segments: their values as small integers, chunk by chunk, and the same integers for the same values."""

import os
from dataclasses import dataclass, replace

import numpy as np

import fastloss as fl
from fastloss.evaluation.columns import shown
from fastloss.evaluation.errors import DataError, RequestError, SourceError
from fastloss.evaluation.source import AS_SEGMENT, Want, path_of, place_of

TABLE = 1 << 20  # integers that lie within so many are looked up in a table; what lies wider apart is searched
WHOLE_FLOAT = 2.0**53
MOST = 2**31 - 1  # values of a column that there is memory for, at the very most; pairs of them are one integer of 64 bits
REMEDY = "group its values in the file, or raise max_segments (--max-segments)"


@dataclass(frozen=True)
class Coded:
    """A column of text as a reader gives it that knows its values: codes, integers that stand for the same value throughout a
    file, and values, a function from rows of the chunk to the list of their values."""

    codes: np.ndarray
    values: object

    def __getitem__(self, rows):
        """A slice of the rows."""
        start = rows.indices(len(self.codes))[0]
        return Coded(self.codes[rows], lambda chosen: self.values(chosen + start))


def named(by):
    """``by`` as a list of names of columns."""
    if by is None:
        return []
    names = [by] if isinstance(by, str | os.PathLike) else list(by) if isinstance(by, list | tuple) else None
    if not names or not all(isinstance(name, str | os.PathLike) for name in names):
        raise SourceError(f"`by` must name a column or a list of columns, got {by!r}")
    names = list(map(os.fspath, names))
    if len(set(names)) < len(names):
        raise SourceError(f"`by` names a column twice: {', '.join(names)}")
    return names


def want_of(source, name):
    """The Want of a column of segments, checked against the source."""
    if name not in source.names:
        raise SourceError(f"{source.path} has no column {name!r} to evaluate by; it has {shown(source.names)}")
    kind_of(source, name)
    return Want("by", name, label=AS_SEGMENT)


def kind_of(source, name, use="evaluate by"):
    """What the values are: one of KINDS."""
    column, where = source.column(name), place_of(source, name)
    kind = column.kind
    if kind == "other" and column.width is None and column.type.startswith(("Date", "datetime64")):
        kind = "date" if column.type in ("Date", "datetime64[D]") else "time"
    if kind == "other" or column.width is not None:
        found = column.type if column.width is None else f"rows of {column.width} numbers"
        raise SourceError(f"{where} must hold text, integers, bools or dates to {use}, got {found}")
    return kind


class Values:
    """The values of a column that were met, each with a number: 0, 1, ... in the order in which they came. ``most``: more are refused."""

    def __init__(self, what, most):
        self.what, self.most = what, most
        self.values, self.codes = [], {}
        self.room = np.empty(0, np.intp)  # codes of a chunk; overwritten by the next
        self.base, self.table = 0, np.zeros(0, np.intp)  # the code of the integer base + i, or -1
        self.given = np.zeros(0, np.intp)  # the codes of a reader's codes
        self.sorted = self.order = None  # where no table holds them: the values in order, and their codes

    def code(self, value):
        found = self.codes.get(value)
        if found is None:
            if len(self.values) >= self.most:
                raise RequestError(f"{self.what} more than {self.most} values to evaluate by; {REMEDY}")
            found = self.codes[value] = len(self.values)
            self.values.append(value)
        return found

    def of(self, array, nulls=None):
        """The codes (intp) of a chunk's column; good until the next are asked for."""
        if isinstance(array, Coded):
            codes = self._coded(array, nulls)
        elif array.dtype == bool:
            codes = np.array([self.code(False), self.code(True)], np.intp)[(array.view(np.uint8) != 0).view(np.uint8)]
        else:
            array, lost = numbers(array) if array.dtype.kind in "fM" else (array, None)
            if lost is not None and lost.any():
                nulls = lost if nulls is None else nulls | lost
            if nulls is None:
                codes = self._plain(array)
            else:
                codes = np.zeros(len(nulls), np.intp)
                codes[~nulls] = self._plain(array[~nulls])
        if nulls is not None and nulls.any():
            codes[nulls] = self.code(None)
        return codes

    def _coded(self, column, nulls):
        size = int(column.codes.max(initial=0)) + 1
        if size > len(self.given):
            self.given = np.concatenate([self.given, np.full(max(size, 2 * len(self.given)) - len(self.given), -1, np.intp)])
        codes = self.room = self.room if len(self.room) >= len(column.codes) else np.empty(len(column.codes), np.intp)
        codes = codes[: len(column.codes)]
        if not fl.Analysis.look_up(column.codes, 0, self.given, codes):
            return codes
        new = codes < 0
        if nulls is not None:
            new &= ~nulls
        if new.any():
            rows = np.flatnonzero(new)
            given, first = np.unique(column.codes[rows], return_index=True)
            for code, value in zip(given.tolist(), column.values(rows[first]), strict=True):
                self.given[code] = self.code(value)
            codes = self.given[column.codes]
        return codes

    def _plain(self, array):
        """The codes of integers or text."""
        if not len(array):
            return np.zeros(0, np.intp)
        if array.dtype.kind in "iu" and self.sorted is None:
            codes = self.room = self.room if len(self.room) >= len(array) else np.empty(len(array), np.intp)  # no new pages for each chunk
            codes = codes[: len(array)]
            if not fl.Analysis.look_up(array, self.base, self.table, codes):
                return codes
            if self._tabled(int(array.min()), int(array.max())):
                fl.Analysis.look_up(array, self.base, self.table, codes)
                for value in np.unique(array[codes < 0]).tolist():
                    self.table[value - self.base] = self.code(value)
                fl.Analysis.look_up(array, self.base, self.table, codes)
                return codes
        if self.sorted is None:
            self._sort(array.dtype)
        codes = self._searched(array)
        new = codes < 0
        if new.any():
            for value in np.unique(array[new]).tolist():
                self.code(as_text(value))
            self._sort(array.dtype)
            codes = self._searched(array)
        return codes

    def _tabled(self, low, high):
        """Whether the table holds, or now can, the integers from low to high."""
        if len(self.table) and self.base <= low and high < self.base + len(self.table):
            return True
        known = [value for value in self.values if value is not None]
        low, high = min([low, *known]), max([high, *known])
        low = 0 if low >= 0 and high < TABLE else low
        if high - low >= TABLE or low < -(2**62) or high > 2**62:
            return False
        self.base, self.table = low, np.full(high - low + 1, -1, np.intp)
        for value in known:
            self.table[value - low] = self.codes[value]
        return True

    def _searched(self, array):
        """The codes of those that are known, -1 for others."""
        if not len(self.sorted):
            return np.full(len(array), -1, np.intp)
        if self.sorted.dtype.kind == "O" or (self.sorted.dtype.kind in "iu" and self.sorted.dtype.kind != array.dtype.kind):
            array, listed = array.astype(object), self.sorted.astype(object)  # integers that no one type holds
        else:
            listed = self.sorted
        places = np.minimum(np.searchsorted(listed, array), len(listed) - 1)
        return np.where(listed[places] == array, self.order[places], -1)

    def _sort(self, dtype):
        known = sorted(value for value in self.values if value is not None)
        self.order = np.array([self.codes[value] for value in known], np.intp)
        if dtype.kind in "iu":
            small = not known or (known[0] >= -(2**63) and known[-1] < 2**63)
            self.sorted = np.array(known, np.int64 if small else np.uint64 if known[0] >= 0 else object)
        elif dtype.kind == "S":
            pairs = sorted((value.encode(errors="surrogateescape"), self.codes[value]) for value in known)
            self.sorted, self.order = (
                np.array([value for value, _ in pairs], dtype if not pairs else None),
                np.array([c for _, c in pairs], np.intp),
            )
        else:
            self.sorted = np.array(known, dtype if not known else None)


def as_text(value):
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else value


class NotWhole(ValueError):  # noqa: N818 - told to the user as the error of a file
    """A number that is no integer. row: of the chunk."""

    def __init__(self, row, value):
        super().__init__(row, value)
        self.row, self.value = row, value


def numbers(array):
    """(int64, mask of NaN or NaT) of floats that are integers, or of dates: days, or microseconds."""
    if array.dtype.kind == "M":
        days = np.datetime_data(array.dtype)[0] == "D"
        return array.astype("datetime64[D]" if days else "datetime64[us]").view(np.int64), np.isnat(array)
    lost = np.isnan(array)
    filled = np.where(lost, array.dtype.type(0), array)
    bad = ~(np.abs(filled) <= WHOLE_FLOAT) | (np.floor(filled) != filled)
    if bad.any():
        row = int(bad.argmax())
        raise NotWhole(row, array[row].item())
    return filled.astype(np.int64), lost


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
        self.names, self.most = named(by), most
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


def same(value):
    return value


def as_date(value):
    return value if value is None else np.datetime64(value, "D").item()


def as_time(value):
    return value if value is None else np.datetime64(value, "us").item()


KINDS = {"text": "text", "number": "numbers", "bool": "bools", "date": "dates", "time": "times"}
NO_KIND = (None, None)
SHOWN_AS = {"date": as_date, "time": as_time}
