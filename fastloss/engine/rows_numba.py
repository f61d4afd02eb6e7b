"""Rowwise losses of the Numba backend: vectors of rows, as compiler/rows_numba.py compiles them, and exact sums."""

import numpy as np

from fastloss.compiler import exactsum, tiles
from fastloss.compiler.rows_numba import lanes_of, vector_rows
from fastloss.engine.rowslabs import RowJob


class Sums:
    """What a thread adds up."""

    def __init__(self):
        self.total, self.left_out = np.zeros(exactsum.ACCUMULATOR, np.int64), np.zeros(exactsum.ACCUMULATOR, np.int64)
        self.counts = np.zeros(4, np.int64)

    def add(self, terms, weights, start):
        tiles.terms_sum(weights is not None)(terms, weights, self.total, self.left_out, self.counts, start)

    def found(self):
        *counts, first = self.counts.tolist()
        return exactsum.as_int(self.total), exactsum.as_int(self.left_out), *counts, first if self.counts[exactsum.N_NAN] else -1


def kernel(bound, outputs):
    return vector_rows(bound.definition, outputs, bound.constants, bound.dtype)


def run(bounds, n, classes, z, y, w, loss, outputs, output_set, summed, skip_nan, scale, threads, by_label=False):
    """kernels/rowcalls.pxi's run_rows."""
    job = RowJob(bounds, n, classes, z, y, w, loss, outputs, output_set, summed, skip_nan, scale, threads, by_label,
                 lanes=lanes_of(bounds[0].dtype), kernel=kernel, sums=Sums)  # fmt: skip
    job.run(min(threads, -(-n // job.slab)))
    return job.results()
