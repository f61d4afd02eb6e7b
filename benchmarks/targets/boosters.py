"""Targets of boosters' objectives: gradient and Hessian by a call of ours beside one written with NumPy, in turns.

The NumPy ones are written as those who know NumPy write them: in the dtype that the host hands, in place where that saves a temporary.
XGBoost hands float32 and takes it, LightGBM hands float64 and takes float32, CatBoost hands float64 and reads (n, 2).
"""

import importlib
from functools import partial

import numpy as np

from benchmarks.targets.rows import Row
from fastloss.measuring.timing import side_by_side

N, CLASSES, LIMIT = 1_000_000, 10, 5.0
LOSSES = {"logistic": "logistic", "poisson": "poisson_loss", "huber": "huber:delta=1.5", "softmax": "softmax_cross_entropy"}


def logistic(y, z):
    h = _expit(z)
    g = h - y
    h *= 1.0 - h
    return g, np.maximum(h, 1e-16, out=h)


def _expit(z):
    p = np.negative(z)
    np.exp(p, out=p)
    p += 1.0
    return np.reciprocal(p, out=p)


def poisson(y, z):
    h = np.exp(z)
    return h - y, h


def huber(y, z):
    e = z - y
    h = np.ones_like(e)
    return np.clip(e, -1.5, 1.5, out=e), h


def softmax(y, z):
    p = z - z.max(axis=1, keepdims=True)
    np.exp(p, out=p)
    p /= p.sum(axis=1, keepdims=True)
    h = 1.0 - p
    h *= p
    p[np.arange(len(y)), y.astype(np.intp)] -= 1.0
    return p, h


def data(name, host):
    """(y, z): labels float32, raw scores as the host hands them."""
    random = np.random.default_rng(0)
    wide, classes = np.float32 if host == "xgboost" else np.float64, CLASSES if name == "softmax" else None
    z = random.normal(0.0, 1.5, N if classes is None else (N, classes)).astype(wide, order="F" if host == "lightgbm" else "C")
    y = {
        "logistic": lambda: random.random(N) < 0.4, "poisson": lambda: random.poisson(2.0, N), "huber": lambda: random.normal(0.0, 2.0, N),
        "softmax": lambda: random.integers(0, CLASSES, N),
    }[name]()  # fmt: skip
    return y.astype(np.float32), z


def of_numpy(name, host, y, z):
    """What the host has of it at the end."""
    g, h = globals()[name](y, z)
    if host == "catboost":
        return np.column_stack([np.negative(g, out=g), np.negative(h, out=h)])
    if host == "lightgbm":
        return g.ravel(order="F").astype(np.float32, copy=False), h.ravel(order="F").astype(np.float32, copy=False)
    return g, h


def boosters(bench):
    """Objectives, a call: NumPy / ours."""
    for host in ("xgboost", "lightgbm", "catboost"):
        try:
            ours = importlib.import_module(f"fastloss.{host}")
        except ImportError as error:
            yield Row(f"{host}: objectives", None, ">=", LIMIT, note=str(error))
            continue
        for name, loss in LOSSES.items():
            if host == "catboost" and name == "softmax":  # a row at a time
                continue
            y, z = data(name, host)
            objective = ours.objective(loss)
            call = partial(objective.calc_ders_range, z, y, None) if host == "catboost" else partial(objective, y, z)
            timings = side_by_side({"ours": call, "numpy": partial(of_numpy, name, host, y, z)}, seconds=bench.seconds)
            value = timings["numpy"].minimum / timings["ours"].minimum
            note = f"{timings['numpy'].minimum * 1e3:.2f} and {timings['ours'].minimum * 1e3:.2f} ms"
            yield Row(f"{host}: {name}, n = {N}, gradient and Hessian: NumPy / ours", value, ">=", LIMIT, note=note)
