"""What Parquet and CSV share: polars' streaming engine gives the wanted columns in batches, which become numpy arrays.

Measured with polars 2.1 on 2 cores of Zen 4, 30 M rows, 2 of 4 columns, files in the page cache; memory is the growth of the peak RSS:

    Parquet, 244 row groups (562 MB)    collect_batches(2**20) 0.19 s, 45 MB    in slices of 2**20 0.37 s, 39 MB    pyarrow 0.44 s, 58 MB
    Parquet, one row group of 30 M      collect_batches(2**20) 0.82 s, 273 MB   in slices of 2**20 1.08 s, 143 MB   pyarrow 0.92 s, 178 MB
    CSV of 0.24, 0.96 and 1.9 GB        collect_batches(2**20) 0.7, 1.7 and 3.6 s, 290, 355 and 370 MB

The same with a consumer that sleeps 50 ms per batch: the engine waits, and memory stays. So memory is bounded by the wanted columns of
a row group (Parquet; a writer's choice) or by a constant (CSV), not by the file. Batches are decoded in threads of polars' own, ahead
of their use.
"""

import os
import re
import sys

import numpy as np

from fastloss.evaluation.errors import DataError, MissingLibraryError
from fastloss.evaluation.segments import Coded
from fastloss.evaluation.source import AS_KEY, AS_SEGMENT, AS_TEXT, Chunk, Column

# Row groups that polars reads ahead: by default so many that those of 8 or 16 MB took up to 450 MB; with 2 they take 230 or 270, in the
# same time. Whoever uses polars besides keeps its settings.
if "polars" not in sys.modules:
    os.environ.setdefault("POLARS_ROW_GROUP_PREFETCH_SIZE", "2")

try:
    import polars as pl
    from polars import selectors
except ImportError as error:
    raise MissingLibraryError("polars", "reading Parquet and CSV files") from error

# a corrupt file may make the Rust code panic, which polars does not count among its errors
FAILURES = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)
TEXT = (pl.String, pl.Categorical, pl.Enum)
WIDE = (pl.Decimal, pl.Int128, pl.Null)  # no array of numpy's holds these; float64 does

END = "end"  # the wanted columns are named by their positions


def column_of(dtype, length=None):
    """The Column of a polars dtype; ``length``: that of a list column's rows."""
    if dtype in (pl.List, pl.Array):
        plain = column_of(dtype.inner).kind if dtype.inner not in WIDE and len(getattr(dtype, "shape", (0,))) == 1 else "other"
        width = dtype.shape[0] if dtype == pl.Array else length
        return Column(plain if plain in ("number", "bool") and width is not None else "other", str(dtype), width)
    if dtype in TEXT:
        return Column("text", "text")
    if dtype == pl.Boolean:
        return Column("bool", "bool")
    return Column("number" if dtype.is_numeric() or dtype == pl.Null else "other", str(dtype))


def expression(want, dtype, position):
    """What is computed for a want; by_name, because pl.col takes names such as '*' or '^p$' for patterns."""
    column = selectors.by_name(want.name)
    if want.label is AS_KEY:
        return (column.cast(pl.String) if dtype in TEXT else column).alias(str(position))
    if dtype in WIDE:
        column = column.cast(pl.Float64)
    if want.label is AS_SEGMENT:
        column = column.cast(pl.Categorical) if dtype == pl.String else column
    elif want.label is AS_TEXT:
        column = column.cast(pl.String)
    elif isinstance(want.label, tuple):
        text = column.cast(pl.String)
        place = text.replace_strict(list(want.label), range(len(want.label)), default=-1, return_dtype=pl.Int64)
        column = pl.when(text.is_not_null()).then(place)
    elif want.label is not None:
        column = (column.cast(pl.String) if dtype in TEXT else column) == pl.lit(want.label)
    return column.alias(str(position))


def chunks(frame, schema, wants, rows, path, first=0, stop=None, n=None, whole=False):
    """The Chunks of a LazyFrame, of its rows from ``first`` to ``stop``; n: how many it has, or None where that is not known; whole: read
    the other columns, too. DataError if the engine stops before its end.

    The engine passes over what comes before: of 20 M rows of Parquet in row groups of 1 M, the last million takes 10 ms, all of them 320;
    of 5 M lines of CSV the last tenth 100 ms, all 840.

    That has to be looked for: an interrupt (SIGINT, even one that Python ignores or another thread handles) ends the iteration of
    collect_batches as if the file ended there (polars 2.1). So n rows must come, or else a last row that is added: with it the engine cuts
    batches to 100,000 rows, which takes 1.3 times as long as whole row groups (33 M rows of int8 and float32: 154 and 116 ms).
    """
    frame = frame.slice(first, None if stop is None else stop - first) if first or stop is not None else frame
    wanted = [expression(want, schema[want.name], i) for i, want in enumerate(wants)]
    wanted = frame.select(wanted + [pl.all().name.prefix("also ")] * whole)
    if n is None:
        wanted = wanted.with_columns(pl.lit(False).alias(END))
        columns = wanted.collect_schema()
        wanted = pl.concat([wanted, pl.LazyFrame({name: [True if name == END else None] for name in columns}, schema=columns)])
    ended = False
    for batch in gathered(wanted.collect_batches(engine="streaming"), rows):
        if n is None and len(batch) and batch[END][-1]:
            batch, ended = batch[:-1], True
        for start in range(0, len(batch), rows):
            yield chunk_of(batch[start : start + rows], wants, first + start, path)
        first += len(batch)
    if not (ended if n is None else first == (n if stop is None else min(stop, n))):
        why = "it was interrupted, or the file was changed meanwhile"
        raise DataError(f"reading ended after {first} rows, not at the end of the file: {why}", path)


