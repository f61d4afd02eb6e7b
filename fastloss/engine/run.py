"""One pass over the data: operands in, per-sample outputs written, exact tallies out."""

import math

import numpy as np

from fastloss.engine import backends, foreign, inputs, threads
from fastloss.engine.dtypes import compute_dtype, number
from fastloss.engine.environment import ieee
from fastloss.engine.errors import InputError
from fastloss.engine.exact import ONE, as_int, quotient, with_specials
from fastloss.losses.spec import Labels

SETS = {
    (True, False, False): "l",
    (False, True, False): "g",
    (True, True, False): "lg",
    (False, True, True): "gh",
    (True, True, True): "lgh",
}
OUTPUT_NAMES = ("loss_out", "gradient_out", "hessian_out")
NAN_POLICIES = ("propagate", "skip", "raise")
REMEDIES = {(-1.0, 1.0): "targets 0 and 1: pass 2 * y_true - 1, or y_true.astype(bool)", (0.0, 1.0): "targets -1 and +1: pass y_true > 0"}


class Tally:
    """What one loss added up to: exact total of w * loss, exact weight (or count) it stands for, and the specials among the terms."""

    __slots__ = ("n", "total", "weight", "n_nan", "n_positive", "n_negative", "first_nan")

    def __init__(self):
        self.n = self.total = self.weight = self.n_nan = self.n_positive = self.n_negative = 0
        self.first_nan = -1

    def add(self, part, n, weights, start, skip_nan):
        """Take in what a backend's run found; exact, so the order of adding is nobody's business."""
        total, left_out, n_nan, n_positive, n_negative, first_nan = part
        self.n += n
        self.total += total
        self.weight += n * ONE if weights is None else weights
        if skip_nan:
            self.weight -= n_nan * ONE if weights is None else left_out
        self.n_nan += n_nan
        self.n_positive += n_positive
        self.n_negative += n_negative
        if first_nan >= 0 and self.first_nan < 0:
            self.first_nan = start + first_nan

    def merge(self, other):
        self.n += other.n
        self.total += other.total
        self.weight += other.weight
        self.n_nan += other.n_nan
        self.n_positive += other.n_positive
        self.n_negative += other.n_negative

    def nothing(self):
        """Why there may be nothing to divide by."""
        return "no samples, or all weights zero, or all left out as NaN"

    def check(self, other):
        """ValueError if the other is of data that does not go with this."""

    def sum(self, skip_nan):
        return with_specials(quotient(self.total, ONE), 0 if skip_nan else self.n_nan, self.n_positive, self.n_negative)

    def mean(self, skip_nan):
        """The cost. The weight must not be 0."""
        return with_specials(quotient(self.total, self.weight), 0 if skip_nan else self.n_nan, self.n_positive, self.n_negative)


def closed_bounds(domain, dtype):
    """(kind, low, high) as the kernels check it: 0 anything, 1 low <= x <= high, 2 x is low or high. In the compute dtype."""
    if isinstance(domain, Labels):
        return 2, domain.low, domain.high
    if domain.low == -math.inf and domain.high == math.inf:
        return 0, 0.0, 0.0
    real = np.dtype(dtype).type
    low, high = real(domain.low), real(domain.high)
    low = np.nextafter(low, real(np.inf)) if domain.open_low else low
    high = np.nextafter(high, real(-np.inf)) if domain.open_high else high
    return 1, float(low), float(high)


def run(losses, y_true, y_pred, sample_weight, *, outputs=(None, None, None), wanted=(False, False, False), summed=True, nan="propagate",
        of_the_cost=False, scale=1.0, n_threads=None):  # fmt: skip
    """Take all samples through the configured losses, once.

    outputs      the caller's buffers for loss, gradient and hessian, or None; wanted says which of the three there are to be
    of_the_cost  derivatives are those of the cost: divided by the sum of weights
    scale        what derivatives are multiplied by otherwise
    Returns (tallies, outputs): a Tally per loss, in order, and the arrays of the wanted outputs.
    """
    if nan not in NAN_POLICIES:
        raise ValueError(f"`nan` must be one of {', '.join(map(repr, NAN_POLICIES))}, got {nan!r}")
    backend = backends.current()
    y_true, y_pred, sample_weight = foreign.converted(y_true, y_pred, sample_weight)
    if summed and not any(wanted) and hasattr(backend, "run_plain"):
        tallies = _run_plain(backend, losses, y_true, y_pred, sample_weight, nan, n_threads)
        if tallies is not None:
            return tallies, (None, None, None)
    y, p, w, shape = inputs.operands(y_true, y_pred, sample_weight)
    compute = compute_dtype(y.dtype, p.dtype)
    bounds = [loss.bound(compute) for loss in losses]
    arrays, overlaps = _outputs(outputs, wanted, shape, compute, y, p, w)
    needed = backends.OUTPUT_SETS.index(SETS[summed or wanted[0], wanted[1], wanted[2]])
    work = sum(backend.nanoseconds(bound, needed, summed, w is not None, sum(wanted)) for bound in bounds)
    size = math.prod(shape)
    workers = threads.choose(n_threads, size * work)
    if of_the_cost and size:
        scale = _scale(backend, w, shape, workers)
        if scale is None:  # a weight is bad; whether that is the first bad value of the call, the pass for the cost alone will say
            return run(losses, y, p, w, n_threads=n_threads)
    tallies = [Tally() for _ in losses]
    for start, n, parts, outs in inputs.flat((y, p, w), arrays, shape):
        if n == 0:
            break
        given = [None if part is None else inputs.describe(part) for part in parts]
        to = tuple(
            None if out is None else inputs.describe(out, inputs.may_write(out, compute, overlap))
            for out, overlap in zip(outs, overlaps, strict=True)
        )
        error, weights, found = backend.run(bounds, n, *given, to, needed, summed, nan == "skip", scale, workers)
        if error:
            _refuse(error, losses, (y, p, w), start, shape, arrays)
        for tally, part in zip(tallies, found, strict=False):
            tally.add(part, n, weights, start, nan == "skip")
    if nan == "raise":
        for tally, loss in zip(tallies, losses, strict=True):
            if tally.n_nan:
                index = inputs.index_of(tally.first_nan, shape, (y, p, w, *arrays))
                remedy = "nan='skip' leaves such samples out, nan='propagate' returns NaN"
                raise InputError(loss.name, "loss", "a number", math.nan, index, remedy)
    return tallies, arrays


