"""What scikit-learn's metrics check of their arguments, with its exceptions and its words, but without scikit-learn.

Functions try the loss on what they were given first: where that gives a finite cost, nothing here has anything to find.
"""

import math
import sys
from numbers import Real

import numpy as np


class InvalidParameterError(ValueError, TypeError):
    """A parameter that is not what it must be: scikit-learn's class of this name is raised instead where scikit-learn is loaded."""


class UndefinedMetricWarning(UserWarning):
    """A metric has no value for such data: scikit-learn's class of this name is warned with instead where scikit-learn is loaded."""


def hosts(module, ours):
    """The host's class of the same name, if it is loaded already, so that ``except`` and filters written for it work; else ours."""
    return getattr(sys.modules.get(module), ours.__name__, ours)


def invalid(function, name, allowed, value):
    error = hosts("sklearn.utils._param_validation", InvalidParameterError)
    return error(f"The {name!r} parameter of {function} must be {allowed}. Got {value!r} instead.")


def undefined():
    return hosts("sklearn.exceptions", UndefinedMetricWarning)


def is_sparse(value):
    return hasattr(value, "tocsr") and hasattr(value, "nnz")


def is_array_like(value):
    return not np.isscalar(value) and not is_sparse(value) and any(hasattr(value, name) for name in ("__len__", "shape", "__array__"))


def array_likes(function, required, sample_weight=None, **optional):
    """Arguments that must be array-like, and those that may be None."""
    for name, value in required.items():
        if not is_array_like(value):
            raise invalid(function, name, "an array-like", value)
    for name, value in {"sample_weight": sample_weight, **optional}.items():
        if value is not None and not is_array_like(value):
            raise invalid(function, name, "an array-like or None", value)


def boolean(function, name, value):
    if not isinstance(value, bool | np.bool_):
        raise invalid(function, name, "an instance of 'bool' or an instance of 'numpy.bool'", value)
    return bool(value)


def real_in(function, name, value, allowed, text):
    if not isinstance(value, Real) or not allowed(value):
        raise invalid(function, name, text, value)
    return float(value)


def n_samples(value):
    shape = getattr(value, "shape", None)
    if shape == ():
        raise TypeError(f"Input should have at least 1 dimension i.e. satisfy `len(x.shape) > 0`, got scalar `{value!r}` instead.")
    try:
        return shape[0] if shape else len(value)
    except TypeError as error:
        raise TypeError(f"Expected sequence or array-like, got {type(value)}") from error


def same_length(*arrays):
    lengths = [int(n_samples(array)) for array in arrays if array is not None]
    if len(set(lengths)) > 1:
        raise ValueError(f"Found input variables with inconsistent numbers of samples: {lengths}")


def numeric(value, name=""):
    """An array of numbers, of one dimension or two, finite, and not empty. Types that the engine takes are left as they are."""
    array = np.asarray(value)
    if not array.ndim:
        n_samples(array)
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported\n{array}\n")
    if array.dtype.kind == "O" and hasattr(value, "to_numpy"):  # a column with missing values of pandas' own kind
        try:
            array = value.to_numpy(dtype="float64", na_value=np.nan)
        except TypeError:  # a table, or not pandas'
            array = array.astype(np.float64)
    elif array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    if array.ndim > 2:
        raise ValueError(f"Found array with dim {array.ndim}, while dim <= 2 is required.")
    for axis, what in enumerate(("sample", "feature")[: array.ndim]):
        if not array.shape[axis]:
            raise ValueError(f"Found array with 0 {what}(s) (shape={array.shape}) while a minimum of 1 is required.")
    finite(array, name)
    return array


def finite(array, name=""):
    if array.dtype.kind != "f":
        return
    with np.errstate(over="ignore", invalid="ignore"):
        if math.isfinite(array.sum(dtype=np.float32 if array.dtype.itemsize == 2 else None)):
            return
    found = f"Input {name} contains" if name else "Input contains"
    if np.isnan(array).any():
        raise ValueError(f"{found} NaN.")
    if np.isinf(array).any():
        raise ValueError(f"{found} infinity or a value too large for {array.dtype!r}.")


def weights(sample_weight, n):
    """A finite array of n numbers, not all 0; or None."""
    if sample_weight is None:
        return None
    array = numeric(sample_weight, "sample_weight")
    if array.ndim != 1:
        what = f"Expected either a scalar value or a 1D array of length {n}."
        raise ValueError(f"Sample weights must be 1D array or scalar, got {array.ndim}D array. {what}")
    if not array.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return array


def column(array, name="y"):
    """An array of n elements, of one that may be a column."""
    if array.ndim == 2 and array.shape[1] == 1:
        return array.reshape(-1)
    if array.ndim != 1:
        raise ValueError(f"{name} should be a 1d array, got an array of shape {array.shape} instead.")
    return array


def quick(loss, y_true, y_pred, sample_weight):
    """The cost of plain arrays of one dimension, if it is finite: then so is all that went into it. None: it takes a closer look."""
    if type(y_true) is not np.ndarray or type(y_pred) is not np.ndarray or y_pred.ndim != 1 or y_true.ndim != 1:
        return None
    if sample_weight is not None and (type(sample_weight) is not np.ndarray or sample_weight.ndim != 1):
        return None
    try:
        cost = loss(y_true, y_pred, sample_weight)
    except (ValueError, TypeError):  # who is to blame is found out later, and said in the host's words
        return None
    return cost if cost - cost == 0.0 else None


def cost(loss, y_true, y_pred, sample_weight=None, total=False):
    """The mean or the sum of a configured loss; weights below 0, which scikit-learn lets pass, go through NumPy."""
    if sample_weight is None or sample_weight.dtype.kind in "bu" or not (sample_weight < 0).any():
        return loss(y_true, y_pred, sample_weight, reduction="sum" if total else "mean")
    return average(loss.loss(y_true, y_pred), sample_weight, total)


def average(losses, sample_weight=None, total=False):
    """Of an array of losses; ZeroDivisionError where the weights sum to 0, as NumPy has it."""
    losses = np.asarray(losses, np.float64)
    if total:
        return float(losses.sum() if sample_weight is None else losses @ sample_weight)
    return float(np.average(losses, weights=sample_weight))
