"""The regression losses of sklearn.metrics: its signatures, exceptions and results. Costs are float64, and correctly rounded, throughout.

Arrays are (n,) or (n, outputs). Where the first call, of the loss on what was given, has a finite result, it is the answer.
"""

import numpy as np

import fastloss as fl
from fastloss.adapters.metrics import checks

UNIFORM = "uniform_average"
PLAIN = ("raw_values", UNIFORM)
SQUARED, ABSOLUTE, LOG, PERCENTAGE = fl.SquaredError(), fl.AbsoluteError(), fl.SquaredLogError(), fl.AbsolutePercentageError("sklearn")
ROOT, ROOT_LOG, MEDIAN = fl.RootMeanSquaredError(), fl.RootMeanSquaredLogError(), fl.Pinball()
POISSON, GAMMA = fl.PoissonDeviance(), fl.GammaDeviance()
BELOW = "cannot be used when targets contain values less than or equal to -1."


def multioutput_of(function, multioutput, words=PLAIN):
    """A word, None, or an array of weights; else an error."""
    if isinstance(multioutput, str) and multioutput in words:
        return multioutput
    if not checks.is_array_like(multioutput) and not (multioutput is None and len(words) == 4):
        among = f"a str among {{{', '.join(sorted(repr(word) for word in words if word))}}}"
        allowed = f"{among}, an array-like or None" if None in words else f"{among} or an array-like"
        raise checks.invalid(function, "multioutput", allowed, multioutput)
    return multioutput


def targets(y_true, y_pred, sample_weight=None, multioutput=None):
    """(y, p, weights, multioutput), checked; y and p are (n, outputs)."""
    checks.same_length(y_true, y_pred, sample_weight)
    y, p = checks.numeric(y_true), checks.numeric(y_pred)
    w = checks.weights(sample_weight, len(y))
    y, p = (array.reshape(-1, 1) if array.ndim == 1 else array for array in (y, p))
    outputs = y.shape[1]
    if outputs != p.shape[1]:
        raise ValueError(f"y_true and y_pred have different number of output ({outputs}!={p.shape[1]})")
    if multioutput is not None and not isinstance(multioutput, str):
        multioutput = checks.numeric(multioutput)
        if outputs == 1:
            raise ValueError("Custom weights are useful only in multi-output cases.")
        if len(multioutput) != outputs:
            raise ValueError(f"There must be equally many custom weights ({len(multioutput)}) as outputs ({outputs}).")
    return y, p, w, multioutput


def single(function, y_true, y_pred, sample_weight):
    """(y, p, weights) of one output, as arrays of one dimension."""
    y, p, w, _ = targets(y_true, y_pred, sample_weight)
    if y.shape[1] > 1:
        raise ValueError(f"Multioutput not supported in {function}")
    return y[:, 0], p[:, 0], w


def combined(values, multioutput):
    """What is returned of the costs of each output."""
    values = np.asarray(values, np.float64)
    if isinstance(multioutput, str):
        return values if multioutput == "raw_values" else float(np.average(values))
    return float(np.average(values, weights=multioutput))


def by_output(function, loss, y_true, y_pred, sample_weight, multioutput, refused="", each=checks.cost):
    """The costs of the outputs, combined. refused: what is said of values outside the loss's domain."""
    checks.array_likes(function, {"y_true": y_true, "y_pred": y_pred}, sample_weight)
    multioutput = multioutput_of(function, multioutput)
    y, p, w, multioutput = targets(y_true, y_pred, sample_weight, multioutput)
    try:
        return combined([each(loss, y[:, k], p[:, k], w) for k in range(y.shape[1])], multioutput)
    except fl.InputError as error:
        raise ValueError(f"{refused} ({error})") from error


