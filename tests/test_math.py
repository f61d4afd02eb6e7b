"""The functions that formulas call: vectorised C, LLVM code and plain Python, against mpmath and against each other's edges."""

import ctypes
import importlib
import itertools
import math

import numpy as np
import pytest
from mpmath import mp, mpf

from benchmarks.ulp.points import special
from fastloss.compiler.numba import loop
from fastloss.compiler.subset import BUILTINS, VOCABULARY
from fastloss.engine import backends
from fastloss.losses import functions
from tests.accuracy import error

TRUE = {
    "exp": mp.exp, "expm1": mp.expm1, "log": lambda x: mp.log(x) if x else -mp.inf, "log1p": lambda x: mp.log1p(x) if x != -1 else -mp.inf,
    "tanh": mp.tanh, "sqrt": mp.sqrt, "softplus": lambda x: mp.log1p(mp.exp(x)), "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "log1p_difference": lambda a, b: mp.log1p(a) - mp.log1p(b), "kl_div": lambda a, b: a * mp.log(a / b) - a + b,
    "pow": lambda x, y: x**y, "log_ratio": lambda a, b: mp.log(a / b), "exp_product": lambda a, b: mp.exp(a * b),
    "log1pmx": lambda x: mp.log1p(x) - x, "expm1mx": lambda x: mp.expm1(x) - x, "decay": lambda x: mp.exp(-abs(x)),
    "abs": abs, "min": min, "max": max,
    "copysign": lambda x, s: abs(x) if s > 0 or (s == 0 and math.copysign(1, float(s)) > 0) else -abs(x),
}  # fmt: skip
POSITIVE = {"log", "sqrt", "pow", "log_ratio", "kl_div"}
EXACT = {"abs", "min", "max", "copysign"}


def arguments(name, dtype, n=300):
    rng = np.random.default_rng(len(name))
    top = 80.0 if dtype == "float32" else 600.0
    a = np.concatenate([rng.standard_normal(n), rng.uniform(-top, top, n), rng.choice([-1, 1], n) * 10.0 ** rng.uniform(-30, 1, n)])
    if name in POSITIVE:
        a = np.abs(a)
    if name in ("log1p", "log1pmx"):
        a = np.where(a < -0.9, -1 + 10.0 ** -rng.uniform(0, 5, 3 * n), a)
    b = rng.permutation(a) if VOCABULARY[name] == 2 else a
    if name == "pow":
        b = rng.uniform(-3, 3, 3 * n)
    if name == "exp_product":
        b = rng.uniform(-1, 1, 3 * n)
    if name in ("log_ratio", "kl_div", "log1p_difference"):
        b[:n] = a[:n] * (1 + 10.0 ** -rng.uniform(0, 6, n))
    if name == "log1p_difference":
        a, b = (np.where(x < -1, -1 - 1 / x, x) for x in (a, b))
    return a.astype(dtype), b.astype(dtype)


def in_c(name, a, b):
    out = np.empty_like(a)
    backends.current().module.apply_math(name, np.ascontiguousarray(a), np.ascontiguousarray(b), out)
    return out


def in_numba(name, a, b):
    out = np.empty_like(a)

    def sample(vocabulary, a, b, parameters):
        return {0: getattr(vocabulary, name)(*(a, b)[: VOCABULARY[name]])}

    compiled = loop(a.dtype.name, False, 0, sample)  # holds the machine code
    pointers = [array.ctypes.data for array in (a, b, a, out, out, out)]
    ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 6, ctypes.c_ssize_t)(compiled.address)(*pointers, a.size)
    return out


def in_python(name, a, b):
    function = getattr(functions, BUILTINS.get(name, name))
    pairs = zip(a.tolist(), b.tolist(), strict=True)
    with np.errstate(over="ignore"):
        return np.array([function(*pair[: VOCABULARY[name]]) for pair in pairs]).astype(a.dtype)


IMPLEMENTATIONS = [in_c, in_numba, in_python] if backends.current().name == "cython" else [in_numba, in_python]


def test_everything_of_the_vocabulary_is_tested():
    assert set(TRUE) == set(VOCABULARY)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", TRUE)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_accuracy(name, dtype, implementation):
    a, b = arguments(name, dtype)
    got = implementation(name, a, b)
    worst = 0.0
    with mp.workprec(300):
        for x, y, value in zip(a.tolist(), b.tolist(), got.tolist(), strict=True):
            true = TRUE[name](*map(mpf, (x, y)[: VOCABULARY[name]]))
            worst = max(worst, error(value, true, dtype))
    assert worst <= (0.0 if name in EXACT else 2.5), worst


