"""Arithmetic of probabilities that are known by their logarithms, in float64: rows of a few of them, in NumPy."""

import numpy as np


def log_of_sum(x):
    """(the largest of a row, the log of what the sum of exponentials is as a multiple of the largest's); (0, -inf) of nothing but -inf, NaN
    of NaN or +inf."""
    at = x.argmax(1)[:, None]
    top = np.take_along_axis(x, at, 1)[:, 0]
    nothing = np.isneginf(top)
    top = np.where(nothing, 0.0, top + (top - top))
    e = np.exp(x - top[:, None])
    np.put_along_axis(e, at, 0.0, 1)
    return top, np.where(nothing, -np.inf, np.log1p(e.sum(1)))


def apart(p, q):
    """exp(p) - exp(q) to the digits that p - q has."""
    d = p - q
    return np.where(np.isneginf(q), np.exp(p), np.where(d > 0.0, np.exp(p) * -np.expm1(-d), np.exp(q) * np.expm1(d)))


def excess(p, q):
    """exp(q) (exp(d) - 1 - d) >= 0 for d = p - q; exp(p) where exp(q) is 0."""
    d = p - q
    near = np.where(np.abs(d) < 1.0, d, 0.0)
    series = np.ones_like(near)
    for k in range(19, 2, -1):
        series = 1.0 + near / k * series
    small = np.exp(q) * (0.5 * near * near * series)
    far = np.where(d > 0.0, np.exp(p) - np.exp(q) * (1.0 + d), np.exp(q) * (np.expm1(d) - d))
    return np.where(np.isneginf(q), np.exp(p), np.where(np.abs(d) < 1.0, small, far))
