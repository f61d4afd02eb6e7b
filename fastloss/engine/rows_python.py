"""Rowwise losses of the backend in plain Python: row after row, number after number, in float64."""

from fastloss.compiler.rows_python import scalar_rows
from fastloss.engine.rowslabs import RowJob
from fastloss.engine.slabs import tally


class Sums:
    """What is added up."""

    def __init__(self):
        self.sums, self.first = [0] * 5, -1

    def add(self, terms, weights, start):
        *sums, first = tally(terms, weights, start)
        self.sums = [a + b for a, b in zip(self.sums, sums, strict=True)]
        self.first = first if self.first < 0 else self.first

    def found(self):
        return *self.sums, self.first


def kernel(bound, outputs):
    rows, count = scalar_rows(bound.definition, outputs, bound.constants)

    def run(n, classes, z, y, c, label, factor, parameters, loss, gradient, hessian, kept):
        """On lists: Python's own numbers, so that nothing is rounded before the end, and faster than NumPy's."""
        arrays = (z, y, label, factor, loss, gradient, hessian, kept)
        z, y, label, factor, *made = (array.reshape(array.shape[:2]).tolist() for array in arrays)
        rows(n, classes, z, y, c.tolist(), label, factor, parameters.tolist(), *made)
        for array, values in zip(arrays[4:7], made, strict=False):
            array[..., 0] = values

    return run, count


def run(bounds, n, classes, z, y, w, loss, outputs, output_set, summed, skip_nan, scale, threads, by_label=False):
    """kernels/rowcalls.pxi's run_rows."""
    job = RowJob(bounds, n, classes, z, y, w, loss, outputs, output_set, summed, skip_nan, scale, 1, by_label, lanes=1,
                 kernel=kernel, sums=Sums)  # fmt: skip
    job.run(1)
    return job.results()
