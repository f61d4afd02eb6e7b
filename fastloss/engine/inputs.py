"""The door: what users pass becomes operands of one dimension, or a clear error. Nothing of the data's size is copied here.

An operand is (array of one dimension, or of none to be repeated; dtype code; bytes swapped); an output has a fourth element,
whether kernels may write it directly.
"""

import functools
import math

import numpy as np

from fastloss.engine import foreign
from fastloss.engine.chunks import PIECE, Chunks, stretches
from fastloss.engine.dtypes import NAMES, code_of, is_float, output_dtype
from fastloss.engine.environment import ieee
from fastloss.engine.memory import empty

LONG = 2**63 - 1  # above it NumPy makes objects of Python's integers, or of some
SINGLE = float(np.finfo(np.float32).max)
single = ieee(functools.partial(np.array, dtype=np.float32))
ONE_PLACE = "`{name}` must have memory for every element, but some of its elements are one: its strides are {strides}"


def as_array(name, value, like=None, chunked=False):
    """An ndarray of a dtype that can be loaded, or with ``chunked`` Chunks, if it is in several places or must be made (foreign.py). A
    Python number takes the float dtype of its companion ``like``; an integer that int64 cannot hold becomes a float64 in any case."""
    if not isinstance(value, np.ndarray):
        if foreign.is_foreign(value):
            value = foreign.column(name, value, foreign.narrow(like))
        if isinstance(value, Chunks):
            if chunked:
                return value
            value = value.whole()
    array = value
    if not isinstance(value, np.ndarray):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        weak = number and like is not None and is_float(like.dtype)
        if weak and like.dtype.itemsize < 8 and not abs(value) > SINGLE:
            return single(value)
        try:
            array = np.asarray(value, dtype=np.float64 if weak or (number and abs(value) > LONG) else None)
        except OverflowError as error:
            raise ValueError(f"`{name}` is beyond float64: {error}") from error
        except ValueError as error:  # a ragged list, for instance
            raise ValueError(f"`{name}` cannot be made an array: {error}") from error
    elif type(value) is not np.ndarray and hasattr(value, "mask"):
        raise TypeError(f"`{name}` is a masked array, and its mask would be ignored; pass its data, and sample_weight=~mask")
    elif type(value) is not np.ndarray:
        array = np.asarray(value)  # a subclass, np.matrix say, may index in ways of its own
    if code_of(array.dtype) is None:
        what = {"O": "objects", "U": "strings", "T": "strings", "S": "bytes", "c": "complex numbers", "M": "dates", "m": "durations"}.get(
            array.dtype.kind, ""
        )
        found = f"got dtype {array.dtype}{' (' + what + ')' if what else ''}"
        raise TypeError(f"`{name}` must be an array of {', '.join(NAMES)}; {found}{_remedy(name, value, array)}")
    return array


def _remedy(name, given, array):
    """What to do with an array of text or objects; its first elements say which an array of objects is."""
    if array.dtype.kind not in "OSTU":
        return ""
    here = name if hasattr(given, "__array__") else f"np.asarray({name})"  # a list == "yes" would be a single False
    text = array.dtype.kind != "O" or any(isinstance(value, str | bytes) for value in array.flat[:100])
    labels = f'labels: pass {here} == "yes", with the positive one for "yes"; ' if text and name == "y_true" else ""
    return f"; {labels}numbers: pass {here}.astype(float)"


def operands(y_true, y_pred, sample_weight):
    """(y, p, w or None, shape): arrays or Chunks of one shape, or of no dimension where a scalar was given. (foreign.converted comes
    before.)"""
    p = as_array("y_pred", y_pred, y_true if isinstance(y_true, np.ndarray | Chunks) else None, chunked=True)
    y = as_array("y_true", y_true, p, chunked=True)
    w = None if sample_weight is None else as_array("sample_weight", sample_weight, chunked=True)
    shape = p.shape or y.shape
    for name, array in (("y_true", y), ("sample_weight", w)):
        if array is not None and array.shape != shape and array.ndim:
            remedy = ""
            if array.size == p.size:
                remedy = f": pass `{name}.reshape({'-1' if len(shape) == 1 else shape})` if that is what is meant"
            raise ValueError(f"`{name}` has shape {array.shape}, but `y_pred` has {p.shape}; shapes must be equal (or scalar){remedy}")
    return y, p, w, shape