def mean_squared_error(y_true, y_pred, *, sample_weight=None, multioutput="uniform_average"):
    """Mean of (y_true - y_pred)**2: a float, or with multioutput="raw_values" an array of one per output. The arguments and exceptions are
    sklearn.metrics.mean_squared_error's.

    >>> mean_squared_error([3, -0.5, 2, 7], [2.5, 0.0, 2, 8])
    0.375
    >>> mean_squared_error([[0.5, 1], [-1, 1], [7, -6]], [[0, 2], [-1, 2], [8, -5]], multioutput="raw_values")
    array([0.41666667, 1.        ])
    """
    if multioutput is UNIFORM and (cost := checks.quick(SQUARED, y_true, y_pred, sample_weight)) is not None:
        return cost
    return by_output("mean_squared_error", SQUARED, y_true, y_pred, sample_weight, multioutput)


def root_mean_squared_error(y_true, y_pred, *, sample_weight=None, multioutput="uniform_average"):
    """The square root of the mean squared error of each output, as sklearn.metrics.root_mean_squared_error.

    >>> root_mean_squared_error([3, -0.5, 2, 7], [2.5, 0.0, 2, 8])
    0.6123724356957945
    """
    if multioutput is UNIFORM and (cost := checks.quick(ROOT, y_true, y_pred, sample_weight)) is not None:
        return cost
    if not isinstance(multioutput, str) and checks.is_array_like(multioutput):  # scikit-learn takes those of one output here, too
        each = by_output("root_mean_squared_error", SQUARED, y_true, y_pred, sample_weight, "raw_values", each=_root)
        weights = checks.numeric(multioutput)
        if len(weights) != len(each):  # a TypeError of NumPy's there, a ValueError elsewhere: this is both
            raise checks.InvalidParameterError(f"There must be equally many custom weights ({len(weights)}) as outputs ({len(each)}).")
        return combined(each, weights)
    return by_output("root_mean_squared_error", SQUARED, y_true, y_pred, sample_weight, multioutput, each=_root)


def _root(loss, y, p, w):
    with np.errstate(invalid="ignore"):  # a mean below 0, of negative weights, has none: NaN, as in scikit-learn
        return np.sqrt(checks.cost(loss, y, p, w))


def mean_absolute_error(y_true, y_pred, *, sample_weight=None, multioutput="uniform_average"):
    """Mean of |y_true - y_pred|, as sklearn.metrics.mean_absolute_error.

    >>> mean_absolute_error([3, -0.5, 2, 7], [2.5, 0.0, 2, 8])
    0.5
    """
    if multioutput is UNIFORM and (cost := checks.quick(ABSOLUTE, y_true, y_pred, sample_weight)) is not None:
        return cost
    return by_output("mean_absolute_error", ABSOLUTE, y_true, y_pred, sample_weight, multioutput)


def mean_absolute_percentage_error(y_true, y_pred, *, sample_weight=None, multioutput="uniform_average"):
    """Mean of |y_true - y_pred| / max(|y_true|, 2**-52), a fraction, as sklearn.metrics.mean_absolute_percentage_error.

    >>> mean_absolute_percentage_error([1, 10, 1e6], [0.9, 15, 1.2e6])
    0.26666666666666666
    """
    if multioutput is UNIFORM and (cost := checks.quick(PERCENTAGE, y_true, y_pred, sample_weight)) is not None:
        return cost
    return by_output("mean_absolute_percentage_error", PERCENTAGE, y_true, y_pred, sample_weight, multioutput)


def mean_squared_log_error(y_true, y_pred, *, sample_weight=None, multioutput="uniform_average"):
    """Mean of (log(1 + y_true) - log(1 + y_pred))**2, as sklearn.metrics.mean_squared_log_error. Values of -1 or less: ValueError.

    >>> mean_squared_log_error([3, 5, 2.5, 7], [2.5, 5, 4, 8])
    0.0397...
    """
    if multioutput is UNIFORM and (cost := checks.quick(LOG, y_true, y_pred, sample_weight)) is not None:
        return cost
    refused = f"Mean Squared Logarithmic Error {BELOW}"
    return by_output("mean_squared_log_error", LOG, y_true, y_pred, sample_weight, multioutput, refused)


