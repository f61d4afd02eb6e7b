"""What the losses of scikit-learn's interface are made of, beside ours: formulas of those of which we have no kernel, quantiles, optima."""

import numpy as np

import fastloss as fl


def tweedie(y, r, power):
    """(loss, gradient, hessian) of half the Tweedie deviance of mean exp(r), without terms of y alone, of any power but 1 and 2."""
    if power == 0:
        m = np.exp(r)
        return 0.5 * (m - y) ** 2, m * (m - y), m * (2 * m - y)
    a, b = 2 - power, 1 - power
    ea, eb = np.exp(a * r), np.exp(b * r)
    return ea / a - y * eb / b, ea - y * eb, a * ea - b * y * eb


def tweedie_identity(y, m, power):
    """(loss, gradient, hessian) of half the Tweedie deviance of mean m; NaN or infinite where m <= 0, as a line search may try."""
    if power == 0:
        return 0.5 * (m - y) ** 2, m - y, np.ones_like(m)
    if power == 1:
        loss = np.where(y == 0, m, y * np.log(np.where(y == 0, 1.0, y) / m) + m - y)
        return loss, 1 - y / m, y / (m * m)
    if power == 2:
        return np.log(m / y) + y / m - 1, (m - y) / (m * m), (2 * y / m - 1) / (m * m)
    a, b, t = 2 - power, 1 - power, np.power(m, 1 - power)
    loss = m * t / a - y * t / b + np.where(y > 0, np.power(np.where(y > 0, y, 1.0), a) / (a * b), 0.0)
    t = np.power(m, -power)
    return loss, t * (m - y), t * (b + power * y / m)


def exponential(y, r):
    """(loss, gradient, hessian) of targets in [0, 1]."""
    down, up = y * np.exp(-r), (1 - y) * np.exp(r)
    return down + up, up - down, down + up


def tweedie_kernel(power, link):
    """Our loss of this power, or None."""
    if link == "log":
        exact = {1: fl.PoissonLoss, 2: fl.GammaLoss}.get(power)
        return exact() if exact else fl.TweedieLoss(power) if 1 < power < 2 else None
    if power == 0:
        return fl.HalfSquaredError()
    exact = {1: fl.PoissonDeviance, 2: fl.GammaDeviance}.get(power)
    return exact(half=True) if exact else fl.TweedieDeviance(power, half=True) if 1 < power < 2 else None


def percentile(values, weights, level):
    """scikit-learn's weighted percentile (level in [0, 1]) without averaging: the least value up to which there is that share of weight."""
    values = np.asarray(values)
    order = np.argsort(values)
    shares = np.cumsum(np.asarray(weights, values.dtype)[order])
    wanted = values.dtype.type(level * 100) / 100 * shares[-1]
    wanted = np.nextafter(wanted, wanted + 1) if wanted == 0 else wanted
    return values[order[min(int(np.searchsorted(shares, wanted)), len(values) - 1)]]


def quantile(y, w, level):
    return np.percentile(y, 100 * level, axis=0) if w is None else percentile(y, w, level)


def huber_intercept(y, w, delta):
    median = quantile(y, w, 0.5)
    off = y - median
    return median + np.average(np.sign(off) * np.minimum(delta, np.abs(off)), weights=w)


def xlogx(y):
    return np.where(y == 0, 0.0, y * np.log(np.where(y == 0, 1.0, y))).astype(y.dtype, copy=False)


def tweedie_optimum(y, power):
    """What half the deviance of mean y lacks for 0, where its terms of y alone were left out; negated."""
    if power == 0:
        return np.zeros_like(y)
    if power == 1:
        return xlogx(y) - y
    if power == 2:
        return -np.log(y) - 1
    return np.power(np.maximum(y, 0), 2 - power) / (1 - power) / (2 - power)
