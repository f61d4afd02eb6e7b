"""Validate, then time: a candidate is timed only after it has given our result, in our dtype, on the threads that it was told (or on
one, if it can use no more)."""

import numpy as np

from fastloss.engine import threads
from fastloss.measuring import environment, rivals, roofline
from fastloss.measuring.cases import configured

# Relative, of the rival. float32 ones sum in float32 (pairwise at best), and use textbook forms that cancel near the minimum; half
# precision is rounded in every step, to 11 bits in float16 and 8 in bfloat16: eight of its ULP.
TOLERANCE = {"float16": 2.0**-7, "bfloat16": 2.0**-4, "float32": 1e-4, "float64": 1e-9}


class MismatchError(AssertionError):
    """A candidate computes something else than we do (``finding`` says what, without the case), or on other terms."""

    def __init__(self, finding, what=""):
        self.finding = finding
        super().__init__(f"{what}: {finding}" if what else finding)


def check_threads(rival=None, loss=None):
    """Raise MismatchError unless fastloss, the yardstick and, for this loss, the rival run on the threads that were settled. Of what
    knows no threads there is nothing to ask (rivals.on_one_thread)."""
    count = environment.threads()
    if threads.default() != count:
        raise MismatchError(f"fastloss would use {threads.default()} threads, not {count}")
    if roofline.installed() and roofline.threads() != count:
        raise MismatchError(f"the yardstick would use {roofline.threads()} threads, not {count}")
    if rival is None or rivals.on_one_thread(rival, loss):
        return
    if (found := rivals.library(rival).threads()) != count:
        raise MismatchError(f"{rival} would use {found} threads, not {count}, and cannot be told otherwise in this process")


def check(output, loss, rival, y, p, theirs, ours):
    """Raise MismatchError unless a candidate's result is ours. Both are results of calls: a cost, an array, or a tuple of them."""
    what = f"{output} of {loss} by {rival}, {p.dtype.name}, n={p.size}"
    check_threads(rival, loss)
    if y.dtype != p.dtype:
        raise MismatchError(f"y is {y.dtype}", what)
    tolerance, parts = TOLERANCE[p.dtype.name], output.split("_")
    theirs, ours = (theirs, ours) if len(parts) > 1 else ((theirs,), (ours,))
    for part, their, our in zip(parts, theirs, ours, strict=True):
        if part == "cost":
            _close(what, float(their), our, tolerance)
            continue
        if their.dtype != p.dtype or our.dtype != p.dtype or their.shape != p.shape:
            found = f"{their.dtype}{their.shape}, ours {our.dtype}{our.shape}"
            raise MismatchError(f"its {part} is {found}, the prediction {p.dtype}{p.shape}", what)
        scale = 1.0 / p.size if output == "cost_gradient" and rivals.library(rival).GRADIENT_PER_SAMPLE else 1.0
        _close_arrays(what, part, their, our, scale, tolerance)


def _close(what, theirs, ours, tolerance):
    if not abs(theirs - ours) <= tolerance * abs(ours):
        raise MismatchError(f"it gives {float(theirs)!r}, ours is {float(ours)!r}, allowed {tolerance:g} relative", what)


def _close_arrays(what, part, theirs, ours, scale, tolerance):
    """Within the tolerance of the largest of ours, or two of the dtype's smallest steps, in which float16 ends soon. In blocks."""
    steps = 2.0**-23 if ours.dtype == np.float16 else 0.0
    allowed = tolerance * float(np.max(np.abs(ours))) + steps
    for low in range(0, ours.size, 2**20):
        block = slice(low, low + 2**20)
        with np.errstate(all="ignore"):
            far = np.abs(scale * theirs[block] - ours[block])
        if not far.max() <= allowed:
            i = int(np.argmax(far))
            their, our = float(scale * theirs[low + i]), float(ours[low + i])
            raise MismatchError(f"its {part} is {their!r} at {low + i}, ours {our!r}, allowed {allowed:g}", what)


def check_per_sample(loss, parts, y, p):
    """Raise MismatchError unless the mean of our losses is our cost, and our gradients are those of the cost, times n."""
    check_threads()
    tolerance = TOLERANCE[p.dtype.name]
    cost, gradient = configured(loss).cost_gradient(y, p)
    what = f"per-sample outputs of {loss}, {p.dtype}, n={p.size}"
    if "loss" in parts:
        _close(what, float(parts["loss"].mean(dtype=np.float64)), cost, tolerance)
    if "gradient" in parts:
        _close_arrays(what, "gradient", parts["gradient"], gradient, 1.0 / p.size, tolerance)
