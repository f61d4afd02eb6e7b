"""What each loss is, once more and independently: textbook formulas in mpmath, with no thought for rounding.

Keyed by the registry's names; a loss without an entry fails tests/test_registry.py. y, p and the parameters are mpf; derivatives are
taken numerically at high precision by the tests, so only values stand here. ``KINKS`` says where a loss has no derivative, and what
the convention is.
"""

import numpy as np
from mpmath import mp, mpf

LN = mp.log


def sgn(x):
    return mpf(1) if x > 0 else mpf(-1) if x < 0 else mpf(0)


def xlogy(x, y):
    return mpf(0) if x == 0 else (x * LN(y) if y != 0 else -mp.inf * x)


def softplus(z):
    return mp.log1p(mp.exp(z)) if z < 4000 else z


def sigma(z):
    return 1 / (1 + mp.exp(-z))


ROUNDED_TO = ["float64"]  # the dtype in question, for the one constant that is defined in it


def rounded(x):
    return mpf(float(np.dtype(ROUNDED_TO[0]).type(float(x))))


def log_loss(y, p, clip):
    q = min(max(p, clip), rounded(1 - clip))
    return -(xlogy(y, q) + xlogy(1 - y, 1 - q))


def logistic(y, z, pos_weight, label_smoothing):
    t = y * (1 - label_smoothing) + label_smoothing / 2
    return (1 - t) * softplus(z) + pos_weight * t * softplus(-z)


def weight_of_class(y, alpha):
    return mpf(1) if alpha < 0 else alpha if y == 1 else 1 - alpha


def focal(y, z, gamma, alpha):
    m = z if y == 1 else -z
    return weight_of_class(y, alpha) * mp.exp(-gamma * softplus(m)) * softplus(-m)


def focal_probability(y, p, gamma, alpha):
    q = p if y == 1 else 1 - p
    if q == 1:
        return mpf(0)
    return mp.inf if q == 0 else weight_of_class(y, alpha) * (1 - q) ** gamma * -LN(q)


def poisson_deviance(y, mu, half):
    return (2 - half) * (xlogy(y, y / mu) - y + mu)


def poisson_loss(y, z, half, constants):
    return (2 - half) * (mp.exp(z) - y * z + (xlogy(y, y) - y if constants else 0))


def gamma_deviance(y, mu, half):
    return (2 - half) * (LN(mu / y) + y / mu - 1)


def gamma_loss(y, z, half, constants):
    return (2 - half) * (z + y * mp.exp(-z) - (LN(y) + 1 if constants else 0))


def tweedie_terms(y, mu, power):
    return mu ** (2 - power) / (2 - power) - y * mu ** (1 - power) / (1 - power)


def tweedie_constant(y, power):
    return y ** (2 - power) / ((1 - power) * (2 - power)) if y else mpf(0)


def tweedie_deviance(y, mu, power, half):
    return (2 - half) * (tweedie_terms(y, mu, power) + tweedie_constant(y, power))


def tweedie_loss(y, z, power, half, constants):
    return (2 - half) * (tweedie_terms(y, mp.exp(z), power) + (tweedie_constant(y, power) if constants else 0))


def expectile(y, p, alpha):
    return (alpha if y >= p else 1 - alpha) * (p - y) ** 2


def mape(y, p, floor, percent):
    size = max(abs(y), floor)
    return percent * abs(p - y) / size if size else mp.nan if p == y else mp.inf


def smape(y, p, percent):
    return percent * 2 * abs(p - y) / (abs(y) + abs(p)) if y or p else mpf(0)


