""".npy files: NumPy's own format, read into reusable buffers. Not mapped: a mapped file that shrinks kills the process (SIGBUS).

    1-D              one column, "0"
    1-D of records   the fields, by name
    2-D              "0", "1", ...: in C order whole rows are read, in Fortran order the wanted columns alone; WHOLE is all of them

Nothing is unpickled, and no memory is taken before the header was compared with the size of the file.
"""

import ast
import functools
import math
import re
import struct
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np

from fastloss.evaluation.errors import DataError, SourceError
from fastloss.evaluation.source import AS_KEY, AS_SEGMENT, AS_TEXT, WHOLE, Chunk, Column

MAX_HEADER = 10_000
MAX_COLUMNS = 10_000
CHUNK_BYTES = 2**25
SIMPLE = re.compile(r"[<>|=]?([biufcSU][1-9]\d{0,5}|[mM]8(\[\d{0,6}\w{1,2}\])?)")
KINDS = {"b": "bool", "i": "number", "u": "number", "f": "number", "U": "text", "S": "text"}


@dataclass(frozen=True)
class Header:
    dtype: np.dtype
    fortran: bool
    shape: tuple
    offset: int  # bytes before the data


def read_header(read, size, where):
    """The checked Header of an array of ``size`` bytes in all, header included. ``read(n)`` gives its next n bytes, or fewer at the end."""
    start = read(8)
    if start[:6] != b"\x93NUMPY" or len(start) < 8:
        raise DataError("not a NumPy array: it does not begin as a .npy file does", where)
    if start[6] not in (1, 2, 3) or start[7] != 0:
        raise DataError(f"version {start[6]}.{start[7]} of the .npy format is not known; 1.0, 2.0 and 3.0 are", where)
    field = "<H" if start[6] == 1 else "<I"
    count = read(struct.calcsize(field))
    length = struct.unpack(field, count)[0] if len(count) == struct.calcsize(field) else math.inf
    if length > MAX_HEADER:
        raise DataError(f"the header must have at most {MAX_HEADER} bytes, and is cut short or claims more", where)
    offset = 8 + len(count) + length
    text = read(length)
    if len(text) < length or offset > size:
        raise DataError("the file ends inside its header: it is truncated", where)
    dtype, fortran, shape = parse_header(text.decode("utf-8" if start[6] == 3 else "latin1", "replace"), where)
    wanted, found = math.prod(shape) * dtype.itemsize, size - offset
    if wanted != found:
        state = "it is truncated, or its header lies" if found < wanted else "something else follows the array"
        raise DataError(f"the header announces {wanted} bytes of data, the file holds {found}: {state}", where)
    return Header(dtype, fortran, shape, offset)


def parse_header(text, where):
    """(dtype, fortran_order, shape) of the dict that a header is."""
    try:
        header = ast.literal_eval(text.strip())
        fields = {"descr": header["descr"], "fortran_order": header["fortran_order"], "shape": header["shape"]}
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError):
        fields = None
    if fields is None or len(header) != 3 or not isinstance(fields["fortran_order"], bool):
        raise DataError("the header must be a dict of exactly descr, fortran_order and shape", where)
    shape = fields["shape"]
    if not isinstance(shape, tuple) or not all(type(n) is int and 0 <= n < 2**62 for n in shape) or len(shape) > 32:
        raise DataError(f"the shape must be a tuple of sizes, got {shape!r}", where)
    return parse_dtype(fields["descr"], where), fields["fortran_order"], shape


def parse_dtype(descr, where):
    """The dtype, if it is simple: numbers, text, dates, or records of those, aligned or not."""
    records = isinstance(descr, list) and len(descr) > 0
    if records and not all(isinstance(f, tuple) and len(f) == 2 and isinstance(f[0], str) for f in descr):
        raise DataError(f"the dtype must be simple, or one level of named simple fields, got {descr!r}", where)
    for word in [f[1] for f in descr if not is_padding(*f)] if records else [descr]:
        if isinstance(word, str) and "O" in word:
            raise DataError("it holds Python objects, which are never unpickled; save an array of numbers, as array.astype(float)", where)
        if isinstance(word, str) and re.fullmatch(r"[<>|=]?V[12]", word):
            message = f"its dtype is {word!r}: NumPy saves bfloat16 and other types of ml_dtypes without their name"
            raise DataError(f"{message}; save array.astype('float32')", where)
        if not isinstance(word, str) or not SIMPLE.fullmatch(word):
            raise DataError(f"the dtype must be numbers, bool or text, got {word!r}", where)
    try:
        return aligned(descr) if records and any(is_padding(*f) for f in descr) else np.dtype(descr)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"the dtype {descr!r} is none that NumPy knows", where) from error


def is_padding(name, word):
    """Whether a field of a record is what np.save writes for the bytes between fields that are aligned."""
    return not name and isinstance(word, str) and re.fullmatch(r"\|V[0-9]{1,9}", word) is not None


def aligned(descr):
    """The dtype of records with padding."""
    kept, offset = [], 0
    for name, word in descr:
        if not is_padding(name, word):
            kept.append((name, word, offset))
        offset += int(word[2:]) if is_padding(name, word) else np.dtype(word).itemsize
    names, formats, offsets = (list(part) for part in zip(*kept, strict=True))
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": offset})


def column_of(dtype):
    """The Column of a simple dtype."""
    known = dtype.kind in KINDS and not (dtype.kind == "f" and dtype.itemsize > 8)
    return Column(KINDS[dtype.kind] if known else "other", "text" if dtype.kind in "US" else str(dtype))


