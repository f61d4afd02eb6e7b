"""Pairing by key: which row of B each row of A goes with.

The keys of both sides are held, and of B all that is computed with; A is read twice, and streams. Measured, 10 M rows of Parquet on each
side in another order, one float32 prediction, log loss, growth of the peak RSS: keys of int64 0.90 GB, of 16 characters 2.2 GB, most of it
polars' join; 8 and 15 s of CPU time on a busy machine. Row by row the same files take 70 MB, and Parquet against CSV 350 MB (csv.py).
"""

from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from fastloss.evaluation.columns import nearest, shown
from fastloss.evaluation.errors import DataError, SourceError
from fastloss.evaluation.segments import kind_of
from fastloss.evaluation.sides import Half
from fastloss.evaluation.source import AS_KEY, Chunk, Want, path_of
from fastloss.evaluation.streams import READ_ONCE

NAMED = 3  # keys in messages
FOR_KEYS = "pair by"
INNER = "leave them out with inner=True (--inner)"


class Told:
    """A Source in messages alone, whose rows are not those of the file."""

    once = True

    def __init__(self, source):
        self.source, self.path, self.names = source, source.path, source.names

    def path_of(self, name):
        return path_of(self.source, name)


@dataclass(frozen=True)
class Unmatched:
    """How many rows of A and of B have no partner."""

    a: int
    b: int


class Keyed:
    """Pairs of two sides whose key columns are equal, in the order of A. unmatched: an Unmatched, once they have been read."""

    def __init__(self, a, b, names, inner):
        if a.once:
            raise SourceError(f"A is read twice where pairs go by key, and {READ_ONCE}")
        self.a, self.b, self.names, self.inner, self.unmatched = a, b, names, inner, Unmatched(0, 0)

    def pairs(self):
        every = [source for side in (self.a, self.b) for source, wants in side.parts if wants is not None]
        texts = ["text" in [key_kind(source, name) for source in every] for name in self.names]
        keys_a, _ = keys_of(self.a, self.names, texts, False)
        keys_b, held = keys_of(self.b, self.names, texts, True)
        partner = self.joined(keys_a, keys_b)
        del keys_a, keys_b
        self.a.counts = [0] * len(self.a.parts)
        first = 0
        with closing(self.a.halves()) as halves:
            for half in halves:
                rows, mine = np.arange(first, first + half.chunk.rows), partner[first : first + half.chunk.rows]
                first += half.chunk.rows
                if len(mine) < len(rows):
                    raise DataError("it has more rows than when its keys were read: it changed meanwhile", half.source.path)
                if (mine < 0).any():
                    kept = np.flatnonzero(mine >= 0)
                    if not len(kept):
                        continue
                    half = replace(half, chunk=taken(half.chunk, kept), codes=None if half.codes is None else half.codes[kept])
                    rows, mine = rows[kept], mine[kept]
                half = replace(half, chunk=replace(half.chunk, first=0), rows=rows, source=Told(half.source))
                number, source, wants, chunk = held
                theirs = Half(self.b, number, Told(source), wants, taken(chunk, mine), rows=mine)
                yield half, theirs.with_lent(half)
        if first < len(partner):
            raise DataError(f"{self.a.name()} has fewer rows than when its keys were read: it changed meanwhile")

    def joined(self, keys_a, keys_b):
        """int64: the row of B that each row of A goes with, or -1."""
        from fastloss.evaluation.frames import pl

        names = [str(i) for i in range(len(self.names))]
        for name in names:
            if keys_a[name].dtype != keys_b[name].dtype:
                keys_a, keys_b = (keys.with_columns(pl.col(name).cast(pl.String)) for keys in (keys_a, keys_b))
        for side, keys in ((self.a, keys_a), (self.b, keys_b)):
            self.refuse_twice(side, keys)
        keys_a, keys_b = keys_a.with_row_index("a"), keys_b.with_row_index("b")
        found = keys_a.join(keys_b, on=names, how="inner").select("a", "b")
        partner = np.full(len(keys_a), -1, np.int64)
        partner[found["a"].to_numpy()] = found["b"].to_numpy()
        del found
        lone_a, matched = partner < 0, np.zeros(len(keys_b), bool)
        matched[partner[~lone_a]] = True
        self.unmatched = Unmatched(int(np.count_nonzero(lone_a)), len(keys_b) - int(np.count_nonzero(matched)))
        if self.inner:
            return partner
        parts = []
        for side, other, keys, lone in ((self.a, self.b, keys_a, lone_a), (self.b, self.a, keys_b, ~matched)):
            if lone.any():
                rows = np.flatnonzero(lone)
                examples = "; ".join(f"{self.told(keys, row)}, {self.where(side, row)}" for row in rows[:NAMED].tolist())
                many = f"{len(rows)} key{'s' * (len(rows) != 1)} of {side.name()} {'is' if len(rows) == 1 else 'are'}"
                parts.append(f"{many} not in {other.name()} ({examples}{'; ...' * (len(rows) > NAMED)})")
        if parts:
            raise DataError(f"{', and '.join(parts)}; {INNER}")
        return partner

    def told(self, keys, row):
        return ", ".join(f"{name} {keys[str(i)][row]!r}" for i, name in enumerate(self.names))

    def where(self, side, row):
        number, inside = side.place(row)
        return f"{side.parts[number][0].path}, row {inside}"

    def refuse_twice(self, side, keys):
        if (keys.to_series() if keys.width == 1 else keys).n_unique() == len(keys):
            return
        twice = np.flatnonzero((keys.to_series() if keys.width == 1 else keys).is_duplicated().to_numpy())
        several = keys[twice.tolist()]
        kinds, first = several.n_unique(), several.row(0)
        places = [row for row, key in zip(twice.tolist(), several.iter_rows(), strict=True) if key == first][:2]
        both = " and ".join(self.where(side, row) for row in places)
        many = f"{kinds} {'is' if kinds == 1 else 'are'} of several"
        message = f"a key must be of one row, and {many}: {self.told(keys, places[0])} in {both}"
        remedy = "; name more columns (key=[...], --key twice), or leave out the copies"
        number, inside = side.place(places[1])
        raise DataError(message + remedy, side.parts[number][0].path, inside, self.names[0])


