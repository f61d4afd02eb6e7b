"""Numba: the loop that one writes by hand, parallel, with the same NaN and rounding semantics as everybody else (fastmath off).

A formula here is one of a sample, returning the loss, or the loss and its gradient; float32 stays float32 within it and is summed
in float64, which is what keeps its error beside pairwise sums.
"""

import math

import numba
import numpy as np
from numba import njit, prange

from fastloss.measuring.environment import threads as told

NAME = "numba"
GRADIENT_PER_SAMPLE = False
COST, COST_GRADIENT, LOSS = {}, {}, {}
PREPARE = {"cost": COST, "cost_gradient": COST_GRADIENT, "loss": LOSS}

numba.set_num_threads(told())


def version():
    return numba.__version__


def threads():
    return numba.get_num_threads()


def _cost(value):
    value = njit(inline="always")(value)

    @njit(parallel=True)
    def cost(y, p):
        total = 0.0
        for i in prange(y.size):
            total += value(y[i], p[i])
        return total / y.size

    @njit(parallel=True)
    def loss(y, p, out):
        for i in prange(y.size):
            out[i] = value(y[i], p[i])
        return out

    def prepare_loss(y, p):
        out = np.empty_like(p)
        return lambda: loss(y, p, out)

    COST[value.__name__], LOSS[value.__name__] = lambda y, p: lambda: cost(y, p), prepare_loss


def _cost_gradient(loss):
    def enter(both):
        both = njit(inline="always")(both)

        @njit(parallel=True)
        def cost(y, p, out):
            total = 0.0
            scale = p.dtype.type(1.0 / y.size)
            for i in prange(y.size):
                value, gradient = both(y[i], p[i])
                total += value
                out[i] = scale * gradient
            return total / y.size

        def prepare(y, p):
            out = np.empty_like(p)
            return lambda: (cost(y, p, out), out)

        COST_GRADIENT[loss] = prepare

    return enter


@_cost
def squared_error(y, p):
    e = p - y
    return e * e


@_cost
def absolute_error(y, p):
    return abs(p - y)


@_cost
def huber(y, p):
    real = type(p)  # a bare literal would take float32 to float64
    a = abs(p - y)
    q = min(a, real(1.0))
    return q * (a - real(0.5) * q)


@_cost
def pinball(y, p):
    real = type(p)
    d = y - p
    return max(real(0.9) * d, real(0.9 - 1.0) * d)


@_cost
def log_cosh(y, p):
    real = type(p)
    a = abs(p - y)
    return a + math.log1p(math.exp(real(-2.0) * a)) - real(0.6931471805599453)


@_cost
def squared_log_error(y, p):
    r = math.log1p(p) - math.log1p(y)
    return r * r


@_cost
def poisson_loss(y, z):
    return math.exp(z) - y * z


@_cost
def gamma_loss(y, z):
    return z + y * math.exp(-z)


@_cost
def log_loss(y, p):
    real = type(p)
    return -(y * math.log(p) + (real(1.0) - y) * math.log1p(-p))


@_cost
def logistic(y, z):
    return max(z, type(z)(0.0)) - y * z + math.log1p(math.exp(-abs(z)))


@_cost
def exponential(y, z):
    return math.exp(-y * z)


@_cost
def hinge(y, z):
    real = type(z)
    return max(real(0.0), real(1.0) - y * z)


@_cost_gradient("squared_error")
def squared_error_both(y, p):
    e = p - y
    return e * e, e + e


@_cost_gradient("huber")
def huber_both(y, p):
    real = type(p)
    e = p - y
    q = min(max(e, real(-1.0)), real(1.0))
    return q * (e - real(0.5) * q), q


@_cost_gradient("logistic")
def logistic_both(y, z):
    real = type(z)
    e = math.exp(-abs(z))
    sigmoid = (real(1.0) if z >= real(0.0) else e) / (real(1.0) + e)
    return max(z, real(0.0)) - y * z + math.log1p(e), sigmoid - y


@_cost_gradient("poisson_loss")
def poisson_loss_both(y, z):
    mu = math.exp(z)
    return mu - y * z, mu - y
