"""The door of rows of scores: what users pass becomes rows that kernels can walk, without a copy of the data's size."""

import math

import numpy as np

from fastloss.engine import foreign, inputs
from fastloss.engine.chunks import Chunks, stretches
from fastloss.engine.dtypes import is_float

LONG = 1 << 14  # scores from which on a stretch of rows that lie evenly is worth a call of the backend
PIECE = 1 << 18  # scores that are copied at a time where no such stretches are there


class Columns:
    """C arrays of one dimension, one per class, seen as N rows of C. chunked: some may be Chunks."""

    def __init__(self, name, arrays, chunked=False):
        self.arrays = [inputs.as_array(f"{name}[{j}]", array, chunked=chunked) for j, array in enumerate(arrays)]
        for j, array in enumerate(self.arrays):
            if array.ndim != 1 or array.shape != self.arrays[0].shape:
                shapes = f"{array.shape}; the columns must be of one dimension and one length, as `{name}[0]`: {self.arrays[0].shape}"
                raise ValueError(f"`{name}[{j}]` has shape {shapes}")
        self.dtype = column_dtype({array.dtype for array in self.arrays})
        self.shape, self.ndim = (self.arrays[0].size, len(self.arrays)), 2

    def __getitem__(self, index):
        row, column = index
        return self.arrays[column][row]

    def rows(self, start, stop):
        return Columns("", [array[start:stop] for array in self.arrays])

    def operand(self):
        return ([inputs.describe(array) for array in self.arrays],)


def column_dtype(dtypes):
    """The dtype that a list of columns stands for: integers among them compute in float64, as by themselves; float16 and bfloat16, of
    which neither holds the other, in float32."""
    if not all(map(is_float, dtypes)):
        return np.dtype(np.float64)
    widest = max(dtypes, key=lambda dtype: dtype.itemsize)
    return np.dtype(np.float32) if widest.itemsize == 2 and len({dtype.kind for dtype in dtypes}) > 1 else widest


def target_dtype(rows):
    """What targets say of the dtype to compute in: of a list of columns nothing unless one is of floats, as of an array."""
    if not isinstance(rows, Columns):
        return rows.dtype
    return max((array.dtype for array in rows.arrays if is_float(array.dtype)), key=lambda dtype: dtype.itemsize, default=np.dtype(np.int8))


def is_column(part):
    """Is this part of a list an array of one dimension, of whatever library? Python's own lists and numbers are none."""
    if isinstance(part, Chunks) or (foreign.is_foreign(part) and foreign.of_arrow(part)):
        return True
    if hasattr(part, "__array__"):
        return np.ndim(part) == 1
    try:
        return memoryview(part).ndim == 1
    except TypeError:
        return False


def opened(name, value, chunked=False):
    """A table, or another object of another library, as the list of columns, or the array, that it is. All else as it is."""
    if not foreign.is_foreign(value):
        return value
    found = foreign.table(name, value)
    if isinstance(found, dict):
        return [inputs.as_array(f"{name}[{label!r}]", column, chunked=chunked) for label, column in found.items()]
    return inputs.as_array(name, value if found is None else found)


def matrix(name, value, chunked=False):
    """What users pass for rows, as an array of two dimensions or more, whose last axis is the classes', or as Columns; a table's columns
    are Columns."""
    value = opened(name, value, chunked)
    if isinstance(value, list | tuple) and value:
        columns = [is_column(part) for part in value]
        if all(columns):
            return Columns(name, value, chunked)
        if any(columns):
            one, other = columns.index(True), columns.index(False)
            raise ValueError(
                f"`{name}` must be an array of rows, a list of rows (each a list of numbers) or a list of columns (each an array of one "
                f"dimension), got a {type(value[one]).__name__} as `{name}[{one}]` and a {type(value[other]).__name__} as `{name}[{other}]`"
            )
    array = inputs.as_array(name, value)
    if array.ndim < 2:
        raise ValueError(
            f"`{name}` must have rows of C scores, shape (N, C) or (..., C), or be a list of C columns; got shape {array.shape}"
        )
    return array


def operand_of(rows):
    return rows.operand() if isinstance(rows, Columns) else inputs.describe(rows)


