"""The scores of sklearn.metrics that are 1 minus a ratio of costs: R2, explained variance, and the D2 of other losses."""

import warnings

import numpy as np

import fastloss as fl
from fastloss.adapters.metrics import checks
from fastloss.adapters.metrics.deviances import deviance, general, power_of
from fastloss.adapters.metrics.regression import SQUARED, multioutput_of, pinball, quantile, single, targets

WORDS = ("raw_values", "uniform_average", "variance_weighted")
PIECE = 1 << 18
ABOVE, BELOW = fl.Pinball(1.0), fl.Pinball(0.0)


def too_few(y_pred, name):
    """Is it a single sample? Then there is a warning, and no score."""
    if checks.n_samples(y_pred) >= 2:
        return False
    warnings.warn(f"{name} score is not well-defined with less than two samples.", checks.undefined(), stacklevel=3)
    return True


def mean_difference(y, p, w):
    """The mean of y - p, without keeping the differences: what is above less what is below, each correctly rounded."""
    return checks.cost(ABOVE, y, p, w) - checks.cost(BELOW, y, p, w)


def variance_of_difference(y, p, w):
    """The mean of (d - mean d)**2, d = y - p, a piece at a time."""
    mean = mean_difference(np.asarray(y, np.float64), p, w)  # of the differences below, which float32 would round
    if w is not None and w.dtype.kind not in "bu" and (w < 0).any():
        return checks.average((np.subtract(y, p, dtype=np.float64) - mean) ** 2, w)
    state = fl.State(SQUARED)
    for at in range(0, len(y), PIECE):
        piece = slice(at, at + PIECE)
        difference = np.subtract(y[piece], p[piece], dtype=np.float64)
        state.update(difference, np.full(len(difference), mean), sample_weight=None if w is None else w[piece])
    return state.compute()


def assembled(numerator, denominator, multioutput, force_finite=True):
    """1 - numerator / denominator of each output, combined; a constant target: 1 if there is no error, else 0."""
    numerator, denominator = np.asarray(numerator), np.asarray(denominator)
    scores = np.ones(len(numerator))
    with np.errstate(divide="ignore" if force_finite else "warn", invalid="ignore" if force_finite else "warn"):
        ratios = 1 - numerator / denominator
    if force_finite:
        valid = (denominator != 0) & (numerator != 0)
        scores[valid] = ratios[valid]
        scores[(numerator != 0) & (denominator == 0)] = 0.0
    else:
        scores = ratios
    if isinstance(multioutput, str):
        if multioutput == "raw_values":
            return scores
        weighted = multioutput == "variance_weighted" and (denominator != 0).any()
        multioutput = denominator if weighted else None
    return float(np.average(scores, weights=multioutput))


def boolean(function, force_finite):
    return checks.boolean(function, "force_finite", force_finite)


def r2_score(y_true, y_pred, *, sample_weight=None, multioutput="uniform_average", force_finite=True):
    """R2, 1 - the squared error over that of the mean, as sklearn.metrics.r2_score. The mean of a constant target is that constant, so
    that its score is what ``force_finite`` says.

    >>> r2_score([3, -0.5, 2, 7], [2.5, 0.0, 2, 8])
    0.9486...
    """
    checks.array_likes("r2_score", {"y_true": y_true, "y_pred": y_pred}, sample_weight)
    multioutput = multioutput_of("r2_score", multioutput, (*WORDS, None))
    force_finite = boolean("r2_score", force_finite)
    y, p, w, multioutput = targets(y_true, y_pred, sample_weight, multioutput)
    if too_few(y_pred, "R^2"):
        return float("nan")
    outputs = range(y.shape[1])
    errors = [checks.cost(SQUARED, y[:, k], p[:, k], w) for k in outputs]
    spread = [checks.cost(SQUARED, y[:, k], mean_difference(y[:, k], 0.0, w), w) for k in outputs]
    return assembled(errors, spread, multioutput, force_finite)


