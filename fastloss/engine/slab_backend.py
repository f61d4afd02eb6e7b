"""The driver of the backends without compiled kernels: the same steps as kernels/driver.pxi, in NumPy on slabs that fit in cache.

Also the readable account of what the compiled driver does: load, check, kernel, weigh, sum, store.
"""

import functools
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from fastloss.engine.backends import OUTPUT_SETS
from fastloss.engine.dtypes import BFLOAT16
from fastloss.engine.exact import as_int

SLAB = 1 << 14
PARTS = {"l": "value", "g": "gradient", "h": "hessian"}


class Bound:
    """A loss with its parameters and checks, for one compute dtype. Attributes as the arguments of Backend.bind."""

    def __init__(self, **fields):
        self.__dict__.update(fields)


class SlabBackend:
    isa = None

    def bind(self, definition, dtype, parameters, target, prediction, signed_labels):
        real = np.dtype(dtype).type
        parameters = np.array([float(real(parameter)) for parameter in parameters])
        return Bound(
            definition=definition, dtype=np.dtype(dtype), parameters=parameters, target=target, prediction=prediction, signed=signed_labels
        )

    def run(self, bounds, n, y, p, w, outputs, output_set, summed, skip_nan, scale, threads):
        dtype = bounds[0].dtype if bounds else np.dtype("float64")
        job = functools.partial(self._slab, bounds, y, p, w, outputs, OUTPUT_SETS[output_set], summed, skip_nan, scale, dtype)
        ranges = [(start, min(start + SLAB, n)) for start in range(0, n, SLAB)]
        if threads > 1 and len(ranges) > 1 and self.parallel:
            with ThreadPoolExecutor(threads) as pool:
                found = list(pool.map(lambda bounds: job(*bounds), ranges))
        else:
            found = (job(*bounds) for bounds in ranges)
        weights, totals = 0, [[0, 0, 0, 0, 0, -1] for _ in bounds]
        for error, weight, tallies in found:
            if error:
                return error, None, []
            weights += weight
            for total, tally in zip(totals, tallies, strict=False):
                for i in range(5):
                    total[i] += tally[i]
                total[5] = tally[5] if total[5] < 0 else total[5]
        return None, weights if w is not None else None, [tuple(total) for total in totals] if summed else []

    def _slab(self, bounds, y, p, w, outputs, output_set, summed, skip_nan, scale, dtype, start, stop):
        """(error, exact weight, tally per loss) of samples start <= i < stop."""
        n = stop - start
        targets, predictions = _load(y, start, stop, dtype), _load(p, start, stop, dtype)
        weights = None if w is None else _load(w, start, stop, np.dtype("float64"))
        if weights is not None:
            bad = np.flatnonzero(~((weights >= 0) & np.isfinite(weights)))
            if bad.size:
                return (start + int(bad[0]), 0, 2), 0, []
        tallies = []
        for which, bound in enumerate(bounds):
            target = targets * 2 - 1 if bound.signed and y[0].dtype == bool else targets
            for argument, (check, values) in enumerate(((bound.target, target), (bound.prediction, predictions))):
                bad = _violations(check, values)
                if bad.size:
                    return (start + int(bad[0]), which, argument), 0, []
            results = {part: np.empty(n, dtype) for part in "lgh"}
            with np.errstate(all="ignore"):
                self.compute(bound, output_set, target, predictions, results["l"], results["g"], results["h"])
                if summed:
                    tallies.append(self._tally(results["l"], weights, start, skip_nan))
                for part, output in zip("lgh", outputs, strict=True):
                    if output is not None:
                        _store(output, start, stop, results[part], weights, scale)
        return None, 0 if weights is None else self.exact_sum(weights), tallies

    def _tally(self, loss, weights, start, skip_nan):
        terms = loss.astype(np.float64) if weights is None else loss.astype(np.float64) * weights
        nan = np.isnan(terms)
        finite = np.isfinite(terms)
        if finite.all():
            return self.exact_sum(terms), 0, 0, 0, 0, -1
        left_out = self.exact_sum(weights[nan]) if skip_nan and weights is not None else 0
        first = start + int(np.argmax(nan)) if nan.any() else -1
        counts = int(nan.sum()), int((terms == np.inf).sum()), int((terms == -np.inf).sum())
        return self.exact_sum(terms[finite]), left_out, *counts, first


def _load(operand, start, stop, dtype):
    array, code, _ = operand
    if array.ndim == 0:
        return np.repeat(_load((array[None], code, None), 0, 1, dtype), stop - start)
    part = array[start:stop]
    if code == BFLOAT16:
        part = (part.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return part.astype(dtype)


def _store(output, start, stop, values, weights, scale):
    factor = scale if weights is None else weights * scale
    if weights is not None or scale != 1.0:
        values = (values.astype(np.float64) * factor).astype(values.dtype)
    if output[0].ndim == 0:
        output[0][()] = values[0]
    else:
        output[0][start:stop] = values


def _violations(check, values):
    """Indices of values that a check (kind, low, high) refuses; NaN is let through."""
    kind, low, high = check
    if kind == 0:
        return np.empty(0, int)
    bad = (values < low) | (values > high) if kind == 1 else (values != low) & (values != high) & (values == values)
    return np.flatnonzero(bad)


class NumbaBackend(SlabBackend):
    """Formulas compiled by Numba, slabs shared among threads."""

    name = bits = "numba"
    parallel = True

    def compute(self, bound, output_set, y, p, loss, gradient, hessian):
        from fastloss.compiler.numba import kernel

        kernel(bound.definition, tuple(PARTS[part] for part in output_set))(y, p, bound.parameters, loss, gradient, hessian)

    def exact_sum(self, values):
        from fastloss.compiler.numba import exact_sum

        return exact_sum(values)

    def nanoseconds(self, bound, output_set, summed, weighted, outputs):
        return 5.0 + 2.5 * outputs


class PythonBackend(SlabBackend):
    """Formulas run by the interpreter: the oracle that the others are held against."""

    name = bits = "python"
    parallel = False

    def compute(self, bound, output_set, y, p, loss, gradient, hessian):
        functions = _scalar_functions(bound.definition)
        parameters = bound.parameters.tolist()
        for part, into in zip("lgh", (loss, gradient, hessian), strict=True):
            if part in output_set:
                function = functions[PARTS[part]]
                into[:] = [function(a, b, *parameters) for a, b in zip(y.tolist(), p.tolist(), strict=True)]

    def exact_sum(self, values):
        return sum(map(as_int, values.tolist()))

    def nanoseconds(self, bound, output_set, summed, weighted, outputs):
        return 1000.0 + 500.0 * outputs


@functools.cache
def _scalar_functions(definition):
    from fastloss.compiler.python import scalar_functions

    return scalar_functions(definition)
