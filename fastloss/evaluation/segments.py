"""Columns to evaluate by: what they hold, and their values as small integers, chunk by chunk, the same for the same values."""

from dataclasses import dataclass

import numpy as np

import fastloss as fl
from fastloss.evaluation.columns import nearest, shown
from fastloss.evaluation.errors import RequestError, SourceError
from fastloss.evaluation.source import AS_SEGMENT, Want, place_of

TABLE = 1 << 20  # integers that lie within so many are looked up in a table; what lies wider apart is searched
WHOLE_FLOAT = 2.0**53
MOST = 2**31 - 1  # values of a column that there is memory for, at the very most; pairs of them are one integer of 64 bits
KINDS = {"text": "text", "number": "numbers", "bool": "bools", "date": "dates", "time": "times"}
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


def want_of(source, name):
    """The Want of a column of segments, checked against the source."""
    if name not in source.names:
        raise SourceError(f"{source.path} has no column {name!r} to evaluate by; it has {shown(source.names)}{nearest(name, source.names)}")
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
