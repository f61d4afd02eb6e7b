"""Formulas run by the interpreter: the oracle that the other backends are held against.

Also the readable account of what the compiled drivers do, here in NumPy on slabs of the data: load, check, compute, weigh, sum, store.
"""

import functools

import numpy as np

from fastloss.compiler.python import scalar_functions
from fastloss.engine import rows_python, rowslabs
from fastloss.engine.backends import OUTPUT_SETS
from fastloss.engine.slabs import PARTS, Bound, exact_sum, load, store, tally, violations

SLAB = 1 << 14

functions_of = functools.cache(scalar_functions)


class PythonBackend:
    name = bits = "python"
    isa = None
    bind_rows, run_rows = staticmethod(rowslabs.bind), staticmethod(rows_python.run)

    def nanoseconds(self, bound, output_set, summed, weighted, outputs):
        return 1000.0 + 500.0 * outputs

    def bind(self, definition, dtype, parameters, target, prediction, signed_labels):
        real = np.dtype(dtype).type
        parameters = np.array([float(real(parameter)) for parameter in parameters])
        return Bound(
            definition=definition, dtype=np.dtype(dtype), parameters=parameters, target=target, prediction=prediction, signed=signed_labels
        )

    def run(self, bounds, n, y, p, w, outputs, output_set, summed, skip_nan, scale, threads):
        dtype = bounds[0].dtype if bounds else np.dtype("float64")
        job = functools.partial(self._slab, bounds, y, p, w, outputs, OUTPUT_SETS[output_set], summed, skip_nan, scale, dtype)
        weights, totals = 0, [[0, 0, 0, 0, 0, -1] for _ in bounds]
        for start in range(0, n, SLAB):
            error, weight, tallies = job(start, min(start + SLAB, n))
            if error:
                return error, None, []
            weights += weight
            for total, found in zip(totals, tallies, strict=False):
                for i in range(5):
                    total[i] += found[i]
                total[5] = found[5] if total[5] < 0 else total[5]
        return None, weights if w is not None else None, [tuple(total) for total in totals] if summed else []

    def _slab(self, bounds, y, p, w, outputs, output_set, summed, skip_nan, scale, dtype, start, stop):
        """(error, exact weight, tally per loss) of samples start <= i < stop."""
        n = stop - start
        targets, predictions = load(y, start, stop, dtype), load(p, start, stop, dtype)
        weights = None if w is None else load(w, start, stop, np.dtype("float64"))
        labels = [targets * 2 - 1 if bound.signed and y[0].dtype == bool else targets for bound in bounds]
        # which is told: the least index, there a weight before the losses in order, the target before the prediction
        bad = [] if weights is None else [(i, -1, 2) for i in np.flatnonzero(~((weights >= 0) & np.isfinite(weights)))[:1]]
        for which, (bound, target) in enumerate(zip(bounds, labels, strict=True)):
            for argument, (check, values) in enumerate(((bound.target, target), (bound.prediction, predictions))):
                bad += [(i, which, argument) for i in violations(check, values)[:1]]
        if bad:
            index, which, argument = min(bad)
            return (start + int(index), max(which, 0), argument), 0, []
        tallies = []
        for bound, target in zip(bounds, labels, strict=True):
            results = {part: np.empty(n, dtype) for part in "lgh"}
            with np.errstate(all="ignore"):
                self._compute(bound, output_set, target, predictions, results["l"], results["g"], results["h"])
                if summed:
                    terms = results["l"].astype(np.float64)
                    terms = terms if weights is None else terms * weights
                    tallies.append(tally(terms, weights if skip_nan else None, start))
                for part, output in zip("lgh", outputs, strict=True):
                    if output is not None:
                        store(output, start, stop, _weighed(results[part], weights, scale))
        return None, 0 if weights is None else exact_sum(weights), tallies

    def _compute(self, bound, output_set, y, p, loss, gradient, hessian):
        functions = functions_of(bound.definition)
        parameters = bound.parameters.tolist()
        for part, into in zip("lgh", (loss, gradient, hessian), strict=True):
            if part in output_set:
                function = functions[PARTS[part]]
                into[:] = [function(a, b, *parameters) for a, b in zip(y.tolist(), p.tolist(), strict=True)]


def _weighed(values, weights, scale):
    if weights is None and scale == 1.0:
        return values
    return (values.astype(np.float64) * (scale if weights is None else weights * scale)).astype(values.dtype)
