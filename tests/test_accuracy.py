"""Every loss, float32 and float64, over its whole domain: value and gradient within 4 ULP of the true result, Hessian within 8."""

import numpy as np
import pytest

import fastloss as fl
from fastloss.compiler.python import scalar_functions
from fastloss.engine import backends
from fastloss.engine.configured import Loss
from fastloss.engine.python_backend import PythonBackend
from fastloss.losses import REGISTRY
from fastloss.losses.spec import Definition
from tests.accuracy import errors, pairs, variants, worst

LIMITS = {"value": 4, "gradient": 4, "hessian": 8}
NAMES = [name for name, definition in REGISTRY.items() if not definition.root]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_within_the_policy(name, dtype):
    found = worst(name, dtype)
    assert set(found) == set(LIMITS)
    beyond = {part: (round(size, 2), where) for part, (size, where) in found.items() if not size <= LIMITS[part]}
    assert not beyond


# Broken formulas: the contract above must refuse each of them.


def broken(name, **functions):
    """A loss of this name with some of its functions replaced, run by the interpreter."""
    real = REGISTRY[name]
    body = type(real.class_name, (), {**vars(real.body), **functions})
    definition = Definition(body, **{key: getattr(real, key) for key in ("target", "prediction", "wide", "base", "root", "aliases")})
    return type(real.class_name, (Loss,), {"definition": definition, "__slots__": (), "kernel": definition})()


def half_missing(y, p):
    return 0.5 * (p - y) * (p - y)


def wrong_sign(y, p):
    return 2.0 * (y - p)


def wrong_tail(y, p, delta):
    return p - y  # forgets to clip


def cancelling(y, p):
    return log(0.5 * (exp(p - y) + exp(y - p)))  # the textbook form, which loses every digit near 0


def early_zero(y, z, pos_weight, label_smoothing):
    return sigmoid(z) - y  # rounds to 0 for a confident right prediction


def flat_hessian(y, p, delta):
    return 1.0


from fastloss.losses.functions import exp, log, sigmoid  # noqa: E402 - the formulas above call them

BROKEN = [
    ("squared_error", "value", half_missing), ("squared_error", "gradient", wrong_sign), ("huber", "gradient", wrong_tail),
    ("log_cosh", "value", cancelling), ("logistic", "gradient", early_zero), ("huber", "hessian", flat_hessian),
]  # fmt: skip


@pytest.mark.parametrize("name, part, function", BROKEN, ids=[f"{name}-{function.__name__}" for name, _, function in BROKEN])
def test_contract_bites(name, part, function, monkeypatch):
    monkeypatch.setattr(backends, "current", PythonBackend)
    y, p = pairs(REGISTRY[name], "float64", n=4)
    whole = max(size for kind, size, *_ in errors(broken(name), "float64", y, p) if kind == part)
    assert whole <= LIMITS[part], "the unbroken formula must pass"
    sizes = [size for kind, size, *_ in errors(broken(name, **{part: function}), "float64", y, p) if kind == part]
    assert max(sizes) > LIMITS[part]


def test_scalar_functions_have_edges_like_c():
    functions = scalar_functions(REGISTRY["log_loss"])
    assert functions["value"](1.0, 0.0, 0.0) == np.inf and functions["gradient"](1.0, 0.0, 0.0) == -np.inf
    assert np.isnan(scalar_functions(REGISTRY["absolute_percentage_error"])["value"](0.0, 0.0, 0.0, 1.0))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_propagates(name, dtype):
    """A NaN in either argument comes out of value and gradient, wherever in a vector it stands, whatever the parameters."""
    for loss in variants(REGISTRY[name]):
        y, p = pairs(REGISTRY[name], dtype)
        for argument in (y, p):
            for at in (0, 7, len(y) - 1):
                kept = argument[at]
                argument[at] = np.nan
                value, gradient = loss.loss_gradient(y, p)
                assert np.isnan(value[at]) and np.isnan(gradient[at]), (loss, at)
                argument[at] = kept
        value, gradient = loss.loss_gradient(np.full(len(p), np.nan, dtype), p)
        assert np.isnan(value).all() and np.isnan(gradient).all(), loss


@pytest.mark.parametrize("name, y, p, gradient", [
    ("absolute_error", 1.0, 1.0, 0.0), ("pinball:quantile=0.25", 1.0, 1.0, -0.25), ("hinge", 1.0, 1.0, 0.0), ("perceptron", 1.0, 0.0, 0.0),
    ("smooth_l1:beta=0", 1.0, 1.0, 0.0), ("log_loss", 1.0, 1.0, -1.0), ("log_loss", 0.0, 0.0, 1.0), ("log_loss", 1.0, 0.0, -np.inf),
    ("focal_probability", 1.0, 1.0, 0.0), ("focal_probability:gamma=0", 1.0, 1.0, -1.0), ("logistic", 1.0, np.inf, 0.0),
    ("logistic", 0.0, -np.inf, 0.0), ("logistic", 1.0, -np.inf, -1.0), ("huber:delta=2", 0.0, np.inf, 2.0),
    ("fair:c=3", 0.0, -np.inf, -3.0),
    ("pseudo_huber:delta=2", 0.0, np.inf, 2.0), ("log_cosh", 0.0, -np.inf, -1.0),
    ("focal", 1.0, -np.inf, -1.0), ("focal", 1.0, np.inf, 0.0), ("squared_log_error", 0.0, np.inf, 0.0),
])  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_conventions_at_kinks_and_ends(name, y, p, gradient, dtype):
    assert fl.get(name).gradient(np.array([y], dtype), np.array([p], dtype))[0] == gradient


@pytest.mark.parametrize("name, y, p, value", [
    ("logistic", 1.0, np.inf, 0.0), ("logistic", 0.0, np.inf, np.inf), ("huber", 0.0, -np.inf, np.inf), ("hinge", 1.0, np.inf, 0.0),
    ("log_loss", 0.0, 1.0, np.inf), ("log_loss", 1.0, 1.0, 0.0), ("exponential", 1.0, np.inf, 0.0), ("log_cosh", 0.0, np.inf, np.inf),
    ("pseudo_huber", 0.0, np.inf, np.inf), ("poisson_loss", 0.0, -np.inf, 0.0), ("squared_error", 0.0, -np.inf, np.inf),
    ("poisson_loss", 1.0, np.inf, np.inf), ("poisson_loss:constants=true", 1.0, np.inf, np.inf), ("poisson_loss", 1.0, -np.inf, np.inf),
    ("gamma_loss", 1.0, -np.inf, np.inf), ("gamma_loss:constants=true", 1.0, np.inf, np.inf), ("poisson_deviance", 1.0, np.inf, np.inf),
    ("gamma_deviance", 1.0, np.inf, np.inf), ("tweedie_deviance", 1.0, np.inf, np.inf), ("tweedie_loss", 1.0, np.inf, np.inf),
    ("tweedie_loss", 0.0, -np.inf, 0.0), ("tweedie_loss:constants=true", 1.0, -np.inf, np.inf), ("smape", 1.0, np.inf, 2.0),
    ("focal", 1.0, np.inf, 0.0), ("focal:gamma=0", 1.0, np.inf, 0.0), ("focal", 1.0, -np.inf, np.inf),
])  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_at_infinity(name, y, p, value, dtype):
    assert fl.get(name).loss(np.array([y], dtype), np.array([p], dtype))[0] == value