def _run_plain(backend, losses, y_true, y_pred, sample_weight, nan, n_threads):
    """The tallies of plain arrays, the backend's short way; None if the general way has to be taken."""
    found = backend.run_plain([loss.calls() for loss in losses], y_true, y_pred, sample_weight, nan == "skip", n_threads, False)
    if found is None:
        return None
    n, weights, parts = found
    if nan == "raise" and any(part[2] for part in parts):
        return None
    tallies = []
    for part in parts:
        tally = Tally()
        tally.add(part, n, weights, 0, nan == "skip")
        tallies.append(tally)
    return tallies


def _outputs(outputs, wanted, shape, compute, y, p, w):
    """The arrays to write to, and whether each shares memory with an input (then it is written from a tile, after the reading)."""
    arrays, overlaps = [None] * 3, [False] * 3
    taken = [("y_true", y), ("y_pred", p), ("sample_weight", w)]
    for o, name in enumerate(OUTPUT_NAMES):
        if wanted[o]:
            arrays[o], overlaps[o] = inputs.output(name, outputs[o], shape, p, compute, taken[:3])
            for other_name, other in taken[3:]:
                if np.shares_memory(arrays[o], other):
                    raise ValueError(f"`{name}` and `{other_name}` must not share memory")
            taken.append((name, arrays[o]))
    return arrays, overlaps


def total_weight(backend, w, shape, workers):
    """The exact sum of the weights, in units of 2**-1088; None if one of them is bad."""
    if w.ndim == 0:
        return math.prod(shape) * as_int(w) if 0 <= w < math.inf else None
    total = 0
    for _, n, (part,), _ in inputs.flat((w,), (), shape):
        operand = inputs.describe(part)
        error, weights, _ = backend.run([], n, operand, operand, operand, (None,) * 3, 0, False, False, 1.0, workers)
        if error:
            return None
        total += weights
    return total


@ieee
def _scale(backend, w, shape, workers):
    """What gradients are multiplied by to be those of the cost: 1 / (sum of weights), if float64 can do that; None if a weight is bad."""
    total = math.prod(shape) * ONE if w is None else total_weight(backend, w, shape, workers)
    if total is None:
        return None
    if total == 0:
        raise ValueError("the gradient of the cost has nothing to divide by: all weights are zero")
    divisor = quotient(total, ONE)
    if not 1e-290 < divisor < 1e290:
        raise ValueError(f"the weights sum to {divisor:g}, too near the ends of float64 for gradients to be divided by it; scale them")
    return 1.0 / divisor


def _refuse(error, losses, given, start, shape, outputs):
    """Raise what a backend found: (position, which loss, which argument). That is the first bad value in the order of the data: at the
    least index and there a weight, else of the losses in order, y before p; whatever the backend, threads and addresses. It still
    is what the caller gave, though outputs may lie over inputs: of a stretch with a bad value nothing is stored."""
    position, which, argument = error
    index = inputs.index_of(start + position, shape, (*given, *outputs))
    name = ("y_true", "y_pred", "sample_weight")[argument]
    array = given[argument]
    value = array[()] if array.ndim == 0 else array[index]
    value = number(value)
    if argument == 2:
        raise InputError(None, name, "finite and >= 0", value, index)
    definition = losses[which].definition
    domain = definition.target if argument == 0 else definition.prediction
    remedy = REMEDIES.get((domain.low, domain.high), "") if isinstance(domain, Labels) or (argument == 0 and value == -1) else ""
    raise InputError(losses[which].name, name, str(domain), value, index, remedy)