def taken(chunk, rows):
    """Some rows of a chunk."""
    arrays, nulls = ([None if array is None else array[rows] for array in arrays] for arrays in (chunk.arrays, chunk.nulls))
    return Chunk(0, len(rows), tuple(arrays), tuple(nulls))


def keys_of(side, names, texts, whole):
    """(a DataFrame of the side's keys, columns "0", "1" ...; and where the ``whole`` side is wanted, (number, source, wants, Chunk of all
    rows) of what it reads, else None). texts: which of the keys are text somewhere, and so are compared as text: 007 is not 7."""
    from fastloss.evaluation.frames import pl

    frames, pieces, first = [], [], None
    for number, (source, wants) in enumerate(side.parts):
        if wants is None:
            continue
        kinds = ["text" if text else key_kind(source, name) for name, text in zip(names, texts, strict=True)]
        keys = [Want("key", name, AS_KEY) for name in names]
        places = side.own(source, wants) if whole else []
        chosen = [wants[i] for i in places]
        with closing(source.chunks([*keys, *chosen], side.task.chunk_rows([*keys, *chosen], side.most))) as chunks:
            for chunk in chunks:
                columns = zip(names, kinds, chunk.arrays, chunk.nulls, strict=False)
                frames.append(pl.DataFrame([series_of(pl, str(i), source, chunk, *column) for i, column in enumerate(columns)]))
                side.counts[number] += chunk.rows
                if whole:
                    arrays, nulls = chunk.arrays[len(keys) :], chunk.nulls[len(keys) :]
                    pieces.append((chunk.rows, [array.copy() for array in arrays], nulls))
        first = first or (number, source, wants, places)
    if not frames:
        raise DataError(f"there are no rows in {side.name()}")
    kinds = [{frame[str(i)].dtype for frame in frames} for i in range(len(names))]
    mixed = [str(i) for i, found in enumerate(kinds) if len(found) > 1]
    table = pl.concat([frame.with_columns(pl.col(mixed).cast(pl.String)) if mixed else frame for frame in frames], rechunk=True)
    return table, together(first, pieces) if whole else None


def together(first, pieces):
    """What keys_of gives of a whole side."""
    number, source, wants, places = first
    arrays, nulls, count = [None] * len(wants), [None] * len(wants), sum(rows for rows, *_ in pieces)
    for j, place in enumerate(places):
        arrays[place] = np.concatenate([piece[1][j] for piece in pieces])
        masks = [piece[2][j] for piece in pieces]
        if any(mask is not None for mask in masks):
            nulls[place] = np.concatenate([np.zeros(n, bool) if m is None else m for (n, *_), m in zip(pieces, masks, strict=True)])
        for piece in pieces:
            piece[1][j] = None  # no longer than it is needed
    return number, source, wants, Chunk(0, count, tuple(arrays), tuple(nulls))


def key_kind(source, name):
    if name not in source.names:
        raise SourceError(f"{source.path} has no column {name!r} to pair by; it has {shown(source.names)}{nearest(name, source.names)}")
    return kind_of(source, name, FOR_KEYS)


def series_of(pl, title, source, chunk, name, kind, array, nulls):
    """A chunk's column of keys as a Series: Int64 of integers, else text."""

    def refuse(message, wrong):
        raise DataError(f"column {name!r} {message}", path_of(source, name), chunk.first + int(np.flatnonzero(wrong)[0]), name)

    if nulls is not None and nulls.any():
        refuse("is a key, and has a missing value", nulls)
    if not isinstance(array, pl.Series):
        array = pl.Series(np.char.decode(array, "utf-8", "replace") if array.dtype.kind == "S" else array.copy())  # of a reader's buffer
    found = array.alias(title)
    if found.null_count():
        refuse("is a key, and has a missing value", found.is_null().to_numpy())
    if kind != "number":
        found = found.cast(pl.String)
        return found.str.to_lowercase() if kind == "bool" else found
    text = found.dtype == pl.String
    whole = (found.str.strip_chars().str.replace(r"\.0*$", "") if text else found).cast(pl.Int64, strict=False)
    wrong = whole.is_null() if text or found.dtype.is_integer() else whole.is_null() | (whole.cast(pl.Float64) != found)
    if wrong.any():
        where = wrong.to_numpy()
        refuse(f"is a key, and must hold text, dates or integers below 2**63, got {found[int(where.argmax())]!r}", where)
    return whole