def output(name, given, shape, p, compute, inputs):
    """The array for a per-sample output: the caller's, checked, or a new one of the prediction's dtype."""
    dtype = output_dtype(p.dtype, compute)
    if given is None:
        return empty(shape, dtype, order="F" if p.ndim > 1 and p.flags.f_contiguous and not p.flags.c_contiguous else "C"), False
    fits = isinstance(given, np.ndarray) and given.shape == shape and code_of(given.dtype) is not None and is_float(given.dtype)
    if not fits or not given.flags.writeable:
        found = f"{given.dtype} {given.shape}" if isinstance(given, np.ndarray) else type(given).__name__
        writeable = ", read-only" if isinstance(given, np.ndarray) and not given.flags.writeable else ""
        raise ValueError(f"`{name}` must be a writeable float array of shape {shape}, {dtype} for instance, got {found}{writeable}")
    if overlaps_itself(given):
        raise ValueError(ONE_PLACE.format(name=name, strides=given.strides))
    overlaps = False
    for other_name, other in inputs:
        if isinstance(other, Chunks):
            if any(np.may_share_memory(given, part) and np.shares_memory(given, part) for part in other.arrays):
                raise ValueError(f"`{name}` overlaps a part of `{other_name}`, which is in several; it must share no memory with it")
        elif other is not None and np.may_share_memory(given, other):
            same = given.ctypes.data == other.ctypes.data and given.strides == other.strides and given.itemsize == other.itemsize
            if not same and np.shares_memory(given, other):
                raise ValueError(f"`{name}` overlaps `{other_name}` in part; it must be the same array or share no memory with it")
            overlaps = True
    return given, overlaps


def collapsed(array):
    """The array as one dimension in C order without a copy, or None if its strides do not allow that."""
    if array.ndim < 2:
        return array
    dims = [(size, stride) for size, stride in zip(array.shape, array.strides, strict=True) if size != 1]
    for (_, outer), (size, inner) in zip(dims, dims[1:], strict=False):
        if outer != inner * size:
            return None
    stride = dims[-1][1] if dims else array.itemsize
    return np.lib.stride_tricks.as_strided(array, (array.size,), (stride,), writeable=array.flags.writeable)


def overlaps_itself(array):
    """Are some of its elements one, as with a stride of 0 or in a sliding window? (Strides that no slice or transpose makes are taken for
    such, too.)"""
    if array.flags.forc:
        return False
    reach = array.itemsize
    for stride, size in sorted((abs(stride), size) for stride, size in zip(array.strides, array.shape, strict=True) if size > 1):
        if stride < reach:
            return array.size > 0
        reach += stride * (size - 1)
    return False


def flat(arrays, outputs, shape):
    """Yield (start, n, arrays, outputs) of one-dimensional pieces that cover the shape in C order; None stays None.

    Nearly always that is one piece and no copy. Where it is not, pieces of inputs are copied and pieces of outputs written back.
    """
    size = math.prod(shape)
    if len(shape) < 2:
        if not (chunked := [array for array in arrays if isinstance(array, Chunks)]):
            yield 0, size, arrays, outputs
            return
        for start, stop in stretches(chunked, size):
            here = slice(start, stop)
            parts = [array if array is None or not array.ndim else array[here] for array in arrays]
            yield start, stop - start, parts, [array if array is None else array[here] for array in outputs]
        return
    everything = [array for array in (*arrays, *outputs) if array is not None and array.ndim]
    if all(array.flags.f_contiguous for array in everything):
        arrays, outputs = ([None if array is None else array.T for array in group] for group in (arrays, outputs))
    lines = [[None if array is None else collapsed(array) for array in group] for group in (arrays, outputs)]
    if sum(line is None for group in lines for line in group) == sum(array is None for group in (arrays, outputs) for array in group):
        yield 0, size, *lines
        return
    for start in range(0, size, PIECE):
        stop = min(start + PIECE, size)
        part = [array if array is None or not array.ndim else array.flat[start:stop] for array in arrays]
        fresh = [None if array is None else np.empty(stop - start, array.dtype) for array in outputs]
        yield start, stop - start, part, fresh
        for array, piece in zip(outputs, fresh, strict=True):
            if array is not None:
                array.flat[start:stop] = piece


def index_of(position, shape, arrays):
    """The caller's index of a position in C order (or, if all is Fortran-ordered, in that one's)."""
    if len(shape) < 2:
        return int(position)
    fortran = all(array.flags.f_contiguous for array in arrays if array is not None and array.ndim)
    return tuple(int(i) for i in np.unravel_index(position, shape, order="F" if fortran else "C"))


def describe(array, direct=None):
    """The operand of a one-dimensional array; bfloat16 travels as its 16 bits."""
    code, swapped = code_of(array.dtype)
    return (array, code, swapped) if direct is None else (array, code, swapped, direct)


def may_write(array, compute, overlaps):
    """May a kernel write here, or does the output pass through a tile: another dtype, a stride, an input's own memory?"""
    plain = array.dtype == np.dtype(compute) and array.flags.c_contiguous and array.flags.aligned
    return bool(plain and array.ndim == 1 and not overlaps)
