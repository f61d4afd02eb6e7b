"""Formulas compiled by Numba as a backend: slabs of the data, shared among threads, each taken through tiles in one compiled call.

What is contiguous, native and of the dtype that is computed in is used where it is; the rest is converted a slab at a time.
"""

import functools
import math

import numpy as np

from fastloss.compiler import exactsum, tiles
from fastloss.compiler.numba import formulas_of, kernel
from fastloss.compiler.objects import switches
from fastloss.engine import rows_numba, rowslabs
from fastloss.engine.backends import OUTPUT_SETS
from fastloss.engine.slabs import PARTS, Bound, load, store
from fastloss.engine.slabthreads import Slabs

SMALL, LARGE = 1 << 14, 1 << 18  # samples of a slab: what fits in cache beside its conversions; what makes the time between slabs small


class NumbaBackend:
    name = bits = "numba"
    isa = None
    bind_rows, run_rows = staticmethod(rowslabs.bind), staticmethod(rows_numba.run)

    def bind(self, definition, dtype, parameters, target, prediction, signed_labels):
        checks = _bounds(target), _bounds(prediction)
        fixed = switches(definition, parameters)
        return Bound(definition=definition, dtype=dtype, parameters=np.array(parameters, dtype=np.float64), checks=checks, fixed=fixed,
                     signed=signed_labels)  # fmt: skip

    def nanoseconds(self, bound, output_set, summed, weighted, outputs):
        arithmetic, transcendental = (0.4, 0.7) if bound.dtype == "float32" and not bound.definition.wide else (0.8, 2.0)
        return arithmetic + transcendental * formulas_of(bound.definition)["value"].transcendentals + 0.1 * outputs

    def run(self, bounds, n, y, p, w, outputs, output_set, summed, skip_nan, scale, threads):
        job = Job(bounds, n, y, p, w, outputs, OUTPUT_SETS[output_set], summed, scale, threads)
        job.run(min(threads, -(-n // job.slab)))
        return job.results()


def _bounds(check):
    """A check (kind, low, high) as (low, high, gap_low, gap_high): refused is what is outside, and between the bounds of the gap."""
    kind, low, high = check
    if kind == 0:
        return -math.inf, math.inf, math.inf, -math.inf
    return (low, high, math.inf, -math.inf) if kind == 1 else (low, high, low, high)


def _loader(operand, dtype, slab):
    """load(start, stop) of an operand: contiguous values of the dtype."""
    array = operand[0]
    if array.ndim == 0:
        repeated = np.repeat(load((array[None], *operand[1:]), 0, 1, dtype), slab)
        return lambda start, stop: repeated[: stop - start]
    if _plain(operand, dtype):
        return lambda start, stop: array[start:stop]
    return lambda start, stop: np.ascontiguousarray(load(operand, start, stop, dtype))


def _plain(operand, dtype):
    array = operand[0]
    return array.ndim == 1 and array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned


class Job(Slabs):
    """One call of run: what its slabs have in common, and what was found."""

    def __init__(self, bounds, n, y, p, w, outputs, parts, summed, scale, threads):
        self.bounds, self.outputs, self.summed, self.scale, self.weighted = bounds, outputs, summed, scale, w is not None
        dtype = bounds[0].dtype if bounds else "float64"
        given = [(y, np.dtype(dtype)), (p, np.dtype(dtype))] if bounds else []
        given += [(w, np.dtype("float64"))] if self.weighted else []
        direct = all(_plain(*operand) for operand in given) and all(output is None or output[3] for output in outputs)
        largest = LARGE if direct and len(bounds) < 2 else SMALL
        share = -(-n // (4 * threads))  # several slabs per thread: the machine may be shared
        super().__init__(n, max(SMALL, min(largest, share - share % -tiles.TILE)))
        self.loaders = [_loader(*operand, min(n, self.slab)) for operand in given]
        self.dtype, self.signed = np.dtype(dtype), bool(bounds) and y[0].dtype == bool
        names = tuple(PARTS[part] for part in parts)
        self.kernels = [kernel(bound.definition, names, dtype, bound.fixed).address for bound in bounds]
        self.compiled = tiles.slab_of(dtype, self.weighted) if bounds else None
        self.sum_weights = tiles.weights_slab() if self.weighted else None

    def worker(self):
        return Worker(self)

    def results(self):
        """(error, exact weight, a tally per loss), as kernels/module.pxi describes them."""
        error = self.error and (self.error[0], *self.error[2:])
        weights = sum(exactsum.as_int(worker.weights) for worker in self.workers) if self.weighted else None
        tallies = [_merged(sums) for sums in zip(*(worker.sums for worker in self.workers), strict=True)] if self.summed else []
        return error, weights, tallies


def _merged(sums):
    """The tally of one loss from each worker's (total, left_out, counts)."""
    totals, left_out, counts = zip(*sums, strict=True)
    n_nan, n_positive, n_negative, _ = map(sum, zip(*(count.tolist() for count in counts), strict=True))
    first = min((int(count[exactsum.FIRST_NAN]) for count in counts if count[exactsum.N_NAN]), default=-1)
    return sum(map(exactsum.as_int, totals)), sum(map(exactsum.as_int, left_out)), n_nan, n_positive, n_negative, first


class Worker:
    """What one thread adds up, and its scratch memory."""

    def __init__(self, job):
        self.job = job
        accumulator = functools.partial(np.zeros, exactsum.ACCUMULATOR, np.int64)
        self.weights, self.weight_counts = accumulator(), np.zeros(4, np.int64)
        self.sums = [(accumulator(), accumulator(), np.zeros(4, np.int64)) for _ in job.bounds]
        self.terms = np.empty(tiles.TILE)
        sizes = (tiles.TILE if output is None else 0 if output[3] else min(job.n, job.slab) for output in job.outputs)
        self.buffers = [np.empty(size, job.dtype) for size in sizes]

    def slab(self, start, stop):
        """Take samples start <= i < stop through everything. Returns None, or the first error: (index, order, loss, argument)."""
        job, errors = self.job, []
        loaded = [load(start, stop) for load in job.loaders]
        w = loaded.pop() if job.weighted else None
        if job.weighted:
            bad = job.sum_weights(w, self.weights, self.weight_counts)
            if bad >= 0:
                errors.append((start + bad, 0, 0, 2))
        wanted = tuple(output is not None for output in job.outputs)
        to = [output[0][start:stop] if output is not None and output[3] else buffer
              for output, buffer in zip(job.outputs, self.buffers, strict=True)]  # fmt: skip
        for which, (bound, address, sums) in enumerate(zip(job.bounds, job.kernels, self.sums, strict=True)):
            y, p = loaded
            target = y + y - 1 if bound.signed and job.signed else y
            bad = job.compiled(
                address, target, p, w, bound.parameters, bound.checks, *to, wanted, job.summed, job.scale, *sums, self.terms, start
            )
            if bad >= 0:
                errors.append((start + bad // 2, 1, which, bad % 2))
            if errors:  # nothing is stored: it may lie over an input of which the error is still to be told
                continue
            for output, values in zip(job.outputs, to, strict=True):
                if output is not None and not output[3]:
                    store(output, start, stop, values[: stop - start])
        return min(errors, default=None)
