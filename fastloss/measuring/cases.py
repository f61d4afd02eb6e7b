"""What is timed: every loss of the registry, with which parameters, on which data."""

import functools

import numpy as np

from fastloss.engine.specs import class_of
from fastloss.losses import find
from fastloss.losses.spec import ABOVE_MINUS_ONE, NONNEGATIVE, POSITIVE, REAL, SIGN, UNIT, ZERO_ONE, Integers, Interval

DTYPES = ("float32", "float64")
HALF_DTYPES = ("float16", "bfloat16")

# Where a default is a special case that a library might short-cut (half the absolute error, a square), a value that is none.
PARAMETERS = {"pinball": {"quantile": 0.9}, "expectile": {"alpha": 0.9}, "lq": {"q": 1.5}}


@functools.cache
def configured(name):
    """The configured loss of a registry name, as all benchmarks use it."""
    definition = find(name)
    return class_of(definition)(**PARAMETERS.get(definition.name, {}))


# Every array is made in its dtype and changed in place: at 2**25 samples temporaries are felt.


def _normal(rng, n, dtype, scale):
    array = rng.standard_normal(n, dtype=dtype)
    array *= dtype.type(scale)
    return array


def _labels(low):
    def make(rng, n, dtype):
        array = rng.integers(0, 2, n, dtype=np.int8).astype(dtype)
        return array if low == 0.0 else 2 * array - 1

    return make


def _amounts(rng, n, dtype):
    array = _normal(rng, n, dtype, 0.5)
    return np.exp(array, out=array)


def _counts(rng, n, dtype):
    """Whole numbers from 0: about a third are 0."""
    array = rng.standard_exponential(n, dtype=dtype)
    array *= dtype.type(2.5)
    return np.floor(array, out=array)


def _spread(rng, n, dtype):
    return rng.standard_exponential(n, dtype=dtype)


def _probabilities(rng, n, dtype):
    """Within [0.001, 0.999], where every library's clipping is the same: none."""
    array = rng.random(n, dtype=dtype)
    array *= dtype.type(0.998)
    array += dtype.type(0.001)
    return array


def _reals(rng, n, dtype):
    return _normal(rng, n, dtype, 2.0)


TARGETS = {
    REAL: _reals, NONNEGATIVE: _counts, POSITIVE: _amounts, ABOVE_MINUS_ONE: _spread,
    UNIT: _labels(0.0), ZERO_ONE: _labels(0.0), SIGN: _labels(-1.0),
}  # fmt: skip
PREDICTIONS = {REAL: _reals, POSITIVE: _amounts, ABOVE_MINUS_ONE: _spread, UNIT: _probabilities}


def _within(domain):
    """Of a domain that is none of these: own losses have any."""

    def make(rng, n, dtype):
        if not isinstance(domain, Interval):
            return rng.choice(np.asarray(domain.values, dtype), n)
        if np.isfinite(domain.low) and np.isfinite(domain.high):
            array = domain.low + (domain.high - domain.low) * _probabilities(rng, n, dtype)
        elif np.isfinite(domain.low):
            array = domain.low + 2.5 * _spread(rng, n, dtype)
        else:
            array = domain.high - 2.5 * _spread(rng, n, dtype) if np.isfinite(domain.high) else _reals(rng, n, dtype)
        return np.ceil(array) if isinstance(domain, Integers) else array

    return make


def named(dtype):
    """The NumPy dtype of a name; bfloat16 is that of ml_dtypes."""
    if dtype == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(dtype)


def _unequal(y, p):
    p[p == y] += p.dtype.type(0.5)


def _halved(definition, y, p, dtype):
    """float32 data in half precision, in which probabilities near 1 would be 1."""
    if definition.prediction is UNIT:
        np.clip(p, 0.01, 0.99, out=p)
    y, p = y.astype(dtype), p.astype(dtype)
    if definition.target is REAL and definition.prediction is REAL:
        _unequal(y, p)
    return y, p


def data(name, n, dtype, seed=0):
    """(y, p): contiguous arrays of n samples in a loss's domains.

    About half of the errors are within 1. No error is exactly 0, because there libraries differ in the
    gradient. UNIT targets are hard labels, all that some rivals take.
    """
    definition, dtype, rng = find(name), named(dtype), np.random.default_rng(seed)
    if dtype.itemsize == 2:
        return _halved(definition, *data(name, n, "float32", seed), dtype)
    y = (TARGETS.get(definition.target) or _within(definition.target))(rng, n, dtype)
    if definition.target is REAL and definition.prediction is REAL:
        p = _normal(rng, n, dtype, 1.5)
        p += y
        _unequal(y, p)
    else:
        p = (PREDICTIONS.get(definition.prediction) or _within(definition.prediction))(rng, n, dtype)
    return y, p


def weights(n, dtype, seed=1):
    return np.random.default_rng(seed).random(n, dtype=np.dtype(dtype)) + np.dtype(dtype).type(0.5)
