"""Takes tiles of contiguous arrays through check -> kernel -> sum -> weigh, for Numba: what kernels/driver.pxi does in compiled code.

Compiled once for float32 and once for float64; the loss comes in as the address of its kernel (compiler/numba.py). The functions touch
no Python object and let go of the GIL.
"""

import functools

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastloss.compiler.exactsum import FIRST_NAN, LANES, N_NAN, add_tile, ends, jit

# Samples. Twice those of the compiled kernels (kernels/tile.h), whose tiles cost less to begin. Of Huber and logistic costs on Zen 4, with
# and without weights, from 2**14 to 2**24 samples, 256 take 7 % longer in the mean; 1,024 are a little faster in cache, and up to a
# third slower where weights come from memory.
TILE = 512


@intrinsic
def call(typing, kernel, y, p, parameters, loss, gradient, hessian, at, l_at, g_at, h_at, n):
    """Call the kernel at this address with pointers to elements of arrays: y and p at ``at``, the outputs each at its own."""

    def emit(context, builder, signature, arguments):
        kernel, *arrays, at, l_at, g_at, h_at, n = arguments
        pointers = []
        for kind, array, index in zip(signature.args[1:7], arrays, (at, at, at.type(0), l_at, g_at, h_at), strict=True):
            pointers.append(builder.gep(context.make_array(kind)(context, builder, array).data, [index], inbounds=True))
        target = ir.FunctionType(ir.VoidType(), [*(pointer.type for pointer in pointers), n.type]).as_pointer()
        builder.call(builder.inttoptr(kernel, target), [*pointers, n])
        return context.get_dummy_value()

    return types.void(kernel, y, p, parameters, loss, gradient, hessian, at, l_at, g_at, h_at, n), emit


@jit
def violation(values, at, n, check):
    """The index of the first value from at on that a check refuses, or ``at + n``. NaN is let through."""
    low, high, gap_low, gap_high = check
    if n >= LANES:
        smallest, largest, beyond = ends(values, at, n, gap_low)
        if smallest >= low and largest <= high and beyond >= gap_high:
            return at + n
    for i in range(at, at + n):
        if values[i] < low or values[i] > high or gap_low < values[i] < gap_high:
            return i
    return at + n


def slab(kernel, y, p, w, parameters, checks, loss, gradient, hessian, wanted, summed, scale, total, left_out, counts, terms, start):
    """One loss over all samples of y and p. Returns -1, or where a bad value stands: 2 * index, and 1 if it is a prediction.

    w         None, or float64 weights already known to be good
    checks    (low, high, gap_low, gap_high) of the target and of the prediction
    loss ...  outputs; those that are not wanted[...] are scratch of TILE elements
    summed    add to total (an accumulator), left_out (the weights of NaN) and counts; the first NaN is counted from ``start``
    terms     TILE float64 of scratch
    """
    at = np.int64(0)  # not a literal, for which Numba would compile everything below twice
    stop = TILE - np.int64(p.ctypes.data % 64) // p.itemsize  # so that all tiles but the first begin on a cache line
    outputs = (loss, gradient, hessian)
    while at < p.size:
        n = (stop if stop < p.size else p.size) - at
        first = at + n
        argument = np.int64(0)
        for which, values in enumerate((y, p)):
            if checks[which][0] > -np.inf or checks[which][1] < np.inf:
                bad = violation(values, at, n, checks[which])
                if bad < first:
                    first = bad
                    argument = np.int64(which)
        if first < at + n:
            return 2 * first + argument
        l_at, g_at, h_at = at * wanted[0], at * wanted[1], at * wanted[2]
        call(kernel, y, p, parameters, loss, gradient, hessian, at, l_at, g_at, h_at, n)
        if summed:
            if w is None:
                add_tile(total, left_out, counts, loss, l_at, n, w, at, start + at)
            else:
                losses, weights = loss[l_at : l_at + n], w[at : at + n]
                for i in range(n):
                    terms[i] = np.float64(losses[i]) * weights[i]
                add_tile(total, left_out, counts, terms, np.int64(0), n, w, at, start + at)
        if w is not None or scale != 1.0:
            for output in range(3):
                if wanted[output]:
                    weigh(outputs[output], w, scale, at, n)
        at += n
        stop = at + TILE
    return -1


@jit
def weigh(values, w, scale, at, n):
    """Per-sample outputs carry their weight, as in sklearn._loss; the product is a float64 one, rounded once."""
    part = values[at : at + n]  # whose indices from 0 on LLVM knows not to be negative, which Python allows
    if w is None:
        for i in range(n):
            part[i] = np.float64(part[i]) * scale
    else:
        weights = w[at : at + n]
        for i in range(n):
            part[i] = np.float64(part[i]) * (weights[i] * scale)


@functools.cache
def slab_of(dtype, weighted):
    """slab, compiled for arrays of this dtype."""
    real = types.float32 if dtype == "float32" else types.float64
    given, made = types.Array(real, 1, "C", readonly=True), types.Array(real, 1, "C")
    doubles, integers = types.Array(types.float64, 1, "C", readonly=True), types.Array(types.int64, 1, "C")
    checks = types.UniTuple(types.UniTuple(types.float64, 4), 2)
    signature = types.int64(
        types.uintp, given, given, doubles if weighted else types.none, doubles, checks, made, made, made, types.UniTuple(types.boolean, 3),
        types.boolean, types.float64, integers, integers, integers, types.Array(types.float64, 1, "C"), types.int64,
    )  # fmt: skip
    return numba.njit(signature, nogil=True, error_model="numpy")(slab)


@functools.cache
def weights_slab():
    """sum_weights(w, total, counts): add weights; returns -1, or the index of the first that is negative, infinite or NaN."""
    check = (0.0, np.finfo(np.float64).max, np.inf, -np.inf)

    @numba.njit(types.int64(types.Array(types.float64, 1, "C", readonly=True), types.int64[::1], types.int64[::1]), nogil=True)
    def sum_weights(w, total, counts):
        for at in range(0, w.size, TILE):
            n = TILE if at + TILE < w.size else w.size - at
            bad = violation(w, at, n, check)
            add_tile(total, total, counts, w, at, n, None, at, at)
            if counts[N_NAN] and counts[FIRST_NAN] < bad:
                return counts[FIRST_NAN]
            if bad < at + n:
                return bad
        return -1

    return sum_weights


@functools.cache
def terms_sum(weighted):
    """add_terms(terms, w, total, left_out, counts, start): add float64 terms as add_tile does; w is None if not weighted."""
    given, sums = types.Array(types.float64, 1, "C", readonly=True), types.int64[::1]

    @numba.njit(types.void(given, given if weighted else types.none, sums, sums, sums, types.int64), nogil=True)
    def add_terms(terms, w, total, left_out, counts, start):
        for at in range(0, terms.size, TILE):
            n = TILE if at + TILE < terms.size else terms.size - at
            add_tile(total, left_out, counts, terms, at, n, w, at, start + at)

    return add_terms