def matched(array, label):
    """The column as it is, or where it equals the label."""
    if label in (None, AS_TEXT, AS_SEGMENT, AS_KEY):
        return array
    if isinstance(label, tuple):
        return places(array, np.char.encode(label, "utf-8") if array.dtype.kind == "S" else np.array(label))
    return array == (label.encode() if array.dtype.kind == "S" else label)


def places(array, listed):
    """int64: where each value stands in the array ``listed``, or -1."""
    order = np.argsort(listed, kind="stable")
    found = order[np.minimum(np.searchsorted(listed, array, sorter=order), len(listed) - 1)]
    return np.where(listed[found] == array, found, -1)


def rows_of(stream, start, header, buffer, first, count, where):
    """Rows first <= i < first + count of a 2-D array, as it lies in the file: an array of two dimensions in the file's order. A Fortran
    order needs a stream that can seek, to ``start``, where its data begins; else the stream stands at the row."""
    size, width = header.dtype.itemsize, header.shape[1]
    raw = buffer.take(count * width * size)
    if not header.fortran:
        fill(stream, raw, where, first)
        return raw.view(header.dtype).reshape(count, width)
    view, stretch = memoryview(raw), count * size
    for j in range(width):
        stream.seek(start + (j * header.shape[0] + first) * size)
        done = stream.readinto(view[j * stretch : (j + 1) * stretch])
        if done != stretch:
            fill(stream, raw[j * stretch + done : (j + 1) * stretch], where, first)
    return raw.view(header.dtype).reshape(width, count).T


def fill(stream, array, where, first):
    """Fill an array of uint8 from an unbuffered stream. DataError, naming row ``first``, if it ends early."""
    view, done = memoryview(array), 0
    while done < len(view):
        count = stream.readinto(view[done:])
        if not count:
            raise DataError(f"{len(view)} bytes must follow, {done} do: the file was cut while it was read", where, first)
        done += count


class Buffer:
    """Memory that is used again for every chunk."""

    def __init__(self):
        self.held = np.empty(0, np.uint8)

    def take(self, size):
        """An array of uint8; what was taken before is overwritten with it."""
        if len(self.held) < size:
            self.held = np.empty(size, np.uint8)
        return self.held[:size]


class NpyFile:
    """A .npy file as a Source."""

    def __init__(self, path, size, _suffix=None):
        self.path, self.size = path, size
        with open(path, "rb", buffering=0) as file:
            self.header = header = read_header(file.read, size, path)
        if not 1 <= len(header.shape) <= 2 or (header.dtype.names and len(header.shape) != 1):
            raise DataError(f"the array must be 1-D (one column), 1-D with named fields, or 2-D, got shape {header.shape}", path)
        self.rows, self.width = header.shape[0], (header.shape[1] if len(header.shape) == 2 else 1)
        width = self.width
        # one record is what lies together in the file: a row, or in Fortran order one value of one column
        self.by_column = header.fortran and width > 1
        self.record = np.dtype((header.dtype, (width,))) if width > 1 and not self.by_column else header.dtype

    @functools.cached_property
    def names(self):
        if self.width > MAX_COLUMNS:
            message = f"shape {self.header.shape} means {self.width} columns; at most {MAX_COLUMNS} are read by name. Save it transposed?"
            raise SourceError(f"{self.path}: {message} If its rows are the predictions of a loss of rows, name the file as the prediction")
        return self.header.dtype.names or tuple(map(str, range(self.width)))

    def column(self, name):
        column = column_of(self.header.dtype[name] if self.header.dtype.names else self.header.dtype)
        return replace(column, width=self.width) if name == WHOLE else column

    def chunks(self, wants, rows, first=0, stop=None):
        rows, end = max(1, min(rows, CHUNK_BYTES // max(1, self.record.itemsize))), self.rows if stop is None else stop
        with ExitStack() as stack:
            read = self.reader(wants, stack)
            for at in range(first, end, rows):
                count = min(rows, end - at)
                yield Chunk(at, count, read(at, count), (None,) * len(wants))

    def reader(self, wants, stack):
        """A function (first, count) -> arrays of those rows, one per want; the open file belongs to ``stack``."""
        file = stack.enter_context(open(self.path, "rb", buffering=0))  # noqa: SIM115 - the stack closes it
        buffers = [Buffer() for _ in (wants if self.by_column else wants[:1])]

        def block(buffer, first, count, start):
            array = buffer.take(count * self.record.itemsize)
            file.seek(start + first * self.record.itemsize)
            fill(file, array, self.path, first)
            return array

        def read_columns(first, count):
            starts = [self.header.offset + int(want.name) * self.rows * self.record.itemsize for want in wants]
            return [block(b, first, count, start).view(self.record) for b, start in zip(buffers, starts, strict=True)]

        def read_records(first, count):
            raw = block(buffers[0], first, count, self.header.offset)
            if self.header.dtype.names:
                return [raw.view(self.record)[want.name] for want in wants]
            table = raw.view(self.header.dtype).reshape(count, len(self.names))
            return [table[:, int(want.name)] for want in wants]

        def read_whole(first, count):
            file.seek(self.header.offset + first * self.width * self.header.dtype.itemsize)
            return [rows_of(file, self.header.offset, self.header, buffers[0], first, count, self.path)] * len(wants)

        whole = any(want.name == WHOLE for want in wants)  # and then all are: it is a file of its own
        read = read_whole if whole else read_columns if self.by_column else read_records
        return lambda first, count: tuple(matched(a, w.label) for a, w in zip(read(first, count), wants, strict=True))