VALUES = {
    "squared_error": lambda y, p: (p - y) ** 2,
    "half_squared_error": lambda y, p: (p - y) ** 2 / 2,
    "absolute_error": lambda y, p: abs(p - y),
    "huber": lambda y, p, delta: (p - y) ** 2 / 2 if abs(p - y) <= delta else delta * (abs(p - y) - delta / 2),
    "smooth_l1": lambda y, p, beta: (p - y) ** 2 / (2 * beta) if abs(p - y) < beta else abs(p - y) - beta / 2,
    "pseudo_huber": lambda y, p, delta: delta**2 * (mp.sqrt(1 + ((p - y) / delta) ** 2) - 1),
    "log_cosh": lambda y, p: softplus(2 * abs(p - y)) - abs(p - y) - LN(2),
    "pinball": lambda y, p, quantile: quantile * (y - p) if y >= p else (1 - quantile) * (p - y),
    "expectile": expectile,
    "fair": lambda y, p, c: c**2 * (abs(p - y) / c - LN(1 + abs(p - y) / c)),
    "lq": lambda y, p, q: abs(p - y) ** q,
    "squared_log_error": lambda y, p: (LN(1 + p) - LN(1 + y)) ** 2,
    "absolute_percentage_error": mape,
    "symmetric_absolute_percentage_error": smape,
    "log_loss": log_loss,
    "logistic": logistic,
    "exponential": lambda y, z: mp.exp(-y * z),
    "soft_margin": lambda y, z: softplus(-y * z),
    "hinge": lambda y, z: max(mpf(0), 1 - y * z),
    "squared_hinge": lambda y, z: max(mpf(0), 1 - y * z) ** 2,
    "perceptron": lambda y, z: max(mpf(0), -y * z),
    "brier": lambda y, p: (p - y) ** 2,
    "focal": focal,
    "focal_probability": focal_probability,
    "zero_one": lambda y, p, threshold: mpf(int((p > threshold) != (y == 1))),
    "poisson_deviance": poisson_deviance,
    "poisson_loss": poisson_loss,
    "gamma_deviance": gamma_deviance,
    "gamma_loss": gamma_loss,
    "tweedie_deviance": tweedie_deviance,
    "tweedie_loss": tweedie_loss,
}

# The larger of the terms that a loss by definition subtracts, where no float64 formula can keep more than an absolute accuracy: the
# log link's difference exp(z) - y, whose exact zero lies between two doubles. float32 computes these in float64 and is exempt.
# {name: {part: f(y, p, *parameters) -> size of the larger term}}
TERMS = {
    "poisson_loss": {
        "value": lambda y, z, half, constants: (2 - half) * max(mp.exp(z), abs(y * z), abs(xlogy(y, y)) if constants else 0),
        "gradient": lambda y, z, half, constants: (2 - half) * max(mp.exp(z), y),
    },
    "gamma_loss": {
        "value": lambda y, z, half, constants: (2 - half) * max(abs(z), y * mp.exp(-z), abs(LN(y)) if constants else 0),
        "gradient": lambda y, z, half, constants: (2 - half) * max(mpf(1), y * mp.exp(-z)),
    },
    "tweedie_loss": {
        "value": lambda y, z, power, half, constants: (
            (2 - half) * (tweedie_terms(y, mp.exp(z), power) + abs(tweedie_constant(y, power)) * bool(constants))
        ),
        "gradient": lambda y, z, power, half, constants: (2 - half) * mp.exp((1 - power) * z) * max(mp.exp(z), y),
    },
    "logistic": {
        "gradient": lambda y, z, pos_weight, label_smoothing: max(sigma(z), pos_weight * sigma(-z)) if label_smoothing or 0 < y < 1 else 0
    },
    "squared_log_error": {"hessian": lambda y, p: 2 * max(1, abs(LN((1 + p) / (1 + y)))) / (1 + p) ** 2},
    "gamma_deviance": {"hessian": lambda y, mu, half: (2 - half) * max(2 * y, mu) / mu**3},
    "tweedie_deviance": {"hessian": lambda y, mu, power, half: (2 - half) * mu**-power * max(power * y / mu, power - 1)},
    "focal": {
        "hessian": lambda y, z, gamma, alpha: (
            3
            * (1 + gamma) ** 2
            * sigma(z)
            * sigma(-z)
            * weight_of_class(y, alpha)
            * softplus(-z if y == 1 else z)
            * mp.exp(-gamma * softplus(z if y == 1 else -z))
        )
    },
}
