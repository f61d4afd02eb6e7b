"""Columns of other libraries, for the tests of what is made of them."""

import numpy as np
import polars as pl
import pyarrow as pa

import fastloss as fl

RNG = np.random.default_rng(8)
N = 1000
Y, P, W = RNG.random(N), RNG.random(N), RNG.random(N)
MISSING = np.arange(N) % 7 == 3
HUBER = fl.Huber(delta=0.3)
BIG = 2_000_000


def cut(values, sizes, make, join):
    """The values in chunks of these sizes, again and again."""
    parts, start, which = [], 0, 0
    while start < len(values):
        parts.append(make(values[start : start + sizes[which % len(sizes)]]))
        start, which = start + sizes[which % len(sizes)], which + 1
    return join(parts)


def chunked(values, *sizes):
    return cut(values, sizes, pa.array, lambda parts: pa.chunked_array(parts) if parts else pa.chunked_array([], pa.float64()))


def polars_chunks(values, *sizes):
    return cut(values, sizes, pl.Series, lambda parts: pl.concat(parts, rechunk=False))


class Only:
    """An object with one protocol of the array it holds, and no other."""

    def __init__(self, held):
        self.held = held


class OnlyDLPack(Only):
    def __dlpack__(self, **options):
        return self.held.__dlpack__(**options)

    def __dlpack_device__(self):
        return 1, 0


class OnlyArrow(Only):
    def __arrow_c_array__(self, requested_schema=None):
        return self.held.__arrow_c_array__(requested_schema)


class OnlyStream(Only):
    def __arrow_c_stream__(self, requested_schema=None):
        return self.held.__arrow_c_stream__(requested_schema)


class OnlyArray(Only):
    def __array__(self, dtype=None, copy=None):
        return self.held


NULLS = {  # columns of which some are missing
    "pyarrow": lambda a: pa.array(a, mask=MISSING),
    "pyarrow, chunks": lambda a: pa.chunked_array([pa.array(a[:400], mask=MISSING[:400]), pa.array(a[400:], mask=MISSING[400:])]),
    "polars": lambda a: pl.from_arrow(pa.array(a, mask=MISSING)),
    "a dictionary": lambda a: pa.array(a, mask=MISSING).dictionary_encode(),
}
