"""Targets of calls: what one costs where all is overhead, work in cache, and every size beside every rival."""

from functools import partial

import numpy as np

import fastloss as fl
from benchmarks.targets.rows import Row, worst
from fastloss.losses import REGISTRY
from fastloss.measuring import cases, rivals
from fastloss.measuring.timing import side_by_side

SIZES = (1, 8, 64, 512, 4096, 2**15, 2**18, 2**21, 2**25)
HUGE = 2**28


def calls(bench):
    """Calls at n = 8."""
    for dtype in cases.DTYPES:
        timings = side_by_side({loss: partial(cases.configured(loss), *cases.data(loss, 8, dtype)) for loss in REGISTRY}, seconds=3.0)
        (value, _), note = worst([(timing.minimum * 1e6, loss) for loss, timing in timings.items()])
        yield Row(f"cost of 8 samples, {dtype}, worst of {len(timings)} losses", value, "<=", 0.8, " us", note)
    y, p = cases.data("huber", 8, "float32")
    timings = side_by_side(
        {
            "configured": partial(fl.Huber(delta=1.5), y, p),
            "function": lambda: fl.huber(y_true=y, y_pred=p, delta=1.5),
            "plain": lambda: fl.huber(y, p),
        },
        seconds=1.0,
    )
    microseconds = {name: timing.minimum * 1e6 for name, timing in timings.items()}
    yield Row("Huber(delta=1.5)(y, p) of 8 samples", microseconds["configured"], "<=", 0.8, " us")
    note = f"fl.huber(y, p): {microseconds['plain']:.2f} us"
    yield Row("fl.huber(y_true=y, y_pred=p, delta=1.5) of 8 samples", microseconds["function"], "<=", 1.2, " us", note)


def cache(bench):
    """One thread, arrays that the cache holds."""
    n = 2**16
    y, p = cases.data("logistic", n, "float32")
    gradient, exponential = np.empty_like(p), np.empty_like(p)
    candidates = {
        "ours": partial(cases.configured("logistic").cost_gradient, y, p, gradient_out=gradient, n_threads=1),
        "exp": partial(np.exp, p, out=exponential),
    }
    timings = side_by_side(candidates, seconds=2.0)
    value = timings["ours"].minimum / timings["exp"].minimum
    note = f"{timings['ours'].minimum * 1e6:.1f} and {timings['exp'].minimum * 1e6:.1f} us"
    yield Row("logistic cost and gradient, n = 2**16, one thread / numpy.exp", value, "<=", 2.5, note=note)


def sizes(bench):
    """Every loss at every size beside every rival."""
    for n in [size for size in SIZES if size <= bench.n] + [HUGE] * bench.huge:
        found = [bench.compare(loss, n=n, names=None, seconds=min(bench.seconds, 0.2 if n < 2**18 else 2.0)) for loss in REGISTRY]
        ratios = [
            (1.0 / comparison.times_ours(name), f"{comparison.loss} by {name}")
            for comparison in found for name in rivals.MODULES if name in comparison.timings
        ]  # fmt: skip
        (value, _), note = worst(ratios)
        slower = sum(ratio >= 1.0 for ratio, _ in ratios)
        what = f"n = {n}: ours / the rival's, worst of {len(ratios)} cost comparisons"
        yield Row(what, value, "<", 1.0, note=f"{note}; {slower} of them not faster" if slower else note)
