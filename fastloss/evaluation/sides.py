"""The two sides of a comparison: what is read of each, and pieces of both that hold the same samples, in the same order."""

from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from fastloss.evaluation.errors import DataError, SourceError
from fastloss.evaluation.plan import Reading
from fastloss.evaluation.source import Chunk, is_file, path_of
from fastloss.evaluation.streams import READ_ONCE

PAIR_BY_KEY = "if the rows of the two are in another order, or some are missing, pair them by a column: key=... (--key)"


class Borrowed:
    """A Source of B with columns of A, which are there to be named, and never read: the weights, and the targets unless B has them."""

    def __init__(self, main, lender, targets, weight):
        """targets: names of those to be borrowed, or none."""
        self.main, self.lender, self.path, self.target = main, lender, main.path, bool(targets)
        lent = [*targets, *([weight] if weight else [])]
        self.lent = [name for name in lent if not is_file(name)]
        self.names = (*main.names, *(name for name in self.lent if name not in main.names))

    size = property(lambda self: self.main.size)
    rows = property(lambda self: self.main.rows)
    once = property(lambda self: getattr(self.main, "once", False))

    def column(self, name):
        return (self.lender if name in self.lent else self.main).column(name)

    def path_of(self, name):
        return path_of(self.lender if name in self.lent else self.main, name)

    def chunks(self, wants, rows, first=0, stop=None):
        return self.main.chunks(wants, rows, first, stop)


class Lending(Reading):
    """How the files of B are read. lender: the first Source of A; targets, weight: names of A's columns; sources: those of A, if B's
    predictions lie in the same files."""

    def __init__(self, format, lender, targets, weight, sources=None):
        super().__init__(format)
        self.lender, self.targets, self.weight, self.sources = lender, targets, weight, sources

    def open(self, files):
        sources = super().open(files) if self.sources is None else self.sources if files else []
        theirs = self.sources is None and all(name in source.names or is_file(name) for source in sources for name in self.targets)
        return [Borrowed(source, self.lender, () if theirs else self.targets, self.weight) for source in sources]


class Remembering(Reading):
    """How the files of A are read: the Sources are kept."""

    def open(self, files):
        self.sources = super().open(files)
        return self.sources


@dataclass(frozen=True)
class Half:
    """Samples of one side.

    number, source, wants  the file, and what is read of it
    chunk     arrays by want, of which those that are lent are None until ``with_lent``
    keys, codes  segments of the samples, on side A
    rows      which rows of the side these are, where they are no stretch of one file; ``chunk.first`` is 0 then
    """

    side: object
    number: int
    source: object
    wants: list
    chunk: Chunk
    keys: list | None = None
    codes: np.ndarray | None = None
    rows: np.ndarray | None = None

    def cut(self, start, stop):
        """Some of its samples, without copies."""
        chunk, here = self.chunk, slice(start, stop)
        cut = [[None if array is None else array[here] for array in arrays] for arrays in (chunk.arrays, chunk.nulls)]
        part = Chunk(chunk.first + start, min(stop, chunk.rows) - start, *map(tuple, cut))
        return replace(self, chunk=part, codes=None if self.codes is None else self.codes[here])

    def with_lent(self, other):
        """It, with the arrays that A lends it."""
        arrays, nulls, lent = list(self.chunk.arrays), list(self.chunk.nulls), {}
        for i, want in enumerate(other.wants):
            lent.setdefault(want.role, []).append(i)
        for i, want in enumerate(self.wants):
            if arrays[i] is None:
                j = lent[want.role].pop(0)
                arrays[i], nulls[i] = other.chunk.arrays[j], other.chunk.nulls[j]
        return replace(self, chunk=replace(self.chunk, arrays=tuple(arrays), nulls=tuple(nulls)))

    def place(self, i):
        """(file, row) of a sample."""
        return (self.number, self.chunk.first + i) if self.rows is None else self.side.place(int(self.rows[i]))


