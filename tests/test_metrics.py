"""fastloss.metrics against sklearn.metrics: results, exceptions and warnings, over arguments x types x corners; scorers; imports."""

import doctest
import inspect
import math
import pickle
import re
import subprocess
import sys
import tracemalloc
import warnings

import numpy as np
import pytest

import fastloss.metrics as ours

theirs = pytest.importorskip("sklearn.metrics")
sklearn = pytest.importorskip("sklearn")

NAMES = [name for name in ours.__all__ if name[0].islower()]
MULTIOUTPUT = [name for name in NAMES if "multioutput" in inspect.signature(getattr(ours, name)).parameters]
REGRESSION = [name for name in NAMES if name in (*MULTIOUTPUT, "max_error") or "deviance" in name or "tweedie" in name]
WEIGHTED = [name for name in NAMES if "sample_weight" in inspect.signature(getattr(ours, name)).parameters]
ULP = 2.0**-52
rng = np.random.default_rng(7)
N = 41


def outcome(module, name, *args, **kwargs):
    """("value", v) or ("error", class, message), and the warnings as (class, message)."""
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            found = "value", getattr(module, name)(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever theirs raises, ours must
            found = "error", type(error).__name__, str(error)
    return found, {(w.category.__name__, str(w.message)) for w in caught if w.category is not RuntimeWarning}


def words(text):
    """Letter by letter, but in any order inside braces: theirs prints sets. Ours may add to the words, in parentheses."""
    return [sorted(part) if "'" in part else part for part in re.split(r"[{}]", text.split(" (`")[0])]


def same(name, *args, ulps=16, message=True, **kwargs):
    """Both give the same: values within so many ULP of the larger of theirs and 1 (scores are 1 - ratio; sums of N terms round N times in
    theirs), or the same error (InvalidParameterError is a ValueError and a TypeError)."""
    (found, heard), (wanted, warned) = outcome(ours, name, *args, **kwargs), outcome(theirs, name, *args, **kwargs)
    ours_of_both = found[:2] == ("error", "InvalidParameterError") and wanted[:2] in (("error", "ValueError"), ("error", "TypeError"))
    assert ours_of_both or (found[:-1] == wanted[:-1] if wanted[0] == "error" else found[0] == wanted[0]), (found, wanted)
    if wanted[0] == "error":
        assert not message or ours_of_both or words(found[2]) == words(wanted[2])
    else:
        value, other = found[1], wanted[1]
        assert np.shape(value) == np.shape(other) and isinstance(value, np.ndarray) == isinstance(other, np.ndarray)
        assert isinstance(value, float | np.ndarray)
        other = np.where(np.asarray(other) < -1e29, -math.inf, other)  # theirs divides by what rounding left of 0
        np.testing.assert_allclose(value, other, rtol=ulps * ULP, atol=ulps * ULP * ("score" in name))
    assert heard == warned
    return found[-1]


def data(name, n=N, dtype=np.float64, outputs=None):
    """(y_true, y_pred) in the domain of a metric."""
    shape = (n,) if outputs is None else (n, outputs)
    if name in REGRESSION:
        return rng.gamma(2.0, 2.0, shape).astype(dtype), rng.gamma(2.0, 2.0, shape).astype(dtype)
    y = rng.integers(0, 2, n)
    y[:2] = 0, 1
    if name in ("zero_one_loss", "hamming_loss"):
        return y, rng.integers(0, 2, n)
    return y, (rng.standard_normal(n) if name == "hinge_loss" else rng.random(n)).astype(dtype)


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
    if name == "root_mean_squared_error" and multioutput == [1, 2]:  # theirs is NumPy's TypeError there
        with pytest.raises(ValueError, match="equally many custom weights"):
            ours.root_mean_squared_error(np.ones((2, 3)), np.ones((2, 3)), multioutput=multioutput)
        return
    for order in "CF":
        y, p = (np.asarray(array, order=order) for array in data(name, outputs=3))
        for w in ({}, {"sample_weight": rng.random(N) + 0.1}):
            same(name, y, p, ulps=64, multioutput=multioutput, **w)
    if name != "root_mean_squared_error" or not isinstance(multioutput, list):  # as above
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


STRINGS = np.array(["ham", "spam"])
LABELS = {
    "int": np.array([0, 1]),
    "signs": np.array([-1, 1]),
    "one and two": np.array([1, 2]),
    "large": np.array([-(10**12), 10**12]),
    "uint8": np.array([0, 1], np.uint8),
    "bool": np.array([False, True]),
    "float": np.array([0.0, 1.0]),
    "text": STRINGS,
    "objects": STRINGS.astype(object),
    "bytes": STRINGS.astype("S"),
    "fractions": np.array([0.5, 1.5]),
    "one": np.array([1, 1]),
    "zero": np.array([0, 0]),
    "five": np.array([5, 5]),
    "text of one": STRINGS[[1, 1]],
}
PROBABILITIES = ["log_loss", "brier_score_loss", "d2_log_loss_score", "d2_brier_score"]
OF_LABELS = ["log_loss", "brier_score_loss", "hinge_loss", "d2_log_loss_score", "d2_brier_score"]


@pytest.mark.parametrize("name", OF_LABELS)
@pytest.mark.parametrize("kind", LABELS)
def test_two_classes(name, kind):
    codes = np.append(rng.integers(0, 2, 21), [0, 1])
    y, p, w = LABELS[kind][codes], rng.random(23), rng.random(23)
    said = kind not in ("bytes", "fractions")  # as NumPy or Python put them
    for prediction in (p, p.reshape(-1, 1), np.column_stack([1 - p, p]), p.astype(np.float32), (p > 0.5), (p > 0.5).astype(int)):
        ulps = 2e10 if prediction.dtype == np.float32 else 64
        same(name, y, prediction, ulps=ulps, message=said)
        same(name, y, prediction, ulps=ulps, sample_weight=w, message=said)
        same(name, y.tolist(), prediction, ulps=ulps, message=False)
        if kind not in ("one", "zero", "five", "text of one"):
            same(name, y, prediction, ulps=ulps, labels=LABELS[kind], message=False)
        if "brier" in name:
            same(name, y, prediction, ulps=ulps, pos_label=LABELS[kind][1], message=said)
            same(name, y, prediction, ulps=ulps, pos_label=LABELS[kind][0], message=said)
            same(name, y, prediction, ulps=ulps, pos_label="other", message=said)


@pytest.mark.parametrize("name", [*OF_LABELS, "zero_one_loss", "hamming_loss"])
def test_text_among_numbers_and_what_is_no_label(name):
    """Theirs is a TypeError of the comparison, or ValueError, or NumPy makes text of the numbers, by the way that it goes."""
    for y in (["ham", 1, "ham", 2], np.array(["ham", 1, "ham", 2], object), np.array([object()] * 4)):
        with pytest.raises((TypeError, ValueError)):
            getattr(ours, name)(y, np.array([0.0, 1.0, 1.0, 0.0]))


@pytest.mark.parametrize("name", OF_LABELS)
def test_several_classes(name):
    y = np.append(rng.integers(0, 4, 30), [0, 1, 2, 3])
    q = rng.random((34, 4))
    for p in (q / q.sum(axis=1, keepdims=True), q, q[:, :3], q[:, 0], q.round(), q * 3 - 1):
        for labels in (None, [0, 1, 2, 3], [3, 2, 1, 0], [0, 1, 2], [0, 1, 2, 3, 4], [0, 0, 0, 0], [1, 1], [0, 1], [0.5, 1, 2, 3]):
            same(name, y, p, ulps=200, labels=labels, message=False)
        same(name, np.array(list("dcba"))[y], p, ulps=200)
        same(name, np.array(list("dcba"))[y], p, ulps=200, labels=list("abcd"))
        same(name, y * 10 - 7, p, ulps=200, sample_weight=rng.random(34))
        same(name, y + 0.5, p, message=False)
        same(name, np.eye(4, dtype=int)[y], p, ulps=200, message=False)  # one-hot
        same(name, (q > 0.4).astype(int), p, ulps=200, message=False)  # several at once
        same(name, y % 3, p, ulps=200, labels=[0, 1, 2, 3])


def test_log_loss_clips_by_dtype():
    for dtype in (np.float16, np.float32, np.float64):
        p = np.array([0.0, 1.0, 0.0, 1.0], dtype)
        found, wanted = (module.log_loss([1, 0, 0, 1], p) for module in (ours, theirs))
        assert found == pytest.approx(wanted, rel=2 * float(np.finfo(dtype).eps))
        found, wanted = (module.log_loss([1, 0, 0, 1], np.column_stack([1 - p, p])) for module in (ours, theirs))
        assert found == pytest.approx(wanted, rel=2 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("name", ["log_loss", "zero_one_loss"])
@pytest.mark.parametrize("normalize", [True, False, np.False_, 0, "no"])
def test_sums(name, normalize):
    y, p = data(name)
    same(name, y, p, ulps=64, normalize=normalize)
    same(name, y, p, ulps=64, normalize=normalize, sample_weight=rng.random(N))


@pytest.mark.parametrize("scale_by_half", ["auto", True, False, "yes", 1])
def test_brier_scaled(scale_by_half):
    y, p = data("brier_score_loss")
    same("brier_score_loss", y, p, scale_by_half=scale_by_half)
    same("brier_score_loss", y, np.column_stack([1 - p, p]), scale_by_half=scale_by_half)
    same("brier_score_loss", np.arange(N) % 3, np.full((N, 3), 1 / 3), scale_by_half=scale_by_half)


@pytest.mark.parametrize("name", ["log_loss", "d2_log_loss_score"])
def test_the_old_name_of_y_proba(name):
    same(name, [0, 1, 1], y_pred=[0.1, 0.9, 0.8])
    same(name, [0, 1, 1], [0.1, 0.9, 0.8], y_pred=[0.1, 0.9, 0.8])
    same(name, [0, 1, 1], message=False)


def test_sums_that_are_nearly_one():
    """Warned of beyond the square root of the machine epsilon, in the type given, as theirs."""
    p = np.column_stack([np.linspace(0.1, 0.9, 20), np.linspace(0.9, 0.1, 20)])
    for dtype, tolerance in ((np.float64, 2.0**-26), (np.float32, 2.0**-11.5)):
        for factor in (0.5, 2.0):
            off = p.copy()
            off[3] *= 1 + factor * tolerance
            for y in (np.arange(20) % 2, (np.arange(20) % 2).astype(float)):
                assert len(outcome(ours, "log_loss", y, off.astype(dtype))[1]) == (factor > 1)
                same("log_loss", y, off.astype(dtype), ulps=2e10)


@pytest.mark.parametrize("name", ["zero_one_loss", "hamming_loss"])
def test_decisions(name):
    sparse = pytest.importorskip("scipy.sparse")
    y, p, w = rng.integers(0, 4, 30), rng.integers(0, 4, 30), rng.random(30)
    text = np.array(list("abcd"))
    many, few = (rng.random((30, 5)) > 0.5).astype(int), (rng.random((30, 5)) > 0.4).astype(int)
    cases = [
        (y, p),
        (y, p.astype(float)),
        (y % 2, p),
        (text[y], text[p]),
        (text[y], p),
        (y, p + 0.5),
        (y + 0.5, p + 0.5),
        (y > 1, p > 1),
        (y > 1, p),
        (many, few),
        (many.astype(bool), few),
        (many, y),
        (many, few[:, :3]),
        (many * 2, few),
        (sparse.csr_matrix(many), sparse.csr_matrix(few)),
        (sparse.csr_array(many), few),
        (text[y].tolist(), text[p].tolist()),
        (y.reshape(-1, 1), p),
        (y, p[:3]),
        ([], []),
        (text[many], text[few]),
        (np.array([1.0, np.nan, 0.0]), np.array([1, 0, 0])),
        ([[1, 2], [3]], [[1], [2]]),
        ("abc", "abd"),
        (3, 4),
        (None, y),
    ]
    for one, other in cases:
        same(name, one, other, message=False)
        same(name, one, other, ulps=64, sample_weight=w, message=False)


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


def test_scorers_need_scikit_learn():
    code = "import sys; sys.modules['sklearn'] = None\nimport fastloss.metrics as m\nm.scorers"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode and 'pip install "scikit-learn' in run.stderr


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


def scorer_pairs():
    from sklearn.metrics import get_scorer_names

    return sorted(set(get_scorer_names()) & set(ours.scorers.SCORERS))


@pytest.mark.parametrize("name", scorer_pairs())
def test_scorers_in_cross_validation(name):
    from sklearn.datasets import load_breast_cancer, load_diabetes
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.model_selection import cross_val_score

    asks = "predict_proba" in str(ours.scorers.SCORERS[name])
    x, y = (load_breast_cancer if asks else load_diabetes)(return_X_y=True)
    x, model = x[:, :5] / x[:, :5].max(axis=0), LogisticRegression() if asks else Ridge(positive=True)
    found, wanted = (cross_val_score(model, x, y, scoring=scoring, cv=3) for scoring in (ours.scorers.SCORERS[name], name))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert repr(pickle.loads(pickle.dumps(ours.scorers.get_scorer(name)))) == repr(ours.scorers.get_scorer(name))


def test_scorers_in_a_grid_search_with_weights_routed():
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    x, y = load_iris(return_X_y=True)
    w = rng.random(len(y))
    results = []
    with sklearn.config_context(enable_metadata_routing=True):
        for scorer in (ours.scorers.neg_log_loss, sklearn.metrics.get_scorer("neg_log_loss")):
            model = LogisticRegression(max_iter=2000).set_fit_request(sample_weight=True)
            search = GridSearchCV(model, {"C": [0.1, 1.0, 10.0]}, scoring=scorer.set_score_request(sample_weight=True), cv=3)
            results.append(search.fit(x, y, sample_weight=w).cv_results_["mean_test_score"])
    np.testing.assert_allclose(*results, rtol=1e-12)


def test_scorer_of_decisions_and_of_text_labels():
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression

    x, y = load_breast_cancer(return_X_y=True)
    x, names = x[:, :4] / x[:, :4].max(axis=0), np.array(["malignant", "benign"])[y]
    model = LogisticRegression().fit(x, y)
    assert ours.scorers.neg_hinge_loss(model, x, y) == pytest.approx(-theirs.hinge_loss(y, model.decision_function(x)), rel=1e-14)
    named = LogisticRegression().fit(x, names)
    wanted = theirs.get_scorer("neg_log_loss")(named, x, names)
    assert ours.scorers.neg_log_loss(named, x, names) == pytest.approx(wanted, rel=1e-14)
    with pytest.raises(ValueError, match="not among the scorers"):
        ours.scorers.get_scorer("accuracy")
