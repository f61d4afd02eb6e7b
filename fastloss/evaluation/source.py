"""The one interface of all readers: a file is a Source, and gives its wanted columns in chunks of rows.

A Source has

    path          the file's path, as text
    size          bytes on disk
    rows          number of rows, or None where only reading them all would tell (CSV)
    names         the columns that there are
    column(name)  its Column; DataError if its header is broken. ``name`` is one of ``names``
    chunks(wants, rows, first=0, stop=None)
                  an iterator of Chunk, of about ``rows`` rows each, in order, that together hold once every row from ``first`` on and
                  before ``stop``, the end where that is None. What is of rows of one size, or has a directory, is read from that row on;
                  text is read from its beginning, and passed over

Opening one (``open_source``) reads headers only, and keeps no file open; a source costs memory by the chunk, never by the file.
"""

import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from fastloss.evaluation import stores
from fastloss.evaluation.errors import DataError, SourceError
from fastloss.losses import ALIASES

# extension -> (module, class): a reader is imported when its first file is met
FORMATS = {
    ".npy": ("npy", "NpyFile"),
    ".npz": ("npz", "NpzFile"),
    ".parquet": ("parquet", "ParquetFile"),
    ".pq": ("parquet", "ParquetFile"),
    ".csv": ("csv", "CsvFile"),
    ".tsv": ("csv", "CsvFile"),
    ".csv.gz": ("texts", "CsvStream"),
    ".tsv.gz": ("texts", "CsvStream"),
    ".csv.zst": ("texts", "CsvStream"),
    ".tsv.zst": ("texts", "CsvStream"),
    ".jsonl": ("texts", "JsonLines"),
    ".jsonl.gz": ("texts", "JsonLines"),
    ".jsonl.zst": ("texts", "JsonLines"),
    ".ndjson": ("texts", "JsonLines"),
    ".ndjson.gz": ("texts", "JsonLines"),
    ".ndjson.zst": ("texts", "JsonLines"),
    ".arrow": ("arrow", "ArrowFile"),
    ".arrows": ("arrow", "ArrowFile"),
    ".feather": ("arrow", "ArrowFile"),
    ".ipc": ("arrow", "ArrowFile"),
    ".safetensors": ("safetensors", "SafetensorsFile"),
}
STREAMED = {"csv": "CsvStream", "tsv": "CsvStream", "jsonl": "JsonLines", "arrow": "ArrowFile"}  # formats of standard input
STANDARD_INPUT = "-"

AS_TEXT = object()  # instead of a label: the column itself is wanted, as text
AS_SEGMENT = object()  # instead of a label: the column itself is wanted, its rows to be told apart (text may come as segments.Coded)
AS_KEY = object()  # instead of a label: its values are wanted, none changed (readers through polars give the Series)
NOTHING = "Null"  # the type of a column of nothing but missing values, as far as its file tells
WHOLE = "*"  # instead of a column's name: all columns of a .npy file, as one
SHOWN = 20  # names in messages


@dataclass(frozen=True)
class Column:
    """What a column holds: ``kind`` is "number", "bool", "text" or "other"; ``type`` names it to a reader of messages; ``width`` is how
    many of them a row of it has, where that is a row of its own (a list, say), and else None."""

    kind: str
    type: str
    width: int | None = None


@dataclass(frozen=True)
class Want:
    """A column to be read for a role (the engine's name of the argument: y_true, y_pred or sample_weight).

    With a label, what is read is the bool ``column == label`` instead of the column itself. A column of text is read as it is with AS_TEXT,
    as whatever tells its values apart with AS_SEGMENT, and with a tuple of labels as the places of its values in that tuple (integers, -1
    for a value that is not there). ``places`` are the same for numbers, and no business of the reader's. ``width`` is that of the Column.
    A role of many columns has a Want for each.
    """

    role: str
    name: str
    label: object = None
    places: tuple | None = None
    width: int | None = None


@dataclass(frozen=True)
class Chunk:
    """Rows ``first`` to ``first + rows``: per want an array of shape (rows,) or (rows, width), and where values are missing a bool mask of
    those rows, else None.

    A masked place holds a value that some other row has, or NaN: never one that the file has not. The arrays are good until the next chunk
    is taken: readers reuse their buffers.
    """

    first: int
    rows: int
    arrays: tuple
    nulls: tuple