EDGES = {
    "exp": [(0.0, 1.0), (math.inf, math.inf), (-math.inf, 0.0), (1000.0, math.inf), (-1000.0, 0.0), (math.nan, math.nan)],
    "expm1": [(0.0, 0.0), (-math.inf, -1.0), (math.inf, math.inf), (1e-30, 1e-30), (math.nan, math.nan)],
    "log": [(0.0, -math.inf), (-1.0, math.nan), (math.inf, math.inf), (1.0, 0.0), (math.nan, math.nan)],
    "log1p": [(-1.0, -math.inf), (-2.0, math.nan), (math.inf, math.inf), (1e-30, 1e-30), (0.0, 0.0), (math.nan, math.nan)],
    "softplus": [(math.inf, math.inf), (-math.inf, 0.0), (math.nan, math.nan)],
    "sigmoid": [(math.inf, 1.0), (-math.inf, 0.0), (0.0, 0.5), (math.nan, math.nan)],
    "tanh": [(math.inf, 1.0), (-math.inf, -1.0), (0.0, 0.0), (math.nan, math.nan)],
    "sqrt": [(-1.0, math.nan), (0.0, 0.0), (math.inf, math.inf), (math.nan, math.nan)],
    "log1pmx": [(0.0, 0.0), (-1.0, -math.inf), (math.inf, -math.inf), (math.nan, math.nan)],
    "expm1mx": [(0.0, 0.0), (math.inf, math.inf), (-math.inf, math.inf), (math.nan, math.nan)],
    "pow": [((0.0, 0.0), 1.0), ((0.0, -1.0), math.inf), ((0.0, 2.0), 0.0), ((math.inf, 0.5), math.inf), ((2.0, math.inf), math.inf),
            ((0.5, math.inf), 0.0), ((math.nan, 2.0), math.nan), ((-1.0, 0.5), math.nan), ((1e30, 30.0), math.inf)],
    "min": [((math.nan, 1.0), math.nan), ((1.0, math.nan), 1.0), ((2.0, 1.0), 1.0)],
    "max": [((math.nan, 1.0), math.nan), ((1.0, math.nan), 1.0), ((2.0, 1.0), 2.0)],
    "log_ratio": [((0.0, 1.0), -math.inf), ((1.0, 0.0), math.inf), ((math.inf, 1.0), math.inf), ((1.0, math.inf), -math.inf),
                  ((math.nan, 1.0), math.nan)],
    "kl_div": [((0.0, 3.0), 3.0), ((0.0, 0.0), 0.0), ((3.0, 3.0), 0.0), ((3.0, 0.0), math.inf), ((0.0, math.inf), math.inf),
               ((3.0, math.inf), math.inf), ((math.inf, 3.0), math.inf), ((math.inf, 0.0), math.inf), ((math.inf, math.inf), math.nan),
               ((-1.0, 3.0), math.nan), ((3.0, -1.0), math.nan), ((-math.inf, 3.0), math.nan), ((3.0, -math.inf), math.nan),
               ((math.nan, 3.0), math.nan), ((3.0, math.nan), math.nan), ((math.nan, math.inf), math.nan), ((math.inf, math.nan), math.nan),
               ((math.nan, 0.0), math.nan), ((0.0, math.nan), math.nan)],
    "log1p_difference": [((1.0, 1.0), 0.0), ((math.inf, 1.0), math.inf), ((1.0, math.inf), -math.inf), ((math.inf, math.inf), math.nan),
                         ((-1.0, 0.0), -math.inf), ((0.0, -1.0), math.inf), ((-1.0, -1.0), math.nan), ((-2.0, 1.0), math.nan),
                         ((-2.0, -2.0), math.nan), ((math.nan, 1.0), math.nan), ((1.0, math.nan), math.nan)],
    "exp_product": [((0.0, 5.0), 1.0), ((math.nan, 1.0), math.nan), ((1e20, 1e20), math.inf), ((-1e20, 1e20), 0.0)],
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", EDGES)
def test_edges(name, dtype):
    for given, want in EDGES[name]:
        a, b = given if isinstance(given, tuple) else (given, given)
        arrays = np.full(33, a, dtype), np.full(33, b, dtype)
        want = float(np.dtype(dtype).type(want))
        for got in (implementation(name, *arrays) for implementation in IMPLEMENTATIONS):
            assert all(value == want or (math.isnan(value) and math.isnan(want)) for value in got.tolist()), (name, given, got[0], want)


UNSIGNED_ZEROS = {"log1pmx"}  # its results below the subnormals are of either sign
NOT_NEGATIVE = {"log_ratio"}  # promises nothing for negative arguments, -0 among them


@pytest.mark.parametrize("level", backends.compiled_levels())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", TRUE)
def test_special_arguments(name, dtype, level):
    """At zeros, the ends of the subnormals and normals, around 1, at infinities and NaN (and all pairs of these), every instruction set
    does what the plain Python does: the same NaN, infinities and zeros, and otherwise the same number to a few ULP."""
    a = b = special(dtype)
    if VOCABULARY[name] == 2:
        a, b = (np.ascontiguousarray(part) for part in np.array(list(itertools.product(a, repeat=2))).T)
    if name in NOT_NEGATIVE:
        a, b = np.abs(a), np.abs(b)
    got = np.empty_like(a)
    importlib.import_module(backends.compiled_levels()[level]).apply_math(name, a, b, got)
    with np.errstate(all="ignore"):
        want = in_python(name, a, b)
        unit = np.abs(np.spacing(want)).astype(float)
        near = (got == want) | ((np.abs(got.astype(float) - want.astype(float)) <= 3.0 * unit) & (name not in EXACT))
    right = np.where(np.isfinite(want) & np.isfinite(got), near, (got == want) | (np.isnan(got) & np.isnan(want)))
    if name not in UNSIGNED_ZEROS:
        right &= (got != 0) | (want != 0) | (np.signbit(got) == np.signbit(want))
    wrong = np.flatnonzero(~right)
    assert not wrong.size, [(a[i], b[i], got[i], want[i]) for i in wrong[:5]]