def even(array, first):
    """Do the rows lie in steps of one length, over the axes from ``first`` to the last but one?"""
    steps = [(size, stride) for size, stride in zip(array.shape[first:-1], array.strides[first:-1], strict=True) if size != 1]
    return all(outer == inner * size for (_, outer), (size, inner) in zip(steps, steps[1:], strict=False))


def lines(array):
    """The array, whose rows lie in steps of one length, with two dimensions; a view."""
    if array.ndim == 2:
        return array
    steps = [stride for size, stride in zip(array.shape[:-1], array.strides[:-1], strict=True) if size != 1]
    shape, strides = (math.prod(array.shape[:-1]), array.shape[-1]), (steps[-1] if steps else array.itemsize, array.strides[-1])
    return np.lib.stride_tricks.as_strided(array, shape, strides, writeable=array.flags.writeable)


def plain(rows):
    """Rows with two dimensions: a view, or where their steps differ a copy."""
    if isinstance(rows, Columns) or rows.ndim == 2:
        return rows
    return lines(rows) if even(rows, 0) else rows.reshape(-1, rows.shape[-1])


def seen_as_rows(name, array):
    """An array that is written to, with two dimensions: a view, or ValueError."""
    if not even(array, 0):
        raise ValueError(f"`{name}` of shape {array.shape} cannot be seen as rows without a copy; pass a contiguous array")
    return lines(array)


def chunks_of(part):
    """The Chunks among what is an operand."""
    return [one for one in (part.arrays if isinstance(part, Columns) else (part,)) if isinstance(one, Chunks)]


def memory(part):
    """The arrays that an operand is made of."""
    if part is None or isinstance(part, np.ndarray):
        return () if part is None else (part,)
    arrays = part.arrays if isinstance(part, Columns) else [part]
    return [array for one in arrays for array in (one.arrays if isinstance(one, Chunks) else [one])]


def pieces(given, classes, arrays, outputs, others=()):
    """The (start, stop, arrays, outputs), rows of two dimensions, that together are all rows once, in C order; None stays None.

    ``given``: the shape without the classes' axis. Nearly always that is one piece. Arrays of three dimensions or more whose rows do not
    lie in steps of one length are taken a stretch at a time that does, or where these are short copied in pieces, and outputs written back.
    Chunks, among ``others`` too (which have a number a row), are taken a stretch at a time.
    """
    if len(given) == 1:
        parts = [part for part in (*arrays, *others) if isinstance(part, Columns | Chunks)]
        if parts and (chunked := [one for part in parts for one in chunks_of(part)]):
            return _chunked(chunked, given[0], arrays, outputs)
        return ((0, given[0], arrays, outputs),)
    return _stretches(given, classes, arrays, outputs)


def _chunked(chunked, n, arrays, outputs):
    for start, stop in stretches(chunked, n):
        parts = [part.rows(start, stop) if isinstance(part, Columns) else None if part is None else part[start:stop] for part in arrays]
        yield start, stop, parts, [None if part is None else part[start:stop] for part in outputs]


def _stretches(given, classes, arrays, outputs):
    n, everything = math.prod(given), (*arrays, *outputs)

    def each(function, group):
        return [None if array is None else function(array) for array in group]

    first = next(k for k in range(len(given)) if all(array is None or even(array, k) for array in everything))
    length = math.prod(given[first:])
    if first == 0 or length * classes >= LONG:
        for number, outer in enumerate(np.ndindex(given[:first])):
            here = [each(lambda array: lines(array[outer]), group) for group in (arrays, outputs)]  # noqa: B023 - used at once
            yield number * length, (number + 1) * length, *here
        return
    step = max(1, PIECE // classes)
    for start in range(0, n, step):
        stop = min(start + step, n)
        at = np.unravel_index(np.arange(start, stop), given)
        fresh = each(lambda array: np.empty((stop - start, classes), array.dtype), outputs)  # noqa: B023 - used at once
        yield start, stop, each(lambda array: array[at], arrays), fresh  # noqa: B023 - used at once
        for array, part in zip(outputs, fresh, strict=True):
            if array is not None:
                array[at] = part
