"""What the backends in Python share: slabs, stretches of the data that are loaded, computed and stored in one go."""

import numpy as np

from fastloss.engine.dtypes import BFLOAT16, BITS
from fastloss.engine.exact import as_int

PARTS = {"l": "value", "g": "gradient", "h": "hessian"}


class Bound:
    """A loss with its parameters and checks, for one compute dtype: whatever its backend's bind keeps."""

    def __init__(self, **fields):
        self.__dict__.update(fields)


def load(operand, start, stop, dtype):
    """Samples start <= i < stop of an operand in the dtype that is computed in."""
    array, code, _ = operand
    if array.ndim == 0:
        return np.repeat(load((array[None], code, None), 0, 1, dtype), stop - start)
    part = array[start:stop]
    if code == BFLOAT16:
        part = (part.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return part.astype(dtype)


def store(output, start, stop, values):
    """Write values to samples start <= i < stop of an output, in its dtype."""
    values = cast(values, output[0].dtype)
    if output[0].ndim == 0:
        output[0][()] = values[0]
    else:
        output[0][start:stop] = values


def cast(values, dtype):
    """Values as they are stored in an array of a dtype: as they are, since NumPy converts them, but for bits of bfloat16."""
    if dtype != BITS:
        return values
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    nearest = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16  # ties to even
    return np.where(np.isnan(values), 0x7FC0, nearest).astype(np.uint16).view(BITS)


def violations(check, values):
    """Indices of values that a check (kind, low, high) refuses; NaN is let through."""
    kind, low, high = check
    if kind == 0:
        return np.empty(0, int)
    bad = (values < low) | (values > high) if kind == 1 else (values != low) & (values != high) & (values == values)
    return np.flatnonzero(bad)


def tally(terms, weights, start):
    """(exact total of the finite terms, of the weights of NaN, how many are NaN, inf, -inf, the first NaN), counted from ``start``."""
    nan, finite = np.isnan(terms), np.isfinite(terms)
    if finite.all():
        return exact_sum(terms), 0, 0, 0, 0, -1
    left_out = 0 if weights is None else exact_sum(weights[nan])
    first = start + int(np.argmax(nan)) if nan.any() else -1
    return exact_sum(terms[finite]), left_out, int(nan.sum()), int((terms == np.inf).sum()), int((terms == -np.inf).sum()), first


def exact_sum(values):
    """The sum of finite values as an integer in units of 2**-1088."""
    return sum(map(as_int, values.tolist()))
