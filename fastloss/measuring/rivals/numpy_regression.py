"""The costs of losses/regression.py in NumPy."""

from functools import partial

import numpy as np

COST = {}


def _cost(function):
    COST[function.__name__] = partial(partial, function)
    return function


@_cost
def squared_error(y, p):
    e = p - y
    e *= e
    return e.mean()


@_cost
def half_squared_error(y, p):
    e = p - y
    e *= e
    return 0.5 * e.mean()


@_cost
def root_mean_squared_error(y, p):
    e = p - y
    e *= e
    return np.sqrt(e.mean())


@_cost
def absolute_error(y, p):
    e = p - y
    return np.abs(e, out=e).mean()


@_cost
def huber(y, p, delta=1.0):
    a = p - y
    np.abs(a, out=a)
    q = np.minimum(a, delta)
    a *= q
    q *= q
    q *= 0.5
    a -= q
    return a.mean()


@_cost
def smooth_l1(y, p, beta=1.0):
    return huber(y, p, beta) / beta


@_cost
def pseudo_huber(y, p, delta=1.0):
    e = p - y
    e /= delta
    e *= e
    e += 1.0
    np.sqrt(e, out=e)
    e -= 1.0
    return delta**2 * e.mean()


@_cost
def log_cosh(y, p):
    a = p - y
    np.abs(a, out=a)
    t = -2.0 * a
    np.exp(t, out=t)
    a += np.log1p(t, out=t)
    return a.mean() - np.log(2.0)


@_cost
def pinball(y, p, quantile=0.9):
    d = y - p
    over = (quantile - 1.0) * d
    d *= quantile
    return np.maximum(d, over, out=d).mean()


@_cost
def expectile(y, p, alpha=0.9):
    e = p - y
    weighed = np.where(e > 0.0, (1.0 - alpha) * e, alpha * e)
    weighed *= e
    return weighed.mean()


@_cost
def fair(y, p, c=1.0):
    a = p - y
    np.abs(a, out=a)
    a /= c
    a -= np.log1p(a)
    return c * c * a.mean()


@_cost
def lq(y, p, q=1.5):
    a = p - y
    np.abs(a, out=a)
    a **= q
    return a.mean()


@_cost
def squared_log_error(y, p):
    r = np.log1p(p)
    r -= np.log1p(y)
    r *= r
    return r.mean()


@_cost
def root_mean_squared_log_error(y, p):
    return np.sqrt(squared_log_error(y, p))


@_cost
def absolute_percentage_error(y, p):
    a = p - y
    np.abs(a, out=a)
    size = np.abs(y)
    a /= np.maximum(size, 2.0**-52, out=size)
    return a.mean()


@_cost
def symmetric_absolute_percentage_error(y, p):
    a = p - y
    np.abs(a, out=a)
    size = np.abs(y)
    size += np.abs(p)
    a /= size
    return 2.0 * a.mean()
