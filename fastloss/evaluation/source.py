"""The one interface of all readers: a file is a Source, and gives its wanted columns in chunks of rows.

A Source has

    path          the file's path, as text
    size          bytes on disk
    rows          number of rows, or None where only reading them all would tell (CSV)
    names         the columns that there are
    column(name)  its Column; DataError if its header is broken. ``name`` is one of ``names``
    chunks(wants, rows)  an iterator of Chunk, of about ``rows`` rows each, in order, that together hold every row once

Opening one (``open_source``) reads headers only, and keeps no file open; a source costs memory by the chunk, never by the file.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from fastloss.evaluation.errors import DataError, SourceError

# extension -> (module, class): a reader is imported when its first file is met
FORMATS = {
    ".npy": ("npy", "NpyFile"),
    ".npz": ("npz", "NpzFile"),
    ".parquet": ("parquet", "ParquetFile"),
    ".pq": ("parquet", "ParquetFile"),
    ".csv": ("csv", "CsvFile"),
    ".tsv": ("csv", "CsvFile"),
}

AS_TEXT = object()  # instead of a label: the column itself is wanted, as text


@dataclass(frozen=True)
class Column:
    """What a column holds: ``kind`` is "number", "bool", "text" or "other"; ``type`` names it to a reader of messages."""

    kind: str
    type: str


@dataclass(frozen=True)
class Want:
    """A column to be read for a role (the engine's name of the argument: y_true, y_pred or sample_weight).

    With a label, what is read is the bool ``column == label`` instead of the column itself. A column of text is read as it is with AS_TEXT.
    """

    role: str
    name: str
    label: object = None


@dataclass(frozen=True)
class Chunk:
    """Rows ``first`` to ``first + rows``: per want an array of shape (rows,), and where values are missing a bool mask, else None.

    A masked place holds a value that some other row has, or NaN: never one that the file has not. The arrays are good until the next chunk
    is taken: readers reuse their buffers.
    """

    first: int
    rows: int
    arrays: tuple
    nulls: tuple


def open_source(path):
    """The Source of one file, by its extension. SourceError if it is not there or of an unknown kind; DataError if it is foreign."""
    path = Path(path)
    if path.is_dir():
        raise SourceError(f"{path} is a directory; give files or a pattern, such as '{path}/*.parquet'")
    if not path.exists():
        raise SourceError(f"{path}: there is no such file")
    if not path.is_file():
        raise SourceError(f"{path} is not a regular file")
    if path.suffix.lower() not in FORMATS:
        raise SourceError(f"{path}: unknown kind of file {path.suffix!r}; known are {', '.join(FORMATS)}")
    try:
        size = path.stat().st_size
        path.open("rb").close()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    if size == 0:
        raise DataError("the file is empty (0 bytes)", str(path))
    module, name = FORMATS[path.suffix.lower()]
    return getattr(import_module(f"fastloss.evaluation.{module}"), name)(str(path), size)


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