def explained_variance_score(y_true, y_pred, *, sample_weight=None, multioutput="uniform_average", force_finite=True):
    """1 - the variance of the error over that of the target, as sklearn.metrics.explained_variance_score.

    >>> explained_variance_score([3, -0.5, 2, 7], [2.5, 0.0, 2, 8])
    0.9571...
    """
    checks.array_likes("explained_variance_score", {"y_true": y_true, "y_pred": y_pred}, sample_weight)
    multioutput = multioutput_of("explained_variance_score", multioutput, WORDS)
    force_finite = boolean("explained_variance_score", force_finite)
    y, p, w, multioutput = targets(y_true, y_pred, sample_weight, multioutput)
    outputs = range(y.shape[1])
    errors = [variance_of_difference(y[:, k], p[:, k], w) for k in outputs]
    spread = [checks.cost(SQUARED, y[:, k], mean_difference(y[:, k], 0.0, w), w) for k in outputs]
    return assembled(errors, spread, multioutput, force_finite)


def d2_tweedie_score(y_true, y_pred, *, sample_weight=None, power=0):
    """1 - the Tweedie deviance over that of the mean, as sklearn.metrics.d2_tweedie_score.

    >>> d2_tweedie_score([0.5, 1, 2.5, 7], [1, 1, 5, 3.5], power=1)
    0.4879...
    """
    checks.array_likes("d2_tweedie_score", {"y_true": y_true, "y_pred": y_pred}, sample_weight)
    power_of("d2_tweedie_score", power)
    y, p, w = single("d2_tweedie_score", y_true, y_pred, sample_weight)
    if too_few(y_pred, "D^2"):
        return float("nan")
    numerator, mean = deviance(y, p, w, power), mean_difference(y, 0.0, w)
    if mean == 0 and 1 <= power < 2:  # nothing but 0, of which no mean > 0 is the best
        denominator = 0.0 if power == 1 else float("nan")
    elif power < 0:  # as scikit-learn has it: a mean that is no prediction gives what the formula gives
        denominator = checks.average(general(y, mean, power), w)
    else:
        denominator = deviance(y, mean, w, power)
    return 1 - numerator / denominator  # ZeroDivisionError where the mean is as good as it gets


def d2_pinball_score(y_true, y_pred, *, sample_weight=None, alpha=0.5, multioutput="uniform_average"):
    """1 - the pinball loss over that of the target's own quantile alpha, as sklearn.metrics.d2_pinball_score.

    >>> d2_pinball_score([1, 2, 3], [1, 3, 3], alpha=0.9)
    0.6666...
    """
    return _d2_pinball("d2_pinball_score", y_true, y_pred, sample_weight, alpha, multioutput)


def d2_absolute_error_score(y_true, y_pred, *, sample_weight=None, multioutput="uniform_average"):
    """1 - the absolute error over that of the target's median, as sklearn.metrics.d2_absolute_error_score.

    >>> d2_absolute_error_score([3, -0.5, 2, 7], [2.5, 0.0, 2, 8])
    0.7647...
    """
    return _d2_pinball("d2_absolute_error_score", y_true, y_pred, sample_weight, 0.5, multioutput)


def _d2_pinball(function, y_true, y_pred, sample_weight, alpha, multioutput):
    checks.array_likes(function, {"y_true": y_true, "y_pred": y_pred}, sample_weight)
    multioutput = multioutput_of(function, multioutput)
    loss = pinball(function, alpha)
    y, p, w, multioutput = targets(y_true, y_pred, sample_weight, multioutput)
    if too_few(y_pred, "D^2"):
        return float("nan")
    outputs, shares = range(y.shape[1]), np.ones(len(y)) if w is None else w
    errors = [checks.cost(loss, y[:, k], p[:, k], w) for k in outputs]
    spread = [checks.cost(loss, y[:, k], float(quantile(y[:, k], shares, alpha)), w) for k in outputs]
    return assembled(errors, spread, multioutput)
