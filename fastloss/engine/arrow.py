"""Columns of the Arrow C data interface, as polars, pyarrow, pandas, DuckDB and others hand them over: read with ctypes, without copies."""

import ctypes
import functools
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char_p, c_int, c_int64, c_void_p

import numpy as np

from fastloss.engine.chunks import PIECE, Chunks

DTYPES = dict(zip("cCsSiIlLefg", ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"), strict=True))


class Schema(Structure):
    """struct ArrowSchema: what a column is."""


Schema._fields_ = [
    ("format", c_char_p), ("name", c_char_p), ("metadata", c_void_p), ("flags", c_int64), ("n_children", c_int64),
    ("children", POINTER(POINTER(Schema))), ("dictionary", POINTER(Schema)), ("release", c_void_p), ("private_data", c_void_p),
]  # fmt: skip


class Array(Structure):
    """struct ArrowArray: where it lies."""


Array._fields_ = [
    ("length", c_int64), ("null_count", c_int64), ("offset", c_int64), ("n_buffers", c_int64), ("n_children", c_int64),
    ("buffers", POINTER(c_void_p)), ("children", POINTER(POINTER(Array))), ("dictionary", POINTER(Array)), ("release", c_void_p),
    ("private_data", c_void_p),
]  # fmt: skip


class Stream(Structure):
    """struct ArrowArrayStream: one array after the other."""


Stream._fields_ = [
    ("get_schema", CFUNCTYPE(c_int, POINTER(Stream), POINTER(Schema))), ("get_next", CFUNCTYPE(c_int, POINTER(Stream), POINTER(Array))),
    ("get_last_error", CFUNCTYPE(c_char_p, POINTER(Stream))), ("release", c_void_p), ("private_data", c_void_p),
]  # fmt: skip
RELEASE = CFUNCTYPE(None, c_void_p)
pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
pointer_of.restype, pointer_of.argtypes = c_void_p, [ctypes.py_object, c_char_p]


class Owned:
    """A structure that its producer is told of when nobody needs it any more."""

    __slots__ = ("struct",)

    def __init__(self, kind):
        self.struct = kind()

    def __del__(self, RELEASE=RELEASE, byref=byref):  # noqa: N803 - module globals may be gone when the interpreter ends
        if self.struct.release:
            RELEASE(self.struct.release)(byref(self.struct))


class Memory:
    """Bytes of somebody else's, who is kept while an array is made of them."""

    __slots__ = ("__array_interface__", "owner")

    def __init__(self, owner, address, length, typestr):
        self.owner, self.__array_interface__ = owner, {"version": 3, "data": (address, True), "shape": (length,), "typestr": typestr}


def at(owner, address, length, dtype):
    """An array of ``length`` numbers at an address; it holds the owner."""
    return np.asarray(Memory(owner, address, length, dtype.str)) if length and address else np.empty(0, dtype)


def exported(value):
    """(schema, arrays, owners) of what an object exports; the structures live as long as the owners."""
    if hasattr(value, "__arrow_c_array__"):
        capsules = value.__arrow_c_array__()
        schema = Schema.from_address(pointer_of(capsules[0], b"arrow_schema"))
        array = Array.from_address(pointer_of(capsules[1], b"arrow_array"))
        _there(schema, array)
        return schema, [array], capsules
    capsule = value.__arrow_c_stream__()
    stream = Stream.from_address(pointer_of(capsule, b"arrow_array_stream"))
    _there(stream)
    schema, arrays = Owned(Schema), []
    _check(stream, stream.get_schema(byref(stream), byref(schema.struct)))
    while True:
        array = Owned(Array)
        _check(stream, stream.get_next(byref(stream), byref(array.struct)))
        if not array.struct.release:
            return schema.struct, [one.struct for one in arrays], (schema, *arrays)
        arrays.append(array)


def _there(*structs):
    """ValueError for what another consumer has taken over: its memory may be gone."""
    if not all(one.release for one in structs):
        raise ValueError("its Arrow data was handed over before, and released")


def _check(stream, code):
    if code:
        text = stream.get_last_error(byref(stream))
        raise ValueError(f"the Arrow stream failed with {code}{': ' + text.decode(errors='replace') if text else ''}")


def is_numbers(schema):
    """Are these numbers, or a dictionary of them?"""
    if schema.dictionary:
        return is_numbers(schema.dictionary.contents)
    return schema.format.decode() in (*DTYPES, "b", "n")


class Part:
    """One array of a column of numbers. ``array``: it, as it lies, if there is nothing to do; ``piece(start, stop, dtype)`` makes some of
    it, with NaN for what is missing."""

    __slots__ = ("length", "dtype", "array", "missing", "_owner", "_data", "_valid", "_offset", "_stored", "_dictionary")

    def __init__(self, schema, array, owner, parent_offset=0, length=None):
        kind = schema.format.decode()
        self.length = array.length if length is None else length
        self._owner, self._offset, self._stored = owner, array.offset + parent_offset, np.dtype(DTYPES[kind]) if kind in DTYPES else None
        self._data = array.buffers[1] if array.n_buffers > 1 else None
        self._valid = array.buffers[0] if array.n_buffers and array.null_count != 0 else None
        self.missing, self.array, self._dictionary = self.length if kind == "n" else self._missing(), None, None
        self.dtype = np.dtype(bool) if self._stored is None else self._stored
        if schema.dictionary:
            values = Part(schema.dictionary.contents, array.dictionary.contents, owner)
            self.dtype = np.dtype(float) if values.missing else values.dtype
            self.missing, self._dictionary = self.missing + values.missing, values.piece(0, values.length, self.dtype)
        elif self._stored is not None and not self.missing:
            self.array = self._lying(0, self.length)

    def _missing(self):
        """How many are not valid, by the bits: the array's own count is of all of it, or not known."""
        if self._valid is None:
            return 0
        pieces = range(0, self.length, PIECE)
        return self.length - sum(int(self._bits(self._valid, start, min(start + PIECE, self.length)).sum()) for start in pieces)

    def _bits(self, address, start, stop):
        first, last = (start + self._offset) >> 3, (stop + self._offset + 7) >> 3
        unpacked = np.unpackbits(at(self._owner, address + first, last - first, np.dtype(np.uint8)), bitorder="little")
        return unpacked[(start + self._offset) & 7 :][: stop - start].view(bool)

    def _lying(self, start, stop):
        if self._stored is None:
            return self._bits(self._data, start, stop)
        return at(self._owner, (self._data or 0) + (self._offset + start) * self._stored.itemsize, stop - start, self._stored)

    def piece(self, start, stop, dtype):
        """The numbers from start to stop as ``dtype``, which is of floats if some are missing."""
        if start >= stop or self._data is None:  # nothing lies anywhere: none at all, or Arrow's nulls
            return np.full(max(stop - start, 0), np.nan if self.missing else 0, dtype)
        valid, found = None if self._valid is None else self._bits(self._valid, start, stop), self._lying(start, stop)
        if self._dictionary is not None:
            values = self._dictionary if len(self._dictionary) else np.zeros(1, dtype)
            found = values[found if valid is None else np.where(valid, found, 0)]  # what is missing has any number
        found = found.astype(dtype, copy=valid is not None)
        if valid is not None:
            found[~valid] = np.nan
        return found


def column(value, floating):
    """The numbers that an object exports: an array, or Chunks; None if they are no column of numbers. Integers and bool of which some are
    missing become ``floating``."""
    schema, arrays, owners = exported(value)
    if not is_numbers(schema):
        return None
    return joined([Part(schema, array, owners) for array in arrays], schema, floating)


def joined(parts, schema, floating):
    dtype = parts[0].dtype if parts else dtype_of(schema)
    if dtype.kind != "f" and any(part.missing for part in parts):
        dtype = np.dtype(floating)
    chunks = []
    for part in parts:
        if part.length:
            direct = part.array is not None and part.dtype == dtype
            chunks.append((part.length, part.array if direct else functools.partial(part.piece, dtype=dtype)))
    return Chunks.of(chunks, dtype)


def dtype_of(schema):
    schema = schema.dictionary.contents if schema.dictionary else schema
    return np.dtype(DTYPES.get(schema.format.decode(), bool))


def table(value):
    """What an object exports for rows of scores: {name: array or Chunks} of the columns of a table; an array (N, C) of a column of lists of
    one length; or None if it is neither. TypeError if a column is not of numbers."""
    schema, arrays, owners = exported(value)
    kind = schema.format.decode()
    if kind.startswith("+w:"):
        return lists(schema, arrays, owners, int(kind[3:]))
    if kind != "+s":
        return None
    if any(array.null_count and Part(schema, array, owners).missing for array in arrays):
        raise TypeError("some of its rows are missing")
    columns = {}
    for j in range(schema.n_children):
        of, name = schema.children[j].contents, (schema.children[j].contents.name or b"").decode(errors="replace")
        if not is_numbers(of):
            raise TypeError(f"its column {name!r} is not of numbers")
        parts = [Part(of, array.children[j].contents, owners, array.offset, array.length) for array in arrays]
        columns[name if name not in columns else f"{name} ({j})"] = joined(parts, of, np.float64)
    return columns


def lists(schema, arrays, owners, length):
    """Lists of one length, as rows."""
    of = schema.children[0].contents
    if not is_numbers(of):
        raise TypeError("its lists are not of numbers")
    if any(array.null_count and Part(schema, array, owners).missing for array in arrays):
        raise TypeError("some of its lists are missing")
    parts = [Part(of, array.children[0].contents, owners, array.offset * length, array.length * length) for array in arrays]
    numbers = joined(parts, of, np.float64)
    return (numbers.whole() if isinstance(numbers, Chunks) else numbers).reshape(-1, length)
