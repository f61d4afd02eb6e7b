"""Measures the error of a loss in ULP of its result against tests/references.py, over its whole domain, extremes and all.

The derivatives of the references are taken numerically with 3,800 bits. Where left and right derivative differ there is a kink, and what
is asked is a subgradient.
"""

import functools
import itertools
import math

import numpy as np
from mpmath import mp, mpf

import fastloss as fl
from fastloss.engine import backends
from fastloss.losses import REGISTRY
from fastloss.losses.spec import Labels
from tests import references
from tests.references import TERMS, VALUES

PREC = 3800
STEP = 200  # derivatives step |p| * 2**-STEP
FORMATS = {"float32": (24, -149, mpf(2) ** 128), "float64": (53, -1074, mpf(2) ** 1024)}
PARTS = ("value", "gradient", "hessian")


def ulp(x, dtype):
    """The spacing of the dtype's numbers at the size of x."""
    digits, lowest, _ = FORMATS[dtype]
    exponent = int(mp.floor(mp.log(abs(x), 2))) + 1 if x else lowest
    return mpf(2) ** max(exponent - digits, lowest)


def spread(dtype):
    """Magnitudes that matter: from the least subnormal to where squares still are finite."""
    info = np.finfo(dtype)
    return [0.0, float(info.smallest_subnormal), float(info.smallest_normal), float(info.eps) ** 2, float(info.eps), 1e-3, 0.5, 1.0,
            1.0 + float(info.eps),
            3.0, 1e4, 1.0 / float(info.eps), float(info.max) ** 0.5 / 4]  # fmt: skip


def near(rng, values, dtype):
    """Partners of values: a few ULP to a few per cent away, so that differences cancel."""
    d = rng.choice([-1, 1], len(values)) * 10.0 ** rng.uniform(np.log10(np.finfo(dtype).eps), -1, len(values))
    return np.asarray(values) * (1 + d)


def real_pairs(rng, dtype, n):
    signed = [s * x for x in spread(dtype) for s in (1, -1)]
    scale = 10.0 ** rng.uniform(-3, 3, n)
    y = rng.standard_normal(n) * scale
    far = y + rng.standard_normal(n) * 10.0 ** rng.uniform(-6, 2, n)
    crossed = list(itertools.product(signed[::3], signed))
    return np.concatenate([y, y, [a for a, _ in crossed]]), np.concatenate([far, near(rng, y, dtype), [b for _, b in crossed]])


def positive_pairs(rng, dtype, n, zero):
    y = 10.0 ** rng.uniform(-4, 4, n)
    mu = y * 10.0 ** rng.uniform(-3, 3, n)
    some = [1e-30, 1e-8, 0.5, 1.0, 2.0, 100.0, 1e8, 1e15]
    crossed = list(itertools.product(some + [0.0] * zero, some))
    return np.concatenate([y, y, [a for a, _ in crossed]]), np.concatenate([mu, near(rng, y, dtype), [b for _, b in crossed]])


def scores(rng, dtype, n):
    top = 100.0 if dtype == "float32" else 740.0
    steps = [0.0, *spread(dtype)[1:6], 0.5, 1.0, 2.0, 5.0, 10.0, 17.0, 20.0, 37.0, 60.0, 86.0, top]
    return np.concatenate([[s * x for x in steps for s in (1, -1)], rng.standard_normal(n), rng.uniform(-top, top, n)])


def probabilities(rng, dtype, n):
    eps = float(np.finfo(dtype).eps)
    ends = [0.0, 1.0, float(np.finfo(dtype).smallest_subnormal), 1e-30, eps, 0.25, 0.5, 0.75, 1 - eps, 1 - eps / 2]
    return np.concatenate([ends, rng.uniform(0, 1, n), 10.0 ** -rng.uniform(0, 6, n), 1 - 10.0 ** -rng.uniform(0, 6, n)])