def ranges(stop, rows, first=0):
    """Chunks of no columns."""
    for start in range(first, stop, rows):
        yield Chunk(start, min(rows, stop - start), (), ())


def within(chunks, first, stop):
    """The rows from ``first`` to ``stop`` (None: the end) of Chunks that begin before."""
    for chunk in chunks:
        start, end = max(0, first - chunk.first), chunk.rows if stop is None else min(chunk.rows, stop - chunk.first)
        if start == 0 and end == chunk.rows:
            yield chunk
        elif start < end:
            rows = slice(start, end)
            arrays, nulls = (tuple(None if part is None else part[rows] for part in parts) for parts in (chunk.arrays, chunk.nulls))
            yield Chunk(chunk.first + start, end - start, arrays, nulls)
        if stop is not None and chunk.first + chunk.rows >= stop:
            return


def suffix_of(path):
    """The extension of a path that FORMATS knows, that of a compressed file with what is before it; else the last one, as it is."""
    last = Path(path).suffix.lower()
    both = Path(Path(path).stem).suffix.lower() + last
    return both if both in FORMATS else last


def open_source(path, format=None):
    """The Source of one file, by its extension; of standard input, which is "-", by ``format``, a key of STREAMED. SourceError if it is not
    there or of an unknown kind; DataError if it is foreign."""
    if path == STANDARD_INPUT:
        return open_standard_input(format)
    if stores.is_store(os.fspath(path)):
        return stores.open_store(os.fspath(path))
    path = Path(path)
    if path.is_dir():
        raise SourceError(f"{path} is a directory; give files or a pattern, such as '{path}/*.parquet'")
    if not path.exists():
        hint = f"; it is a loss: to evaluate several, give `-l {path}` or a list of losses" if str(path) in ALIASES else ""
        raise SourceError(f"{path}: there is no such file{hint}")
    if not path.is_file():
        raise SourceError(f"{path} is not a regular file")
    suffix = suffix_of(path)
    if suffix not in FORMATS:
        raise SourceError(f"{path}: unknown kind of file {path.suffix!r}; known are {', '.join(FORMATS)}")
    try:
        size = path.stat().st_size
        path.open("rb").close()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    if size == 0:
        raise DataError("the file is empty (0 bytes)", str(path))
    return reader_of(suffix)(str(path), size, suffix)


def open_standard_input(format):
    if format not in STREAMED:
        need = f"'-' is standard input, and needs its format ({', '.join(STREAMED)})"
        raise SourceError(f"{need}: format=... (--format csv), got {format!r}; other formats cannot be read as a stream")
    return getattr(import_module("fastloss.evaluation." + ("arrow" if format == "arrow" else "texts")), STREAMED[format])(None, 0, format)


def reader_of(suffix):
    module, name = FORMATS[suffix]
    return getattr(import_module(f"fastloss.evaluation.{module}"), name)


def is_file(name):
    """Whether a column's name means a .npy file that is that column."""
    return name.lower().endswith(".npy")


def path_of(source, name):
    """The file that a column lies in."""
    return source.path_of(name) if hasattr(source, "path_of") else source.path


def place_of(source, name):
    """A column, in messages."""
    return f"{source.path}: column {name!r}" if not is_file(name) else name


def hidden_rows(chunk, source, wants, nan):
    """The rows that lack a value and are to be skipped, or None. DataError for a missing value, unless ``nan`` is "skip"."""
    hidden = None
    for want, nulls in zip(wants, chunk.nulls, strict=True):
        if nulls is None:
            continue
        if nan != "skip":
            message = f'column {want.name!r} has a missing value; fill it in the file, or leave such rows out with nan="skip" (--nan skip)'
            raise DataError(message, path_of(source, want.name), chunk.first + int(nulls.argmax()), want.name)
        hidden = nulls if hidden is None else hidden | nulls
    return hidden


def label_value(label, column, where):
    """``label`` as a value that can be compared with a column of that kind: a number, a bool or text."""
    if column.kind == "text":
        return str(label)
    word = str(label).strip().lower()
    if column.kind == "bool" and word in ("true", "false"):
        return word == "true"
    try:
        if isinstance(label, int) or str(label).strip().lstrip("+-").isdecimal():
            return int(label)  # whole numbers may be larger than float64 can tell apart
        number = float(label)
    except (TypeError, ValueError):
        raise SourceError(f"{where} holds {column.type}; `positive` must be one of its values, got {label!r}") from None
    return int(number) if number.is_integer() else number
