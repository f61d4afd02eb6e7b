"""The costs of losses/binary.py and losses/counts.py in NumPy."""

from functools import partial

import numpy as np

COST = {}


def _cost(function):
    COST[function.__name__] = partial(partial, function)
    return function


@_cost
def poisson_deviance(y, mu):
    r = y / mu
    np.log(r, out=r, where=r > 0.0)  # 0 stays 0, and is multiplied by 0
    r *= y
    r -= y
    r += mu
    return 2.0 * r.mean()


@_cost
def poisson_loss(y, z):
    t = np.exp(z)
    t -= y * z
    return t.mean()


@_cost
def gamma_deviance(y, mu):
    r = y / mu
    r -= np.log(r)
    return 2.0 * (r.mean() - 1.0)


@_cost
def gamma_loss(y, z):
    t = -z
    np.exp(t, out=t)
    t *= y
    t += z
    return t.mean()


@_cost
def tweedie_deviance(y, mu, power=1.5):
    t = y ** (2.0 - power) / ((1.0 - power) * (2.0 - power))
    t -= y * mu ** (1.0 - power) / (1.0 - power)
    t += mu ** (2.0 - power) / (2.0 - power)
    return 2.0 * t.mean()


@_cost
def tweedie_loss(y, z, power=1.5):
    t = np.exp((2.0 - power) * z)
    t /= 2.0 - power
    s = np.exp((1.0 - power) * z)
    s *= y
    s /= 1.0 - power
    t -= s
    return t.mean()


@_cost
def log_loss(y, p):
    q = 1.0 - p
    np.log(q, out=q)
    t = np.log(p)
    t -= q
    t *= y
    t += q  # y log(p) + (1 - y) log(1 - p)
    return -t.mean()


@_cost
def logistic(y, z):
    t = np.abs(z)
    np.negative(t, out=t)
    np.exp(t, out=t)
    np.log1p(t, out=t)
    t += np.maximum(z, 0.0)
    t -= y * z
    return t.mean()


@_cost
def exponential(y, z):
    m = y * z
    np.negative(m, out=m)
    return np.exp(m, out=m).mean()


@_cost
def soft_margin(y, z):
    m = y * z
    t = np.abs(m)
    np.negative(t, out=t)
    np.exp(t, out=t)
    np.log1p(t, out=t)
    t -= np.minimum(m, 0.0, out=m)
    return t.mean()


@_cost
def hinge(y, z):
    m = y * z
    np.subtract(1.0, m, out=m)
    return np.maximum(m, 0.0, out=m).mean()


@_cost
def squared_hinge(y, z):
    m = y * z
    np.subtract(1.0, m, out=m)
    np.maximum(m, 0.0, out=m)
    m *= m
    return m.mean()


@_cost
def perceptron(y, z):
    m = y * z
    return -np.minimum(m, 0.0, out=m).mean()


@_cost
def brier(y, p):
    e = p - y
    e *= e
    return e.mean()


@_cost
def focal(y, z, gamma=2.0):
    m = np.where(y == 0.0, -z, z)
    e = np.exp(-np.abs(m))
    fade = np.where(m > 0.0, e, 1.0)  # sigmoid(-m) = (e if m > 0 else 1) / (1 + e)
    fade /= 1.0 + e
    fade **= gamma
    np.log1p(e, out=e)
    e -= np.minimum(m, 0.0, out=m)
    fade *= e
    return fade.mean()


@_cost
def focal_probability(y, p, gamma=2.0):
    u = y - p
    np.abs(u, out=u)
    t = np.log(1.0 - u)
    u **= gamma
    t *= u
    return -t.mean()


@_cost
def zero_one(y, p, threshold=0.5):
    return np.count_nonzero((p > threshold) != (y == 1.0)) / p.size