def pairs(definition, dtype, n=16, seed=0):
    """Arrays y and p of the loss's domain, in the dtype."""
    rng = np.random.default_rng(seed)
    target, prediction = str(definition.target), str(definition.prediction)
    if isinstance(definition.target, Labels) or target == "in [0, 1]":
        p = probabilities(rng, dtype, n) if prediction == "in [0, 1]" else scores(rng, dtype, n)
        labels = [definition.target.low, definition.target.high]
        y, p = np.repeat(labels, len(p)), np.tile(p, 2)
        if not isinstance(definition.target, Labels):
            soft = rng.uniform(0.01, 0.99, n)
            with_soft = (
                rng.choice(p, n)
                if prediction != "in [0, 1]"
                else np.clip(np.concatenate([near(rng, soft[: n // 2], dtype), rng.uniform(0, 1, n - n // 2)]), 0, 1)
            )
            y, p = np.concatenate([y, soft]), np.concatenate([p, with_soft])
    elif prediction == "a real number" and target in (">= 0", "> 0"):
        y = np.repeat(10.0 ** rng.uniform(-4, 4, n), 2)
        top = 40.0 if dtype == "float32" else 300.0
        z = np.where(
            np.arange(2 * n) % 2,
            rng.uniform(-top, top, 2 * n),
            np.log(y) + rng.choice([-1, 1], 2 * n) * 10.0 ** rng.uniform(-5, 0.5, 2 * n),
        )
        zeros = rng.uniform(-top, top, n // 2) if target == ">= 0" else np.empty(0)
        y, p = np.concatenate([y, np.zeros(len(zeros))]), np.concatenate([z, zeros])
    elif target in (">= 0", "> 0"):
        y, p = positive_pairs(rng, dtype, n, target == ">= 0")
    elif target == "> -1":
        a, b = positive_pairs(rng, dtype, n, True)
        small = rng.uniform(-0.999, 1, n)
        y, p = (
            np.concatenate([a, small, -1 + 10.0 ** -rng.uniform(0, 5, n)]),
            np.concatenate([b, near(rng, small, dtype), rng.uniform(-0.9, 3, n)]),
        )
        p = np.maximum(p, -0.9999)
    else:
        y, p = real_pairs(rng, dtype, n)
    return y.astype(dtype), p.astype(dtype)


def variants(definition):
    """Configured losses: the defaults, and each parameter at some other values."""
    made = [fl.get(definition.name)]
    for name, parameter in definition.parameters.items():
        values = [value for value in (0.1, 1.25, 3.0, 0.0, 1.0) if value in parameter.domain and value != parameter.default]
        made += [type(made[0])(**{name: value}) for value in [*values[:3], *parameter.names]]
    return list(dict.fromkeys(made))


def numbers(loss, dtype):
    """The loss's parameters as a kernel has them, exactly."""
    return [
        mpf(float(np.dtype(dtype).type(parameter.number(loss.parameters[name], dtype))))
        for name, parameter in loss.definition.parameters.items()
    ]


@functools.cache
def truth(name, parameters, y, p, lowest, highest):
    """(value, (left derivative, right derivative), second derivative) at one point; None for what does not exist there."""
    function = VALUES[name]
    with mp.workprec(PREC):
        here = function(y, p, *parameters)
        if not mp.isfinite(here):
            return here, None, None
        h = mp.ldexp(abs(p), -STEP) if p else mp.ldexp(mpf(1), -1074 - STEP)
        after = function(y, p + h, *parameters) if p + h <= highest else None
        before = function(y, p - h, *parameters) if p - h >= lowest else None
        left = None if before is None or not mp.isfinite(before) else (here - before) / h
        right = None if after is None or not mp.isfinite(after) else (after - here) / h
        if left is None or right is None:  # an end of the domain: what is right there is said in tests of its own
            return here, None, None
        kink = abs(right - left) > mp.ldexp(abs(left) + abs(right), -STEP // 2)
        # The one-sided quotients of a smooth function differ by f'' h: their mean is exact to h**2.
        if not kink:
            middle = (left + right) / 2
            return here, (middle, middle), (right - left) / h
        return here, (left, right), None


def error(got, true, dtype, at_least=0):
    """The error in ULP; infinite if one is NaN or infinite and the other is not."""
    top = FORMATS[dtype][2]
    if mp.isnan(true):
        return 0.0 if math.isnan(got) else math.inf
    if math.isnan(got) or not mp.isfinite(true) or math.isinf(got):
        same = (not math.isnan(got)) and (
            mpf(got) == true or (math.isinf(got) and abs(true) >= top * (1 - mpf(2) ** -FORMATS[dtype][0]) and (got > 0) == (true > 0))
        )
        return 0.0 if same else math.inf
    return float(abs(mpf(got) - true) / ulp(max(abs(true), at_least), dtype))


def errors(loss, dtype, y, p, parts=PARTS):
    """Yield (part, error in ULP, y, p, got, true) for every sample and part."""
    definition, parameters = loss.definition, tuple(numbers(loss, dtype))
    outputs = [array.tolist() for array in loss.loss_gradient_hessian(y, p)]
    lowest = max(mpf(definition.prediction.low), -mp.inf)
    # float32 losses that compute in float64 have no such excuse
    terms = TERMS.get(definition.name, {}) if dtype == "float64" or not definition.wide else {}
    references.ROUNDED_TO[0] = "float64" if backends.current().name == "python" else dtype  # what the backend computes in
    truth.cache_clear()
    for a, b, *got in zip(y.tolist(), p.tolist(), *outputs, strict=True):
        value, gradient, hessian = truth(definition.name, parameters, mpf(a), mpf(b), lowest, mpf(definition.prediction.high))
        least = {part: abs(term(mpf(a), mpf(b), *parameters)) for part, term in terms.items()}
        yield "value", error(got[0], value, dtype, least.get("value", 0)), a, b, got[0], value
        if gradient is not None:
            low, high = sorted(gradient)
            true = low if got[1] < low else high if got[1] > high else mpf(got[1]) if got[1] == got[1] else low
            yield "gradient", error(got[1], true, dtype, least.get("gradient", 0)), a, b, got[1], true
        # no promise about subnormal Hessians
        if "hessian" in parts and hessian is not None and not 0 < abs(hessian) < np.finfo(dtype).smallest_normal:
            if got[2] == 0.0 and abs(hessian * (mpf(b) or mpf(a))) < mp.ldexp(sum(map(abs, gradient)) + abs(value), -STEP // 2):
                hessian = mpf(0)  # what is left of an exact 0 by numerical differentiation
            size = error(got[2], hessian, dtype, max(least.get("gradient", 0), least.get("hessian", 0)))
            yield (
                "hessian",
                size if size < 8 else jump(definition.name, parameters, a, b, got[2], dtype, lowest) or size,
                a,
                b,
                got[2],
                hessian,
            )


def jump(name, parameters, a, b, got, dtype, lowest):
    """0.0 if the second derivative jumps within two ULP of the point and the value is that of one side; else None."""
    for side in (-2, 2):
        for x in (a, b):
            near_b = mpf(b) + side * ulp(mpf(x), dtype)
            second = truth(name, parameters, mpf(a), near_b, lowest, mp.inf)[2]
            if second is not None and error(got, second, dtype) < 8:
                return 1e-9
    return None


@functools.cache
def worst(name, dtype):
    """{part: (largest error in ULP, where)} over all variants of a loss."""
    definition, found = REGISTRY[name], {}
    y, p = pairs(definition, dtype)
    for loss in variants(definition):
        for part, size, *place in errors(loss, dtype, y, p):
            if part not in found or size > found[part][0]:
                found[part] = size, f"{loss.spec} at y={place[0]!r}, p={place[1]!r}: got {place[2]!r}, true {mp.nstr(place[3], 20)}"
    return found


def measured(name, dtype):
    """{"value": ulp, "gradient": ulp, "hessian": ulp}: the largest errors seen, for the tables of README."""
    return {part: size for part, (size, _) in worst(name, dtype).items()}