def gathered(batches, rows):
    """Batches as the engine makes them, views of what was decoded (cut to a size there, some would be copied); small ones together."""
    held, n = [], 0
    for batch in batches:
        held.append(batch)
        n += len(batch)
        if n > rows // 2:
            yield pl.concat(held) if len(held) > 1 else batch
            held, n = [], 0
    if held:
        yield pl.concat(held)


def pieces(frame, schema, wants, rows, first, path):
    """The Chunks of a DataFrame, or of a LazyFrame that fits into memory, whose first row is row ``first`` of the file."""
    wanted = frame.lazy().select([expression(want, schema[want.name], i) for i, want in enumerate(wants)]).collect()
    for start in range(0, len(wanted), rows):
        yield chunk_of(wanted[start : start + rows], wants, first + start, path)


def chunk_of(batch, wants, first, path):
    """The Chunk of a batch whose first columns are the wants'."""
    pairs = []
    for want, series in zip(wants, batch.get_columns(), strict=False):
        if want.label is AS_SEGMENT and series.dtype in TEXT:
            pairs.append(coded(series))
            continue
        if want.label is AS_KEY:
            pairs.append((series, series.is_null().to_numpy() if series.null_count() else None))
            continue
        pairs.append(without_nulls(series) if want.width is None else rows_of(series, want, first, path))
    return Chunk(first, len(batch), tuple(p[0] for p in pairs), tuple(p[1] for p in pairs))


def without_nulls(series):
    """(array, mask): nulls are filled with a value that the column has, so that integers stay integers and domains are kept."""
    if not series.null_count():
        return series.to_numpy(), None
    nulls = series.is_null().to_numpy()
    if nulls.all():
        return np.full(len(nulls), np.nan), nulls
    return series.fill_null(series[int(nulls.argmin())]).to_numpy(), nulls


def coded(series):
    """(Coded, mask of nulls or None) of a column of categories."""
    nulls = series.is_null().to_numpy() if series.null_count() else None
    codes = series.to_physical()  # the same for the same text throughout a file: polars 2 keeps categories for the whole process
    return Coded(
        (codes if nulls is None else codes.fill_null(0)).to_numpy(), lambda rows: series.gather(rows).cast(pl.String).to_list()
    ), nulls


def rows_of(series, want, first, path):
    """(array of shape (rows, width), mask of the rows that lack a value) of a column of lists or arrays; lists must be of one length."""
    if series.dtype == pl.List:
        wrong = (series.list.len() != want.width).fill_null(False)
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            message = f"column {want.name!r} must hold rows of one length, {want.width} as the first, got one of {series.list.len()[row]}"
            raise DataError(message, path, first + row, want.name)
    there = series.drop_nulls()
    flat = there.explode()
    array = flat.to_numpy().reshape(len(there), want.width)
    if not series.null_count() and not flat.null_count():
        return array, None
    nulls = series.is_null().to_numpy().copy()
    filled = np.full((len(series), want.width), np.nan, array.dtype if array.dtype.kind == "f" else np.float64)
    filled[~nulls] = array
    nulls[~nulls] = flat.is_null().to_numpy().reshape(array.shape).any(axis=1)
    return filled, nulls


def first_length(frame, name):
    """The length of the first list that a column has, or None. A filter would have the whole column read."""
    lengths = frame.select(selectors.by_name(name).list.len().alias("length"))
    for rows in (1, 1000, None):
        found = (lengths.head(rows) if rows else lengths).collect(engine="streaming")["length"].drop_nulls()
        if len(found):
            return found[0]
    return None


def list_length(series):
    """The length of the first list of a series, or None."""
    lengths = series.drop_nulls().head(1).list.len()
    return lengths[0] if len(lengths) else None


def damaged(error, path, what):
    """The DataError for a failure of polars: its first line, without the advice that follows."""
    line = re.sub(r"^parquet: ", "", str(error).strip().split("\n")[0])
    line = "".join(sign if sign.isprintable() else "?" for sign in line)  # bytes of the file can be among them
    return DataError(f"not a {what} file, or a truncated or damaged one: {line}", path)
