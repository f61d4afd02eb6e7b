"""Tweedie deviances of sklearn.metrics: of the powers 0 (normal), 1 (Poisson), between (compound) and 2 (gamma) by our losses, of others
by NumPy's powers."""

from numbers import Real

import numpy as np

import fastloss as fl
from fastloss.adapters.metrics import checks
from fastloss.adapters.metrics.regression import GAMMA, POISSON, SQUARED, single

POWERS = "a float in the range (-inf, 0.0] or a float in the range [1.0, inf)"
ALLOWED = "non-negative y and strictly positive y_pred."


def loss_of(power):
    """Our loss of this power, or None."""
    exact = {0: SQUARED, 1: POISSON, 2: GAMMA}.get(power)
    return exact or (fl.TweedieDeviance(power) if 1 < power < 2 else None)


def power_of(function, power):
    if not isinstance(power, Real) or not (power <= 0 or power >= 1):
        raise checks.invalid(function, "power", POWERS, power)
    return power


def general(y, mu, power):
    """Deviances for powers below 0 and above 2, as scikit-learn computes them; float64."""
    y, mu = np.asarray(y, np.float64), np.asarray(mu, np.float64)
    a, b = 2 - power, 1 - power
    first = np.where(y > 0, y, 0.0) if power < 0 else y
    return 2 * (np.power(first, a) / (a * b) - y * np.power(mu, b) / b + np.power(mu, a) / a)


def deviance(y, mu, w, power):
    """The mean deviance of checked arrays (mu: or a number) whose values are in the power's domain; what is not: ValueError."""
    message = f"Mean Tweedie deviance error with power={power} can only be used on "
    loss = loss_of(power)
    if loss is None:
        if np.any(mu <= 0) or (power > 2 and np.any(y <= 0)):
            raise ValueError(message + ("strictly positive y_pred." if power < 0 else "strictly positive y and y_pred."))
        return checks.average(general(y, mu, power), w)
    try:
        return checks.cost(loss, y, mu, w)
    except fl.InputError as error:
        raise ValueError(f"{message}{ALLOWED if power < 2 else 'strictly positive y and y_pred.'} ({error})") from error


def checked(function, y_true, y_pred, sample_weight, power):
    checks.array_likes(function, {"y_true": y_true, "y_pred": y_pred}, sample_weight)
    return deviance(*single("mean_tweedie_deviance", y_true, y_pred, sample_weight), power)


def mean_tweedie_deviance(y_true, y_pred, *, sample_weight=None, power=0):
    """Mean Tweedie deviance of a power <= 0 or >= 1, as sklearn.metrics.mean_tweedie_deviance.

    >>> mean_tweedie_deviance([2, 0, 1, 4], [0.5, 0.5, 2.0, 2.0], power=1)
    1.4260...
    """
    loss = loss_of(power_of("mean_tweedie_deviance", power))
    if loss is not None and (cost := checks.quick(loss, y_true, y_pred, sample_weight)) is not None:
        return cost
    return checked("mean_tweedie_deviance", y_true, y_pred, sample_weight, power)


def mean_poisson_deviance(y_true, y_pred, *, sample_weight=None):
    """Mean of 2 (y log(y / mu) - y + mu), y >= 0 and mu > 0, as sklearn.metrics.mean_poisson_deviance; accurate also near y = mu.

    >>> mean_poisson_deviance([2, 0, 1, 4], [0.5, 0.5, 2.0, 2.0])
    1.4260...
    """
    cost = checks.quick(POISSON, y_true, y_pred, sample_weight)
    return checked("mean_poisson_deviance", y_true, y_pred, sample_weight, 1) if cost is None else cost


def mean_gamma_deviance(y_true, y_pred, *, sample_weight=None):
    """Mean of 2 (log(mu / y) + y / mu - 1), both > 0, as sklearn.metrics.mean_gamma_deviance; accurate also near y = mu.

    >>> mean_gamma_deviance([2, 0.5, 1, 4], [0.5, 0.5, 2.0, 2.0])
    1.0568...
    """
    cost = checks.quick(GAMMA, y_true, y_pred, sample_weight)
    return checked("mean_gamma_deviance", y_true, y_pred, sample_weight, 2) if cost is None else cost
