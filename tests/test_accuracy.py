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
from tests import corners
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


# Points where formulas once erred more than the policy allows, or left the range on the way to a result within it; and the worst that
# `python -m tests.corners` finds now.
CORNERS = [
    ("log_cosh", "float32", [(0.23771874606609344, 0.11269701272249222), (-0.44199708104133606, -0.9503702521324158)]),
    ("log_cosh", "float64", [(0.08669318334967388, 0.337514099991184), (0.4705911951501282, 0.21958737790756486)]),
    ("squared_log_error", "float32", [(0.04302840307354927, 0.11013326048851013), (0.17762590944766998, 0.03592187911272049),
                                      (0.5254803895950317, 0.07470207661390305), (3.39e38, -0.0127), (-0.9999999, 3e38)]),
    ("squared_log_error", "float64", [(0.4184819229942314, 1.0163232789168855), (-0.9999999, 1e302), (1.7e308, 0.5), (1e308, 1.7e308)]),
    ("pseudo_huber", "float32", [(0.2053050398826599, 0.08024709671735764), (0.6491316556930542, -0.4553043246269226)]),
    ("pseudo_huber", "float64", [(0.5858075339525654, 1.6831973045793056)]),
    ("pseudo_huber:delta=3", "float32", [(0.02515539899468422, -0.4749996066093445), (-2.162684917449951, 2.388207197189331)]),
    ("pseudo_huber:delta=1e-6", "float32", [(0.0, 1e33), (1.0, 1.0000001)]),
    ("pseudo_huber:delta=1e30", "float32", [(0.0, 1.0), (0.0, 1e15)]),
    ("fair:c=1e15", "float32", [(0.0, 1.0), (0.0, 1e-10), (0.0, 1e20)]), ("fair:c=1e15", "float64", [(0.0, 1.0), (0.0, 1e-160)]),
    ("fair:c=1e-15", "float32", [(0.0, 1.0), (0.0, 1e-15), (0.0, 1e-10), (0.0, 1e30)]),
    ("fair:c=0.001", "float32", [(0.0, 6.94e35)]), ("fair:c=100", "float32", [(0.0, 1e-19), (0.0, 1e-18)]),
    ("expectile", "float32", [(-2.5585e19, -2.08e12)]), ("expectile:alpha=0.01", "float64", [(0.0, 5e154)]),
    ("symmetric_absolute_percentage_error", "float32", [(1e38, 1.1e38), (-0.004051433876156807, -0.004051420371979475)]),
    ("symmetric_absolute_percentage_error:percent=true", "float32", [(1e38, 1.1e38), (-1e-45, -3.0)]),
    ("gamma_deviance", "float64", [(0.4985278654313584, 0.3321182898618291), (0.44370095315103614, 0.9744107176831547),
                                   (1e-320, 1.7e308), (1e-289, 1.7e308), (2e-290, 1e301), (1.6e308, 1.7e308), (1.7e308, 1e300),
                                   (1e-320, 1.1e-320), (1e-300, 1.0000001e-300), (1e-3, 1e-310), (1e-300, 1e-251)]),
    ("poisson_deviance", "float64", [(9.497507356066603, 14.499667965738729), (1.0796154279887054, 0.3768576533456652),
                                     (1.7e308, 1.2e308), (1e-320, 1e-323), (1e-323, 1e-320), (1e305, 1e-323), (1e-323, 1.7e308),
                                     (1e-300, 1.0000001e-300)]),
    ("poisson_deviance", "float32", [(3.3e38, 2e38), (1e-44, 1e-40), (1e-40, 1e-44), (1e36, 1e-44), (1e-44, 3e38), (1e-37, 1.00001e-37),
                                     (0.5860, 0.4169), (0.54627526, 0.18860683), (1.0372847, 2.9925694)]),
    ("tweedie_deviance", "float64", [(0.5612485959330528, 1.740780209595832), (570.1454150360695, 570.1454153406536)]),
    ("focal", "float64", [(0.0, -0.5876716090470854)]), ("tweedie_loss", "float64", [(0.0, -1450.0)]),
]  # fmt: skip


@pytest.mark.parametrize("spec, dtype, points", CORNERS, ids=[f"{spec}-{dtype}" for spec, dtype, _ in CORNERS])
def test_corners(spec, dtype, points):
    y, p = np.array(points, dtype).T
    for part, size, *where in errors(fl.get(spec), dtype, y, p, parts=("value", "gradient")):
        assert size <= LIMITS[part], (part, *where)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hessians_of_next_to_nothing(dtype):
    """y / mu**2 of a subnormal y, whose y / mu is one, too."""
    y = 3 * np.finfo(dtype).smallest_subnormal
    points = [(y, mu) for mu in (7e-10, 2.8341575e-4, 0.3)] + [(y, 30.0), (0.5, 1e30), (0.5, 1e-16), (1.5, 1e-16)]
    for part, size, *where in errors(fl.PoissonDeviance(half=True), dtype, *np.array(points, dtype).T, parts=("hessian",)):
        assert size <= LIMITS[part], where


@pytest.mark.skipif(np.finfo(np.longdouble).nmant <= 52, reason="long double is double here")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_search_agrees_with_the_references(dtype):
    """The long double formulas of tests/corners.py see what the references see: errors of one point, by both."""
    for name in ("pseudo_huber", "fair", "gamma_deviance", "focal_probability"):
        loss = fl.get(name)
        y, p = corners.ordinary(loss.definition, dtype, 60, seed=3)
        keep = (np.abs(y) > 1e-4) & (np.abs(p) > 1e-4)
        y, p = y[keep], p[keep]
        for part, got in zip(corners.PARTS, loss.loss_gradient(y, p), strict=True):
            sizes = corners.in_ulp(got, corners.in_long(loss, dtype, part, y, p), dtype)
            true = [size for kind, size, *_ in errors(loss, dtype, y, p, parts=(part,)) if kind == part]
            if len(true) == len(y):
                within = np.abs(np.frexp(np.abs(got))[0] - 0.75) < 0.2499  # at powers of two the unit may be the one or the other
                assert within.sum() > len(y) / 2 and np.abs(sizes - true)[within].max() < 0.25, (name, part)


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


@pytest.mark.parametrize("spec, y, p", [
    ("tweedie_loss", 0.0, -1500.0), ("focal", 1.0, -1.7e308), ("focal", 1.0, 1.7e308), ("focal", 0.0, 1.7e308),
    ("focal:gamma=5", 0.0, np.inf),
])  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hessians_that_vanish_far_out(spec, y, p, dtype):
    """They once were NaN: 0 times what had left the range."""
    with np.errstate(over="ignore"):
        assert fl.get(spec).gradient_hessian(np.array([y], dtype), np.array([p], dtype))[1][0] == 0.0


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
