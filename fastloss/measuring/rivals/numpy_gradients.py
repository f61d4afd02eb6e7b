"""Costs and their gradients in NumPy: the gradient into a buffer that is also used as scratch."""

from functools import partial

import numpy as np

COST_GRADIENT = {}


def _cost_gradient(loss):
    def enter(function):
        COST_GRADIENT[loss] = lambda y, p: partial(function, y, p, np.empty_like(p))
        return function

    return enter


@_cost_gradient("squared_error")
def squared_error_gradient(y, p, out):
    e = np.subtract(p, y, out=out)
    cost = np.square(e).mean()
    e *= 2.0 / p.size
    return cost, e


@_cost_gradient("absolute_error")
def absolute_error_gradient(y, p, out):
    e = np.subtract(p, y, out=out)
    cost = np.abs(e).mean()
    np.sign(e, out=e)
    e *= 1.0 / p.size
    return cost, e


@_cost_gradient("huber")
def huber_gradient(y, p, out, delta=1.0):
    e = p - y
    q = np.clip(e, -delta, delta, out=out)
    e -= 0.5 * q
    e *= q  # q (e - q / 2), with q and e of one sign
    cost = e.mean()
    q *= 1.0 / p.size
    return cost, q


@_cost_gradient("pinball")
def pinball_gradient(y, p, out, quantile=0.9):
    d = y - p
    np.copyto(out, np.less(y, p))
    out -= quantile  # 1 - quantile above the target, -quantile below
    d *= out
    cost = -d.mean()
    out *= 1.0 / p.size
    return cost, out


@_cost_gradient("poisson_loss")
def poisson_loss_gradient(y, z, out):
    mu = np.exp(z, out=out)
    t = y * z
    np.subtract(mu, t, out=t)
    cost = t.mean()
    mu -= y
    mu *= 1.0 / z.size
    return cost, mu


@_cost_gradient("log_loss")
def log_loss_gradient(y, p, out):
    q = 1.0 - p
    np.subtract(p, y, out=out)
    out /= p
    out /= q
    np.log(q, out=q)
    t = np.log(p)
    t -= q
    t *= y
    t += q
    out *= 1.0 / p.size
    return -t.mean(), out


@_cost_gradient("logistic")
def logistic_gradient(y, z, out):
    e = np.abs(z)
    np.negative(e, out=e)
    np.exp(e, out=e)
    np.copyto(out, 1.0)
    np.copyto(out, e, where=z < 0.0)
    out /= 1.0 + e  # sigmoid(z)
    out -= y
    out *= 1.0 / z.size
    np.log1p(e, out=e)
    e += np.maximum(z, 0.0)
    e -= y * z
    return e.mean(), out


@_cost_gradient("hinge")
def hinge_gradient(y, z, out):
    m = y * z
    np.subtract(1.0, m, out=m)
    np.copyto(out, np.greater(m, 0.0))
    m *= out
    cost = m.mean()
    out *= y
    out *= -1.0 / z.size
    return cost, out
