"""Compiles formulas with Numba: the fallback where there are no compiled kernels. Arithmetic in float64, results rounded on storing.

Functions are compiled on first use and once per process; everything runs without the GIL.
"""

import functools

import numba
import numpy as np

from fastloss.compiler.python import executable
from fastloss.compiler.subset import formulas


def jit(function):
    return numba.njit(nogil=True, error_model="numpy")(function)


OUTPUTS = {"value": "loss", "gradient": "gradient", "hessian": "hessian"}


@functools.cache
def kernel(definition, parts):
    """kernel(y, p, parameters, loss, gradient, hessian) over float64 or float32 arrays, writing the outputs named by parts."""
    parsed = formulas(definition)
    space = {f"{part}_of": executable(parsed[part], jit, own_division=False) for part in parts} | {"float64": np.float64}
    count = len(definition.parameters)
    arguments = ", ".join(["y_i", "p_i", *(f"parameter_{index}" for index in range(count))])
    lines = ["def kernel(y, p, parameters, loss, gradient, hessian):"]
    lines += [f"    parameter_{index} = parameters[{index}]" for index in range(count)]
    lines += ["    for i in range(y.size):", "        y_i = float64(y[i])", "        p_i = float64(p[i])"]
    lines += [f"        {OUTPUTS[part]}[i] = {part}_of({arguments})" for part in parts]
    exec("\n".join(lines), space)
    return jit(space["kernel"])


LIMBS = 68


@numba.njit(nogil=True)
def add_exactly(limbs, bits):
    """Add float64 values, given as their int64 bits and all finite, to a superaccumulator of 32-bit limbs in units of 2**-1088.

    The scalar half of kernels/exactsum.h; at most 2**30 values between two carries.
    """
    for i in range(bits.size):
        mantissa = bits[i] & 0xFFFFFFFFFFFFF
        exponent = (bits[i] >> 52) & 0x7FF
        if exponent:
            mantissa |= 1 << 52
        else:
            exponent = 1
        position = exponent + 13
        limb, shift = position >> 5, position & 31
        low = (mantissa << shift) & 0xFFFFFFFF
        middle = (mantissa >> (32 - shift)) & 0xFFFFFFFF
        high = (mantissa >> 32) >> (32 - shift)
        if bits[i] < 0:
            low, middle, high = -low, -middle, -high
        limbs[limb] += low
        limbs[limb + 1] += middle
        limbs[limb + 2] += high


def exact_sum(values):
    """The sum of finite float64 values as an integer in units of 2**-1088."""
    total = 0
    for start in range(0, values.size, 1 << 28):
        limbs = np.zeros(LIMBS, np.int64)
        add_exactly(limbs, values[start : start + (1 << 28)].view(np.int64))
        total += sum(int(limb) << (32 * i) for i, limb in enumerate(limbs) if limb)
    return total
