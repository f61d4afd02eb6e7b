"""Validate, then time: a candidate is timed only after it has given our result, in our dtype, on the threads that it was told."""

import numpy as np

from benchmarks import THREADS
from benchmarks.cases import configured
from benchmarks.rivals import libraries
from fastloss.engine import threads
from fastloss.measuring import roofline

# Relative, of the rival. float32 ones sum in float32 (pairwise at best), and use textbook forms that cancel near the minimum.
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}


class MismatchError(AssertionError):
    """A candidate computes something else than we do, or on other terms."""


def check_threads(package=None):
    """Raise MismatchError unless fastloss, and the package, run on THREADS threads (NumPy: on its one)."""
    if threads.default() != THREADS:
        raise MismatchError(f"fastloss would use {threads.default()} threads, not {THREADS}: set FASTLOSS_BENCH_THREADS")
    if roofline.threads() != THREADS:
        raise MismatchError(f"the yardstick would use {roofline.threads()} threads, not {THREADS}")
    told = 1 if package == "numpy" else THREADS
    if package is not None and libraries()[package].threads() != told:
        raise MismatchError(f"{package} would use {libraries()[package].threads()} threads, not {told}")


def check(kind, loss, package, y, p, theirs, ours):
    """Raise MismatchError unless a candidate's result is ours. Both are results of calls: a cost, or a (cost, gradient)."""
    what = f"{kind} of {loss} by {package}, {p.dtype}, n={p.size}"
    check_threads(package)
    if y.dtype != p.dtype:
        raise MismatchError(f"{what}: y is {y.dtype}")
    tolerance = TOLERANCE[p.dtype.name]
    if kind == "cost":
        return _close(what, float(theirs), ours, tolerance)
    (their_cost, their_gradient), (our_cost, our_gradient) = theirs, ours
    _close(what, float(their_cost), our_cost, tolerance)
    if their_gradient.dtype != p.dtype or our_gradient.dtype != p.dtype or their_gradient.shape != p.shape:
        their, our = f"{their_gradient.dtype}{their_gradient.shape}", f"{our_gradient.dtype}{our_gradient.shape}"
        raise MismatchError(f"{what}: its gradient is {their}, ours {our}, the prediction {p.dtype}{p.shape}")
    scale = 1.0 / p.size if libraries()[package].GRADIENT_PER_SAMPLE else 1.0
    return _close_arrays(what, their_gradient, our_gradient, scale, tolerance)


def _close(what, theirs, ours, tolerance):
    if not abs(theirs - ours) <= tolerance * abs(ours):
        raise MismatchError(f"{what}: {theirs!r}, ours {ours!r}, allowed {tolerance:g} relative")


def _close_arrays(what, theirs, ours, scale, tolerance):
    """Within the tolerance of the largest gradient; in blocks, for arrays may be large."""
    allowed = tolerance * float(np.max(np.abs(ours)))
    for low in range(0, ours.size, 2**20):
        block = slice(low, low + 2**20)
        far = np.abs(scale * theirs[block] - ours[block])
        if not far.max() <= allowed:
            i = int(np.argmax(far))
            raise MismatchError(f"{what}: gradient {scale * theirs[low + i]!r} at {low + i}, ours {ours[low + i]!r}, allowed {allowed:g}")


def check_per_sample(loss, parts, y, p):
    """Raise MismatchError unless the mean of our losses is our cost, and our gradients are those of the cost, times n."""
    check_threads()
    tolerance = TOLERANCE[p.dtype.name]
    cost, gradient = configured(loss).cost_gradient(y, p)
    what = f"per-sample outputs of {loss}, {p.dtype}, n={p.size}"
    if "loss" in parts:
        _close(what, float(parts["loss"].mean(dtype=np.float64)), cost, tolerance)
    if "gradient" in parts:
        _close_arrays(what, parts["gradient"], gradient, 1.0 / p.size, tolerance)