class Side:
    """Side A or B. task: a SingleTask or RowTask; segments: a Segmented, of A; most: rows read at a time; counts: rows by file so far."""

    def __init__(self, task, most, segments=None):
        self.task, self.parts, self.most, self.segments = task, task.parts, most, segments
        self.by = len(segments.names) if segments else 0
        self.counts = [0] * len(self.parts)

    rows = property(lambda self: None if any(s.rows is None for s, _ in self.parts) else sum(s.rows for s, _ in self.parts))
    once = property(lambda self: any(getattr(source, "once", False) for source, _ in self.parts))
    width = property(lambda self: next((columns_of(wants) for _, wants in self.parts if wants), None))

    def own(self, source, wants):
        """Which of the wants are read, rather than lent: their places."""
        if self.segments is not None:
            return list(range(len(wants)))
        lent = {"sample_weight"} | ({"y_true"} if borrows_target(source) else set())
        return [i for i, want in enumerate(wants) if want.role not in lent]

    def halves(self):
        """Its samples, in order."""
        for number, (source, wants) in enumerate(self.parts):
            if wants is None:
                continue
            places = self.own(source, wants)
            chosen = [wants[i] for i in places]
            self.begin(source, wants)
            with closing(source.chunks(chosen, self.task.chunk_rows(chosen, self.most))) as chunks:
                for chunk in chunks:
                    yield self.half(number, spread(chunk, places, len(wants)))

    def begin(self, source, wants):
        if self.segments is not None:
            self.segments.begin(source, wants)

    def half(self, number, chunk):
        source, wants = self.parts[number]
        self.counts[number] += chunk.rows
        found = {}
        if self.segments is not None:
            chunk, found = self.segments.split(chunk, source)
        return Half(self, number, source, wants[: len(wants) - self.by], chunk, found.get("keys"), found.get("codes"))

    def place(self, row):
        """(file, row in it) of a row of all."""
        for number, count in enumerate(self.counts):
            if row < count:
                return number, row
            row -= count
        raise IndexError(row)

    def files(self):
        return tuple(
            {"path": part.path, "rows": count, "bytes": part.size}
            for (source, _), count in zip(self.parts, self.counts, strict=True) for part in getattr(source, "parts", (source,))
        )  # fmt: skip

    def name(self):
        """What it is, in messages."""
        first = self.parts[0][0].path
        return first if len(self.parts) == 1 else f"{first} and {len(self.parts) - 1} more"


def columns_of(wants):
    mine = [want for want in wants if want.role == "y_pred"]
    return mine[0].width or len(mine)


def borrower(source):
    """The Borrowed in a Source, or None."""
    inside = getattr(source, "main", None)
    return source if isinstance(source, Borrowed) else inside if isinstance(inside, Borrowed) else None


def borrows_target(source):
    found = borrower(source)
    return found is not None and found.target


def spread(chunk, places, count):
    """A chunk with its arrays at these places of ``count``, and None at others."""
    arrays, nulls = [None] * count, [None] * count
    for place, array, lost in zip(places, chunk.arrays, chunk.nulls, strict=True):
        arrays[place], nulls[place] = array, lost
    return Chunk(chunk.first, chunk.rows, tuple(arrays), tuple(nulls))


def by_row(a, b):
    """Pairs of Halves of as many samples: row i of A and row i of B, whatever the chunks in which they come."""
    if a.rows is not None and b.rows is not None and a.rows != b.rows:
        raise DataError(f"{a.name()} has {a.rows} rows, and {b.name()} has {b.rows}; {PAIR_BY_KEY}")
    with closing(a.halves()) as left, closing(b.halves()) as right:
        mine = theirs = None
        while True:
            mine, theirs = filled(mine, left), filled(theirs, right)
            if mine is None or theirs is None:
                break
            count = min(mine.chunk.rows, theirs.chunk.rows)
            first = mine.cut(0, count)
            yield first, theirs.cut(0, count).with_lent(first)
            mine, theirs = mine.cut(count, mine.chunk.rows), theirs.cut(count, theirs.chunk.rows)
    for rest, longer, shorter in ((mine, a, b), (theirs, b, a)):
        if rest is not None:
            number, row = rest.place(0)
            message = f"there is no row for this one in {shorter.name()}, which ends after {sum(shorter.counts)} rows; {PAIR_BY_KEY}"
            raise DataError(message, longer.parts[number][0].path, row)


def filled(half, halves):
    """A Half that is not empty, or None at their end."""
    while half is None or not half.chunk.rows:
        half = next(halves, None)
        if half is None:
            return None
    return half


def same_files(a, b):
    """Do both lie in the very Sources, so that these can be read once?"""
    return all(borrower(theirs) is theirs and theirs.main is mine for (mine, _), (theirs, _) in zip(a.parts, b.parts, strict=True))


def of_same_files(a, b):
    """Pairs of Halves of two predictions in the same files, each read once, if their columns lie in no files of their own."""
    if not same_files(a, b):
        if a.once:
            raise SourceError(READ_ONCE)
        yield from by_row(a, b)
        return
    for number, ((source, wants), (_, others)) in enumerate(zip(a.parts, b.parts, strict=True)):
        if wants is None:
            continue
        places = b.own(b.parts[number][0], others)
        both = [*wants, *(others[i] for i in places)]
        a.begin(source, wants)
        with closing(source.chunks(both, a.task.chunk_rows(both, a.most))) as chunks:
            for chunk in chunks:
                first = replace(chunk, arrays=chunk.arrays[: len(wants)], nulls=chunk.nulls[: len(wants)])
                second = replace(chunk, arrays=chunk.arrays[len(wants) :], nulls=chunk.nulls[len(wants) :])
                mine = a.half(number, first)
                yield mine, b.half(number, spread(second, places, len(others))).with_lent(mine)
