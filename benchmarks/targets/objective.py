"""Targets of the objectives of linear models: value and gradient of logistic regression, beside scikit-learn's own and oneDAL's."""

import importlib.util
import sys
import types

import numpy as np

import fastloss as fl
from benchmarks import THREADS
from benchmarks.targets.rows import Row
from fastloss.measuring.timing import side_by_side
from fastloss.sklearn import Objective

FEATURES = 100


def one_dal():
    """daal4py, without its patches of scikit-learn, which must be of the version that they are for; None if it is not there."""
    if importlib.util.find_spec("daal4py") is None:
        return None
    sys.modules.setdefault("daal4py.sklearn", types.ModuleType("daal4py.sklearn"))
    import daal4py

    return daal4py


def candidates(n, dtype):
    """{who: function of no arguments that returns (value, gradient with the intercept last)}"""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, FEATURES), np.float32).astype(dtype)
    theta = 0.1 * rng.standard_normal(FEATURES + 1)
    y = x @ theta[:-1].astype(dtype) > rng.logistic(size=n)
    ours = Objective(fl.Logistic(), x, y, fit_intercept=True)
    found = {"ours": lambda: ours(theta)}
    if importlib.util.find_spec("sklearn") is not None:
        from sklearn._loss.loss import HalfBinomialLoss
        from sklearn.linear_model._linear_loss import LinearModelLoss

        theirs, targets, coefficients = LinearModelLoss(HalfBinomialLoss(), True), y.astype(dtype), theta.astype(dtype)
        found["sklearn"] = lambda: theirs.loss_gradient(coefficients, x, targets, n_threads=THREADS)
    if (daal := one_dal()) is not None:
        kind = {"fptype": "double" if dtype == np.float64 else "float"}
        loss = daal.optimization_solver_logistic_loss(numberOfTerms=n, interceptFlag=True, resultsToCompute="value|gradient", **kind)
        labels, argument = y.astype(dtype).reshape(-1, 1), np.roll(theta, 1).astype(dtype).reshape(-1, 1)

        def one_dals():
            result = loss.compute(x, labels, argument)
            return float(result.valueIdx.ravel()[0]), np.roll(result.gradientIdx.ravel(), -1)

        found["oneDAL"] = one_dals
    return found


def objective(bench):
    """Their time over ours."""
    n = min(1_000_000, bench.n)
    for dtype in (np.float64, np.float32):
        size, calls = f"n = {n}, d = {FEATURES}, {np.dtype(dtype)}", candidates(n, dtype)
        value, gradient = calls["ours"]()
        for who, call in calls.items():
            other, slopes = call()
            if not abs(other - value) <= 1e-4 * value or not np.allclose(slopes, gradient, atol=1e-4):
                raise RuntimeError(f"the objectives differ: {value} and {who}'s {other}")
        timings = side_by_side(calls, seconds=bench.seconds, min_rounds=4)
        note = ", ".join(f"{who} {timing.minimum * 1e3:.3g} ms" for who, timing in timings.items())
        for who, target in (("sklearn", 2.0), ("oneDAL", 1.0)):
            ratio = timings[who].minimum / timings["ours"].minimum if who in timings else None
            yield Row(f"value and gradient, {size}: {who} / ours", ratio, ">=", target, note=note if ratio else f"{who} is not installed")