def root_mean_squared_log_error(y_true, y_pred, *, sample_weight=None, multioutput="uniform_average"):
    """The square root of the mean squared log error of each output, as sklearn.metrics.root_mean_squared_log_error.

    >>> root_mean_squared_log_error([3, 5, 2.5, 7], [2.5, 5, 4, 8])
    0.1993...
    """
    if multioutput is UNIFORM and (cost := checks.quick(ROOT_LOG, y_true, y_pred, sample_weight)) is not None:
        return cost
    refused = f"Root Mean Squared Logarithmic Error {BELOW}"
    return by_output("root_mean_squared_log_error", LOG, y_true, y_pred, sample_weight, multioutput, refused, _root)


def pinball(function, alpha):
    """The loss of a quantile, checked."""
    alpha = checks.real_in(function, "alpha", alpha, lambda a: 0 <= a <= 1, "a float in the range [0.0, 1.0]")
    return MEDIAN if alpha == 0.5 else fl.Pinball(alpha)


def mean_pinball_loss(y_true, y_pred, *, sample_weight=None, alpha=0.5, multioutput="uniform_average"):
    """Mean pinball loss of the quantile alpha, in [0, 1], as sklearn.metrics.mean_pinball_loss.

    >>> mean_pinball_loss([1, 2, 3], [0, 2, 3], alpha=0.9)
    0.3
    """
    loss = MEDIAN if alpha is HALF else pinball("mean_pinball_loss", alpha)
    if multioutput is UNIFORM and (cost := checks.quick(loss, y_true, y_pred, sample_weight)) is not None:
        return cost
    return by_output("mean_pinball_loss", loss, y_true, y_pred, sample_weight, multioutput)


HALF = mean_pinball_loss.__kwdefaults__["alpha"]


def median_absolute_error(y_true, y_pred, *, multioutput="uniform_average", sample_weight=None):
    """Median of |y_true - y_pred|, as sklearn.metrics.median_absolute_error: of an even number the mean of the middle two, and with
    weights the point from which on they make half of their sum, likewise. No mean, hence by NumPy's selection.

    >>> median_absolute_error([3, -0.5, 2, 7], [2.5, 0.0, 2, 8])
    0.5
    """
    checks.array_likes("median_absolute_error", {"y_true": y_true, "y_pred": y_pred}, sample_weight)
    multioutput = multioutput_of("median_absolute_error", multioutput)
    y, p, w, multioutput = targets(y_true, y_pred, sample_weight, multioutput)
    errors = [ABSOLUTE.loss(y[:, k], p[:, k]) for k in range(y.shape[1])]
    return combined([np.median(error) if w is None else quantile(error, w, 0.5) for error in errors], multioutput)


def quantile(values, weights, level):
    """scikit-learn's averaged quantile of weighted values: the least value up to which the weights make at least the share ``level``;
    halfway to the next one that has a weight, if they make just that. NaN if no weight is left."""
    order = np.argsort(values, kind="stable")
    values, shares = values[order], np.cumsum(weights[order], dtype=np.float64)
    wanted = level * shares[-1]
    wanted = np.nextafter(wanted, wanted + 1) if wanted == 0 else wanted
    last = len(values) - 1
    at = min(int(np.searchsorted(shares, wanted)), last)
    if shares[at] - wanted > np.finfo(values.dtype if values.dtype.kind == "f" else np.float64).eps:
        return values[at]
    after = min(int(np.searchsorted(shares, shares[at], side="right")), last)
    return (values[at] + values[after]) / 2


def max_error(y_true, y_pred):
    """The largest |y_true - y_pred|, as sklearn.metrics.max_error; of one output.

    >>> max_error([3, 2, 7, 1], [4, 2, 7, 1])
    1.0
    """
    checks.array_likes("max_error", {"y_true": y_true, "y_pred": y_pred})
    y, p, _ = single("max_error", y_true, y_pred, None)
    step = 1 << 18  # the errors are not kept
    return float(max(ABSOLUTE.loss(y[at : at + step], p[at : at + step]).max() for at in range(0, len(y), step)))
