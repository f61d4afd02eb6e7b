"""rowspec.Threshold for the vectors of rows_numba.py: the iteration of kernels/threshold.h, but all in float64, until no lane's support
shrinks any more."""

import numba
from llvmlite import ir
from numba import types

from fastloss.compiler.llvm import Condition
from fastloss.compiler.rows_scalar import plus
from fastloss.compiler.vecmath import NAN, two_prod_tail


def add(_, total, lost, count, score, peak, tau, low):
    """A score goes into the sum of the support if score - peak > tau; what is infinitely far below does not."""
    score = score.widened()
    d, rest = plus(score, 0.0 * score, -peak.widened())
    inside = (d - tau) + (rest - low) > 0.0
    total, lost = plus(total, lost, inside.select(d, 0.0))
    return total, lost + inside.select(rest, 0.0), count + inside.select(count.made(count.of(1.0)), 0.0)


def cut(_, total, lost, count):
    """(the sum of the support - 1) / its number, and what the rounding of that lost; of an empty support NaN."""
    less, low = plus(total, lost, count.made(count.of(-1.0)))
    tau = (less + low) / count
    product = tau * count
    rest = (((less - product) - two_prod_tail(tau, count, product)) + low) / count
    return (count > 0.0).select(tau, NAN), rest


def any_below(vocabulary, a, b):
    bits = ir.IntType(vocabulary.lanes)
    which = vocabulary.builder.bitcast((a < b).value, bits)
    return Condition(vocabulary.builder, vocabulary.builder.icmp_unsigned("!=", which, ir.Constant(bits, 0)))


def threshold(machine):
    """``_threshold`` of rows_python.py for a rows_numba.Machine."""
    names = ("get", "least", "pick", "beyond", "nothing", "spread", "number", "rounded", "left")
    get, least, pick, beyond, nothing, spread, number, rounded, left = (machine.space["_" + name] for name in names)
    wide = machine.wide
    added = machine.function(7, types.UniTuple(wide, 3), add)
    tau_of = machine.function(3, types.UniTuple(wide, 2), cut)
    widened = machine.function(1, wide, lambda _, value: value.widened())
    fewer = machine.function(2, types.boolean, any_below)

    @numba.njit(error_model="numpy")
    def found(z, i, classes):
        peak = least()
        for j in range(classes):
            score = get(z, i, j)
            peak = pick(beyond(score, peak), score, peak)
        tau, low, before = widened(number(spread(-1))), nothing(), widened(number(spread(classes + 1)))
        while True:
            total, lost, count = nothing(), nothing(), nothing()
            for j in range(classes):
                total, lost, count = added(total, lost, count, get(z, i, j), peak, tau, low)
            tau, low = tau_of(total, lost, count)
            if not fewer(count, before):
                return peak, rounded(tau, low), left(tau, low)
            before = count

    return found
