"""One function on one block of points, through every instruction set that runs here: the largest error, and where."""

import functools
import importlib
import math

import numba
import numpy as np

from benchmarks.ulp import points, references
from benchmarks.ulp.record import family
from fastloss.compiler.subset import VOCABULARY
from fastloss.engine import backends

PIECE = 1 << 15  # points at a time: everything stays in cache
BLOCK = 1 << 24  # bit patterns per task
RANDOM = 100_000  # random points per task, always: a few tasks then have the first of the points that many have


@functools.cache
def modules():
    """{instruction set: kernel module}, the least demanding first."""
    return {level: importlib.import_module(name) for level, name in backends.compiled_levels().items()}


class Found:
    """The largest error seen of one function and instruction set, and what else is counted."""

    def __init__(self):
        self.ulp, self.argument, self.points, self.zero_signs, self.differing = 0.0, (), 0, 0, 0

    def merge(self, other):
        if other.ulp > self.ulp or not self.argument:
            self.ulp, self.argument = other.ulp, other.argument
        self.points += other.points
        self.zero_signs += other.zero_signs
        self.differing += other.differing


# 1 / unit in the last place of a float32, by its exponent field; subnormals share that of the smallest normals
PER_UNIT = np.array([2.0 ** (150 - max(exponent, 1)) for exponent in range(255)] + [np.nan])


@numba.njit(nogil=True)
def _worst_single(got, true, want, want_bits, per_unit):
    """(largest error, its index, zeros of the wrong sign) against float64 truth; want is that rounded to float32."""
    worst, where, zeros = -1.0, 0, 0
    for i in range(len(got)):
        if want[i] - want[i] != 0.0:
            error = 0.0 if got[i] == want[i] or (want[i] != want[i] and got[i] != got[i]) else math.inf
        elif got[i] - got[i] != 0.0:
            error = math.inf
        else:
            error = abs(np.float64(got[i]) - true[i]) * per_unit[(want_bits[i] >> 23) & 255]
            if got[i] == 0.0 and (math.copysign(1.0, got[i]) < 0.0) != (want_bits[i] >> 31 != 0):
                zeros += 1
        if error > worst:
            worst, where = error, i
    return worst, where, zeros


def _worst_double(got, nearest, rest):
    """The same against (nearest, rest) of references.in_double."""
    finite, got_finite = np.isfinite(nearest), np.isfinite(got)
    safe = np.where(finite, nearest, 0.0)
    with np.errstate(over="ignore"):
        error = np.abs(np.ldexp(np.where(got_finite, got, 0.0) - safe, -references.unit_exponent(safe)) - rest)
    error[finite & ~got_finite] = np.inf
    same = (got == nearest) | (np.isnan(got) & np.isnan(nearest))
    error[~finite] = np.where(same, 0.0, np.inf)[~finite]
    where = int(np.argmax(error))
    zeros = (got == 0.0) & finite & (np.signbit(got) != np.signbit(nearest))
    return float(error[where]), where, int(zeros.sum())


def measure(name, dtype, a, b):
    """{instruction set: Found} of a function at the points a (and b)."""
    found = {level: Found() for level in modules()}
    for start in range(0, len(a), PIECE):
        arguments = [np.ascontiguousarray(part[start : start + PIECE]) for part in (a, b)[: VOCABULARY[name]]]
        with np.errstate(all="ignore"):
            if dtype == "float32":
                true = references.SINGLE[name](*(part.astype(np.float64) for part in arguments))
                want = true.astype(np.float32)
                true = true, want, want.view(np.uint32)
            else:
                true = references.in_double(name, *arguments)
        first = {}
        for level, module in modules().items():
            got = np.empty_like(arguments[0])
            module.apply_math(name, arguments[0], arguments[-1], got)
            worst = _worst_single(got, *true, PER_UNIT) if dtype == "float32" else _worst_double(got, *true)
            one = Found()
            one.ulp, one.points, one.zero_signs = worst[0], len(got), worst[2]
            one.argument = tuple(float(part[worst[1]]) for part in arguments)
            other = first.setdefault(family(level), got)
            one.differing = int(np.count_nonzero((got.view(points.UNSIGNED[dtype]) != other.view(points.UNSIGNED[dtype])) & (got == got)))
            found[level].merge(one)
    return found


def task(work):
    """A block of work, for a process of its own: (name, dtype, "patterns", start, stop, step) or (name, dtype, "random", seed, n)."""
    name, dtype, kind, *rest = work
    if kind == "patterns":
        a = b = points.patterns(dtype, *rest)
    else:
        seed, n = rest
        rng = np.random.default_rng([seed, *name.encode()])
        a, b = points.pairs(name, dtype, rng, n) if VOCABULARY[name] == 2 else 2 * (points.directed(name, dtype, rng, n),)
    return measure(name, dtype, a, b)


def tasks(name, dtype, n_points, stride):
    """The work of one function, cut into pieces of some seconds."""
    if dtype == "float32" and VOCABULARY[name] == 1:
        for start in range(0, 2**32, BLOCK * stride):
            yield name, dtype, "patterns", start, min(start + BLOCK * stride, 2**32), stride
        yield name, dtype, "random", 0, 10_000  # its special values, whatever the stride
        return
    total = n_points if dtype == "float64" else 2**24 // stride
    for seed in range(max(1, total // RANDOM)):
        yield name, dtype, "random", seed, RANDOM
