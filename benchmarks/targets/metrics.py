"""Targets of fastloss.metrics: so many times as fast as sklearn.metrics, of few samples and of many."""

import importlib.util

import numpy as np

from benchmarks.targets.rows import Row
from fastloss import metrics as ours
from fastloss.measuring.timing import side_by_side

SIZES = {100: 50.0, 10_000_000: 20.0}


def arguments(n, dtype):
    """{what: (function's name, y_true, y_pred)}"""
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, n), rng.random(n).astype(dtype)
    a, b = (rng.standard_normal(n).astype(dtype) for _ in range(2))
    return {
        "log_loss": ("log_loss", y, p),
        "log_loss, (n, 2)": ("log_loss", y, np.column_stack([1 - p, p])),
        "mean_squared_error": ("mean_squared_error", a, b),
        "hinge_loss": ("hinge_loss", 2 * y - 1, a),
        "brier_score_loss": ("brier_score_loss", y, p),
        "mean_pinball_loss": ("mean_pinball_loss", a, b),
        "mean_poisson_deviance": ("mean_poisson_deviance", rng.poisson(3, n).astype(dtype), p + dtype(0.5)),
    }


def metrics(bench):
    """Their time over ours."""
    if importlib.util.find_spec("sklearn") is None:
        yield Row("sklearn.metrics / ours", None, ">=", 20.0, note="scikit-learn is not installed")
        return
    from sklearn import metrics as theirs

    for n, target in SIZES.items():
        n = min(n, bench.n)
        for dtype in (np.float64, np.float32):
            for what, (name, y, p) in arguments(n, dtype).items():
                calls = {"ours": getattr(ours, name), "sklearn": getattr(theirs, name)}
                found = {who: call(y, p) for who, call in calls.items()}
                if not abs(found["ours"] - found["sklearn"]) <= 1e-4 * abs(found["sklearn"]):
                    raise RuntimeError(f"{what}: the results differ: {found}")
                timings = side_by_side(
                    {who: (lambda call=call, y=y, p=p: call(y, p)) for who, call in calls.items()}, seconds=bench.seconds, min_rounds=3
                )
                note = ", ".join(f"{who} {timing.minimum * 1e6:.3g} us" for who, timing in timings.items())
                ratio = timings["sklearn"].minimum / timings["ours"].minimum
                yield Row(f"{what}, n = {n}, {np.dtype(dtype)}: sklearn.metrics / ours", ratio, ">=", target, note=note)
