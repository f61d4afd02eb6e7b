"""Data for the tests of boosters, and what all three are tested with."""

import functools
import pickle
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

import fastloss as fl

ULP32 = 2.0**-23
compiled = pytest.mark.skipif(fl.info()["backend"] != "cython", reason="the other backends have temporary arrays of their own")


@functools.cache
def data(kind):
    """(X, y) of scikit-learn's sets, X with a little noise: no two splits are equally good by chance."""
    x, y = {"binary": load_breast_cancer, "classes": load_iris}.get(kind, load_diabetes)(return_X_y=True)
    x = x + np.random.default_rng(0).normal(0.0, 1e-3, x.shape) * x.std(axis=0)
    y = {"real": y / 100.0, "counts": np.round(y / 100.0), "shares": np.clip(y / 400.0, 0.0, 1.0)}.get(kind, y)
    return x, y.astype(np.float32)


def weights(n):
    return np.random.default_rng(1).uniform(0.5, 2.0, n).astype(np.float32)


def logistic(y, z, w):
    """(gradient, Hessian) in float64, without cancellation."""
    s = 1.0 / (1.0 + np.exp(-z.astype(np.float64)))
    return (np.where(y > 0, -1.0 / (1.0 + np.exp(z.astype(np.float64))), s)) * w, s / (1.0 + np.exp(z.astype(np.float64))) * w


def softmax(y, z, w):
    e = np.exp(z.astype(np.float64) - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    others = (e.sum(axis=1, keepdims=True) - e) / e.sum(axis=1, keepdims=True)
    at = np.arange(z.shape[1]) == y[:, None]
    return np.where(at, -others, p) * w[:, None], p * others * w[:, None]


def scores(n, classes=None, dtype=np.float32, order="C"):
    return np.random.default_rng(2).normal(0.0, 2.0, n if classes is None else (n, classes)).astype(dtype, order=order)


def close(found, true, ulp=4):
    """Is a float32 result within so many ULP of float64 numbers?"""
    assert found.dtype == np.float32
    return bool((np.abs(found - true) <= ulp * ULP32 * np.maximum(np.abs(true), np.finfo(np.float32).tiny)).all())


def again(thing):
    return pickle.loads(pickle.dumps(thing))


def peak(call):
    """Bytes that a call takes at most, results included."""
    call()
    tracemalloc.start()
    try:
        result = call()
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()


def without(host):
    """What is said where a host is not installed."""
    code = f"import sys\nsys.modules[{host!r}] = None\nimport fastloss.{host}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr
