"""fastloss.metrics against sklearn.metrics: results, exceptions and warnings, over arguments x types x corners; what imports bring."""

import doctest
import inspect
import math
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from tests.metrics_cases import (
    MULTIOUTPUT,
    NAMES,
    PROBABILITIES,
    REGRESSION,
    ULP,
    WEIGHTED,
    N,
    data,
    ours,
    rng,
    same,
    theirs,
)


@pytest.mark.parametrize("name", NAMES)
def test_signature_is_the_hosts(name):
    assert inspect.signature(getattr(ours, name)) == inspect.signature(getattr(theirs, name))


def test_what_is_here_and_what_is_not():
    """Every function of sklearn.metrics that is a loss, an error or a deviance, or one minus a ratio of them."""
    kinds = ("_loss", "_error", "_deviance", "d2_")
    public = {name for name in theirs.__all__ if name.endswith(kinds[:3]) or name.startswith(kinds[3])}
    assert public - set(NAMES) == {"coverage_error", "label_ranking_loss"}
    assert set(NAMES) - public == {"r2_score", "explained_variance_score"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("weighted", [False, True])
def test_plain_arrays(name, weighted):
    for n in (2, 3, N, 1000):
        y, p = data(name, n)
        options = {"sample_weight": rng.random(n) + 0.1} if weighted and name in WEIGHTED else {}
        same(name, y, p, ulps=200 if n == 1000 or "deviance" in name or "tweedie" in name else 32, **options)
        if options:
            options["sample_weight"] = rng.integers(1, 4, n)
            same(name, y, p, ulps=200, **options)


@pytest.mark.parametrize("name", NAMES)
def test_float32_is_as_good_as_float64_of_the_same_numbers(name):
    """Theirs adds up in float32; ours is compared with theirs in float64, within roundings of single losses (and 1 - p of float32)."""
    y, p = data(name, 500, np.float32)
    found = getattr(ours, name)(y, p)
    wanted = getattr(theirs, name)(y, p if name in ("log_loss", "d2_log_loss_score") else p.astype(np.float64))
    assert found == pytest.approx(wanted, rel=2e-6 if "log_loss" in name else 4e-7)


CONTAINERS = {
    "lists": lambda a: a.tolist(),
    "tuples": lambda a: tuple(a.tolist()),
    "columns": lambda a: a.reshape(-1, 1),
    "strided": lambda a: np.repeat(a, 2)[::2],
    "backwards": lambda a: a[::-1].copy()[::-1],
    "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "objects": lambda a: a.astype(object),
    "read-only": lambda a: np.lib.stride_tricks.as_strided(a, writeable=False),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("container", CONTAINERS)
def test_containers(name, container):
    y, p = data(name)
    change = CONTAINERS[container]
    if container == "objects" and name not in REGRESSION:
        same(name, y, change(p), ulps=64)
        same(name, change(y), p, message=False)
        return
    w = {"sample_weight": rng.random(N)} if name in WEIGHTED else {}
    same(name, change(y), change(p), ulps=64, **w)
    same(name, change(y), p, ulps=64, **w)
    same(name, y, change(p), ulps=64, **{key: change(value) for key, value in w.items() if container != "columns"})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames(name, library):
    frames = pytest.importorskip(library)
    y, p = data(name)
    same(name, frames.Series(y), frames.Series(p), ulps=64, **({"sample_weight": frames.Series(rng.random(N))} if name in WEIGHTED else {}))
    if name in MULTIOUTPUT:
        y, p = data(name, outputs=2)
        same(name, frames.DataFrame(y), frames.DataFrame(p), ulps=64)
    if library == "pandas" and name in REGRESSION:
        same(name, frames.Series(y[:, 0] if y.ndim > 1 else y, dtype="Float64"), frames.Series(p[:, 0] if p.ndim > 1 else p), ulps=64)
        same(name, frames.Series([1.0, None, 3.0], dtype="Float64"), frames.Series([1.0, 2.0, 3.0]))


@pytest.mark.parametrize("name", MULTIOUTPUT)
@pytest.mark.parametrize("multioutput", ["uniform_average", "raw_values", "variance_weighted", None, [0.3, 0.5, 0.2], [1, 2], "mean", 3])
def test_several_outputs(name, multioutput):
    for order in "CF":
        y, p = (np.asarray(array, order=order) for array in data(name, outputs=3))
        for w in ({}, {"sample_weight": rng.random(N) + 0.1}):
            same(name, y, p, ulps=64, multioutput=multioutput, **w)
    same(name, y[:, 0], p[:, 0], ulps=64, multioutput=multioutput)
    y[:, 1] = 2.5  # a constant target
    same(name, y, p, ulps=64, multioutput=multioutput)


@pytest.mark.parametrize("name", ["r2_score", "explained_variance_score"])
@pytest.mark.parametrize("force_finite", [True, False, np.True_, 1, "yes"])
def test_force_finite(name, force_finite):
    for y in ([2.0, 2.0, 2.0], [1.0, 2.0, 3.0]):
        for p in ([2.0, 2.0, 2.0], [1.0, 2.0, 4.0], [1.0, 2.0, 3.0]):
            same(name, y, p, force_finite=force_finite)


def test_constant_target_whose_mean_rounds():
    """Theirs finds a spread of 1e-34 about a mean that is not the constant; ours none."""
    y = np.full(3, 0.1)
    assert np.mean(y) != 0.1 and ours.r2_score(y, y + 1) == 0.0 and ours.r2_score(y, y) == 1.0


@pytest.mark.parametrize("power", [-2, -0.5, 0, 0.5, 1, 1.2, 1.5, 1.999, 2, 2.5, 3, "1", None, math.nan])
@pytest.mark.parametrize("name", ["mean_tweedie_deviance", "d2_tweedie_score"])
def test_powers(name, power):
    y, p = rng.gamma(3.0, 1.0, 11), rng.gamma(3.0, 1.0, 11)
    ulps = 500
    if isinstance(power, int | float) and power not in (0, 1, 2):  # theirs is a difference of terms over (1 - power) (2 - power)
        ulps = 3000 / min(1.0, abs(1 - power), abs(2 - power))
    cases = [(y, p), (y - y.min(), p), (y - 2, p), (y, p - p.min()), (y, p - 3), (np.column_stack([y, y]), np.column_stack([p, p]))]
    for one, other in cases:
        same(name, one, other, ulps=ulps, power=power)  # theirs cancels
        same(name, one, other, ulps=ulps, power=power, sample_weight=np.arange(1.0, 12))


@pytest.mark.parametrize("name", ["mean_poisson_deviance", "mean_gamma_deviance"])
def test_deviances_keep_their_digits(name):
    mpmath = pytest.importorskip("mpmath")
    y = rng.gamma(3.0, 1.0, 20)
    p = y * (1 + 1e-6 * rng.standard_normal(20))
    with mpmath.workprec(200):
        a, b = [mpmath.mpf(float(v)) for v in y], [mpmath.mpf(float(v)) for v in p]
        if name == "mean_poisson_deviance":
            exact = sum(2 * (u * mpmath.log(u / v) - u + v) for u, v in zip(a, b, strict=True)) / 20
        else:
            exact = sum(2 * (mpmath.log(v / u) + u / v - 1) for u, v in zip(a, b, strict=True)) / 20
        relative = [abs(float(getattr(module, name)(y, p) / exact - 1)) for module in (ours, theirs)]
    assert relative[0] < 4 * ULP < 1e-9 < relative[1]


@pytest.mark.parametrize("alpha", [0, 0.0, 0.1, 0.5, np.float64(0.9), 1, -0.1, 1.5, "0.5", None, True])
@pytest.mark.parametrize("name", ["mean_pinball_loss", "d2_pinball_score"])
def test_quantiles(name, alpha):
    y, p = rng.standard_normal(30), rng.standard_normal(30)
    for n in (30, 29, 7, 4, 3, 2):
        same(name, y[:n], p[:n], ulps=64, alpha=alpha)
        same(name, y[:n], p[:n], ulps=64, alpha=alpha, sample_weight=rng.integers(0, 3, n) + np.eye(1, n)[0])


def test_weighted_median():
    for n in (1, 2, 5, 8, 9):
        for _ in range(20):
            y, p, w = rng.integers(0, 5, n), rng.integers(0, 5, n).astype(float), rng.integers(0, 3, n).astype(float)
            same("median_absolute_error", y, p, sample_weight=w)
            same("median_absolute_error", y, p)


BAD = {
    "text": "abc",
    "a number": 1.0,
    "None": None,
    "empty": [],
    "of no dimension": np.array(1.0),
    "of three": np.ones((2, 2, 2)),
    "NaN": [1.0, np.nan, 0.5, 0.2],
    "infinite": np.array([1.0, np.inf, 0.5, 0.2]),
    "minus infinity": np.array([1.0, -np.inf, 0.5, 0.2], np.float32),
    "words": ["a", "b", "c", "d"],
    "complex": np.ones(4, complex),
    "short": [1.0, 0.0],
    "no columns": np.ones((4, 0)),
    "two columns": np.full((4, 2), 0.5),
    "objects": np.array([object()] * 4),
    "negative": np.array([-1.0, 1.0, -1.0, 1.0]),
    "zero": np.zeros(4),
    "minus three": np.array([1.0, -3.0, 1.0, 0.0]),
    "a set": {1, 2, 3, 4},
    "ragged": [[1], [1, 2], [1], [2]],
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", BAD)
def test_what_is_refused(name, bad):
    """With the class of theirs; and in its words, but for those of NumPy's conversions and of representations."""
    good = np.array([1, 0, 1, 0]) if name not in REGRESSION else np.array([1.0, 2.0, 3.0, 1.5])
    said = bad not in (
        "words",
        "objects",
        "a set",
        "ragged",
        "complex",
        "text",
        "None",
        "a number",
        "infinite",
        "minus infinity",
        "negative",
        "minus three",
    )
    for args in ((BAD[bad], good), (good, BAD[bad]), (BAD[bad], BAD[bad])):
        if bad == "words" and name in PROBABILITIES and args[0] is good:
            continue  # theirs is a TypeError of NumPy's about dtypes, ours that of the conversion
        if (bad == "objects" or bad == "of no dimension") and "brier" in name and args[1] is good:
            continue  # refused above; with an array of no dimension theirs is about the shape
        same(name, *args, ulps=64, message=said and name in REGRESSION)
    if bad == "words" and name in (*PROBABILITIES, "hamming_loss", "zero_one_loss"):
        return
    unchecked = "NaN", "infinite", "minus infinity", "two columns", "no columns", "complex", "objects", "words"
    if name in WEIGHTED and not (name == "hinge_loss" and bad in unchecked):
        y, p = data(name, 4)
        same(name, y, p, ulps=64, sample_weight=BAD[bad], message=said)


def test_overflow_is_infinite_not_refused():
    y, p = np.array([1e200, 0.0]), np.array([-1e200, 0.0])
    assert ours.mean_squared_error(y, p) == math.inf
    assert same("mean_squared_error", y, p) == math.inf


def test_single_samples_have_no_score():
    for name in NAMES:
        y, p = data(name, 2)
        same(name, y[:1], p[:1], ulps=1e4 if "deviance" in name else 64)  # theirs cancels


def test_errors_where_scikit_learn_is_not_loaded():
    """Classes of ours with the same names and bases; nothing of scikit-learn or SciPy is imported."""
    code = """
import sys, warnings
import numpy as np, fastloss.metrics as m
not_arrays, lengths = lambda: m.mean_squared_error("a", [1]), lambda: m.mean_squared_error([1], [1, 2])
for call, kinds in ((not_arrays, (ValueError, TypeError)), (lengths, (ValueError,))):
    try:
        call()
    except Exception as error:
        assert all(isinstance(error, kind) for kind in kinds), error
        assert type(error) in (m.InvalidParameterError, ValueError)
    else:
        raise SystemExit("not refused")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert np.isnan(m.r2_score([1.0], [1.0])) and caught[0].category is m.UndefinedMetricWarning
assert m.log_loss(["a", "b"], [0.1, 0.9]) == m.log_loss(np.array([0, 1]), np.array([0.1, 0.9]))
m.hinge_loss([0, 1, 2], np.eye(3)); m.zero_one_loss([1, 2], [1, 1]); m.median_absolute_error([1, 2], [1, 1], sample_weight=[1, 2])
print(*(module for module in ("sklearn", "scipy", "pandas", "numba") if module in sys.modules))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0 and run.stdout.strip() == "", run.stderr


def test_examples():
    modules = {inspect.getmodule(getattr(ours, name)) for name in NAMES}
    found = [doctest.testmod(module, optionflags=doctest.ELLIPSIS, extraglobs={"np": np}) for module in modules]
    assert not sum(one.failed for one in found) and sum(one.attempted for one in found) >= len(NAMES)


def test_no_copies():
    """Calls on plain arrays, and on labels of any kind but text, make nothing of the size of the data, or a byte per label."""
    n = 8_000_000
    y, p, w = rng.integers(0, 2, n), rng.random(n), rng.random(n)
    table = np.column_stack([1 - p, p])
    cases = {
        0: [
            lambda: ours.log_loss(y, p, sample_weight=w),
            lambda: ours.log_loss(y, table),
            lambda: ours.brier_score_loss(y, p),
            lambda: ours.mean_squared_error(p, w),
            lambda: ours.mean_pinball_loss(p, w, alpha=0.9),
            lambda: ours.mean_poisson_deviance(y, p),
            lambda: ours.mean_squared_error(table, table, multioutput="raw_values"),
            lambda: ours.r2_score(p, w),
            lambda: ours.explained_variance_score(p, w),
            lambda: ours.max_error(p, w),
        ],
        1: [lambda: ours.hinge_loss(y, p), lambda: ours.zero_one_loss(y, y)],
    }
    for bytes_each, calls in cases.items():
        for call in calls:
            tracemalloc.start()
            call()
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < bytes_each * n + 5_000_000  # pieces


def outcome(module, name, *arguments, **options):
    """A result, or the kind of error."""
    try:
        return getattr(module, name)(*arguments, **options)
    except Exception as error:
        return type(error)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("power", [-1, 0, 1, 1.5, 2, 3])
@pytest.mark.parametrize("y", [[0.0, 0.0, 0.0], [2.5, 2.5, 2.5], [0.0, 0.0, 1.0]])
def test_d2_of_a_constant_target(power, y):
    p = [1.0, 2.0, 0.5]
    found, expected = (outcome(module, "d2_tweedie_score", y, p, power=power) for module in (ours, theirs))
    assert found == expected if isinstance(expected, type) else found == pytest.approx(expected, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("weights", [[0.3], [0.3, 0.7], [0.2, 0.3, 0.5], np.array([2.0])])
@pytest.mark.parametrize("outputs", [1, 3])
def test_weights_of_outputs_of_the_root(weights, outputs):
    """Which scikit-learn does not look at: of one output, too, they are taken."""
    y, p = rng.normal(size=(2, 9, outputs))
    same("root_mean_squared_error", y, p, multioutput=weights)


def test_the_variance_of_one_weighed_difference_is_0():
    y, p = rng.normal(size=(2, 2, 40)).astype(np.float32)
    for module in (ours, theirs):
        assert (module.explained_variance_score(y, p, sample_weight=[0, 1], multioutput="raw_values") == 1).all()
