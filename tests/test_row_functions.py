"""softmax, log_softmax and logsumexp: against mpmath and SciPy's conventions; layouts, dtypes, buffers, errors."""

import inspect

import numpy as np
import pytest
from mpmath import mp, mpf

import fastloss as fl
from fastloss.engine import backends, rowfunctions
from fastloss.engine.numba_backend import NumbaBackend
from fastloss.engine.python_backend import PythonBackend
from tests.accuracy import error
from tests.rows import scores

FUNCTIONS = {"softmax": fl.softmax, "log_softmax": fl.log_softmax, "logsumexp": fl.logsumexp}
EVERY = pytest.mark.parametrize("name", FUNCTIONS)


def truth(name, row, temperature=1.0):
    """The formula, with more digits than can cancel."""
    with mp.workprec(3000):
        u = [mpf(float(x)) / temperature for x in row]
        e = [mp.exp(x) for x in u]
        whole = mp.fsum(e)
        if name == "softmax":
            return [x / whole for x in e]
        # what is apart from the largest, as a logarithm of 1 + something: 3000 bits hold gaps of 1000
        return [x - mp.log(whole) for x in u] if name == "log_softmax" else temperature * mp.log(whole)


def rows_of(classes, dtype):
    """Gaps of all sizes up to 1000, right and left; ties; masked classes."""
    made = scores(classes, dtype, np.random.default_rng(classes), True)
    return [row for row in (row.astype(dtype) for _, row in made) if np.ptp(row[np.isfinite(row)]) < 1000]


@pytest.mark.parametrize("classes", [2, 3, 10, 65, 100])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@EVERY
def test_within_the_promise(name, dtype, classes):
    rows = rows_of(classes, dtype)
    for temperature in (1.0, 2.0):
        found = FUNCTIONS[name](np.array(rows), temperature=temperature)
        worst = 0.0
        for row, got in zip(rows, found, strict=True):
            true = truth(name, row, temperature)
            if name == "logsumexp":
                worst = max(worst, error(float(got), true, dtype, max(abs(float(row.max())), 1e-300)))
            else:
                worst = max(worst, *(error(float(a), b, dtype) for a, b in zip(got, true, strict=True)))
        assert worst <= 4 + np.log2(classes)


def test_the_textbooks_log_softmax_is_refused():
    """z - logsumexp(z) has no digits of a confident class left: the measure sees that."""
    row = np.array([20.0, 0.0, 1.0])
    got = row - fl.logsumexp(row)
    assert error(float(got[0]), truth("log_softmax", row)[0], "float64") > 1e6
    assert error(float(fl.log_softmax(row)[0]), truth("log_softmax", row)[0], "float64") <= 4


def test_they_are_of_one_piece():
    """softmax is the gradient of log_sum_exp, logsumexp its loss; log_softmax minus the cross-entropy."""
    rng = np.random.default_rng(0)
    z, y = rng.standard_normal((50, 7)), rng.integers(0, 7, 50)
    for temperature in (1.0, 3.0):
        loss = fl.LogSumExp(temperature=temperature)
        assert np.array_equal(fl.softmax(z, temperature=temperature), loss.gradient(y, z))
        assert np.array_equal(fl.logsumexp(z, temperature=temperature), loss.loss(y, z))
        ce = fl.SoftmaxCrossEntropy(temperature=temperature).loss(y, z)
        np.testing.assert_allclose(fl.log_softmax(z, temperature=temperature)[np.arange(50), y], -ce, rtol=1e-15)
    costs = fl.evaluate(["log_sum_exp", "softmax_cross_entropy", "top_k_error:k=2"], y, z)
    assert costs["log_sum_exp"] == fl.log_sum_exp(y, z) == pytest.approx(np.log(np.exp(z).sum(1)).mean(), rel=1e-14)


@pytest.mark.parametrize("classes", [3, 70])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@EVERY
def test_layouts_have_the_same_bits(name, dtype, classes):
    function = FUNCTIONS[name]
    z = np.random.default_rng(1).standard_normal((24, classes)).astype(dtype)
    wanted = function(z)
    per_class = name != "logsumexp"
    assert wanted.dtype == dtype and wanted.shape == (z.shape if per_class else (24,))
    strided, swapped = np.repeat(np.repeat(z, 2, 0), 3, 1)[::2, ::3], z.astype(z.dtype.newbyteorder())
    for layout in (np.asfortranarray(z), strided, z[::-1].copy()[::-1], list(np.ascontiguousarray(z.T)), swapped):
        assert np.array_equal(function(layout), wanted)
    assert np.array_equal(function(z.tolist()), function(z.astype(float)))
    cube = function(z.reshape(2, 3, 4, classes))
    assert cube.shape == ((2, 3, 4, classes) if per_class else (2, 3, 4)) and np.array_equal(cube.reshape(wanted.shape), wanted)
    assert np.array_equal(function(z[5]), wanted[5]) and np.shape(function(z[5])) == np.shape(wanted[5])
    assert np.array_equal(function(z, n_threads=3), function(z, n_threads=1))
    assert function(z[:0]).shape == (wanted[:0]).shape


@EVERY
def test_dtypes(name):
    function = FUNCTIONS[name]
    z = np.random.default_rng(2).integers(-9, 9, (20, 5))
    wanted = function(z.astype(float))
    assert np.array_equal(function(z), wanted) and function(z).dtype == np.float64
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    for dtype in (np.float16, bfloat16):
        half = function(z.astype(dtype))
        assert half.dtype == dtype and np.array_equal(half, function(z.astype(np.float32)).astype(dtype))


@EVERY
def test_buffers(name):
    function = FUNCTIONS[name]
    z = np.random.default_rng(3).standard_normal((20, 5))
    wanted = function(z)
    for dtype in (np.float64, np.float32):
        out = np.full(wanted.shape, np.nan, dtype)
        assert function(z, out=out) is out and np.array_equal(out, wanted.astype(dtype))
    out = np.empty(wanted[3].shape)
    assert function(z[3], out=out) is out and np.array_equal(out, wanted[3])
    if name != "logsumexp":
        assert function(z, out=z) is z and np.array_equal(z, wanted)


@EVERY
def test_edges_are_scipys(name):
    special = pytest.importorskip("scipy.special")
    inf, nan = np.inf, np.nan
    z = np.array([[0, -inf, 1], [-inf, 5, -inf], [-inf] * 3, [inf, 0, 1], [nan, 0, inf], [nan, -inf, -inf], [1e300, -1e300, 0]])
    with np.errstate(all="ignore"):
        wanted = getattr(special, name)(z, axis=-1)
        wanted[3] = nan if name == "log_softmax" else wanted[3]  # SciPy's has -inf beside the NaN of +inf - inf
        np.testing.assert_allclose(FUNCTIONS[name](z), wanted, rtol=1e-15)
        np.testing.assert_allclose(FUNCTIONS[name](list(z.T.copy())), wanted, rtol=1e-15)
        np.testing.assert_allclose(FUNCTIONS[name](z[2]), wanted[2])


@pytest.mark.parametrize("value, options, error, message", [
    (np.ones((3, 1)), {}, ValueError, "`z` has 1 column; rows of scores are of 2 classes or more"),
    (1.0, {}, ValueError, "`z` must have rows of C scores"),
    (np.array(["a", "b"]), {}, TypeError, "`z` must be an array of"),
    (np.ones((3, 2)), {"temperature": 0.0}, ValueError, "`temperature` of `.*` must be > 0, got 0.0"),
    (np.ones((3, 2)), {"temperature": np.ones(3)}, ValueError, "`temperature` of `{name}` must be > 0, got array"),
    (np.ones((3, 2)), {"temperature": [1.0]}, ValueError, r"`temperature` of `{name}` must be > 0, got \[1.0\]"),
    (np.ones((3, 2), "float32"), {"temperature": 1e-300}, ValueError, "`temperature` of `{name}` must be > 0; 1e-300 is 0.0 in float32"),
    (np.ones((3, 2), "float32"), {"temperature": 1e300}, ValueError, "`temperature` of `{name}` must be > 0; 1e[+]300 is inf in float32"),
    ([np.ones(2), [1.0, 2.0]], {}, ValueError, r"`z` must be an array of rows, .* got a ndarray as `z\[0\]` and a list as `z\[1\]`"),
    (np.ones((3, 2)), {"n_threads": 0}, ValueError, "`n_threads` must be a whole number from 1"),
    (np.ones((3, 2)), {"out": np.empty((2, 3))}, ValueError, r"`out` must be a writeable float .* of shape \(3,.*, got float64 \(2, 3\)"),
    (np.ones((3, 2)), {"out": 3}, ValueError, "`out` must be a writeable float array of shape .*, got int"),
])  # fmt: skip
@EVERY
def test_refused(name, value, options, error, message):
    with pytest.raises(error, match=message.replace("{name}", name)):
        FUNCTIONS[name](value, **options)


def test_buffers_that_overlap_are_refused():
    z = np.ones((4, 3))
    for function, out in ((fl.softmax, z[:, ::-1]), (fl.logsumexp, z[:, 0])):
        with pytest.raises(ValueError, match="`out` overlaps `z`"):
            function(z, out=out)
    for function, shape in ((fl.softmax, z.shape), (fl.logsumexp, (4,))):
        out = np.empty(shape)
        out.flags.writeable = False
        with pytest.raises(ValueError, match="`out` is read-only"):
            function(z, out=out)
    with pytest.raises(ValueError, match="`out` of shape .* cannot be seen as rows without a copy"):
        fl.softmax(np.ones((4, 5, 3)), out=np.empty((5, 4, 3)).transpose(1, 0, 2))


def test_scores_and_buffers_of_any_strides():
    z = np.random.default_rng(2).standard_normal((5, 4, 3))
    out = np.full((5, 4), -7.0).T
    assert fl.logsumexp(z.transpose(1, 0, 2), out=out) is out
    assert np.array_equal(out, fl.logsumexp(z).T)
    assert np.array_equal(fl.softmax(z.transpose(1, 0, 2)), fl.softmax(z).transpose(1, 0, 2))


@pytest.mark.parametrize("shape", [(5, 4), (2, 5, 2), (20,), ()])
def test_infinite_scores_reach_buffers_of_any_strides(shape):
    z = np.random.default_rng(2).standard_normal((*shape, 3))
    rows = z.reshape(-1, 3)
    rows[0] = -np.inf
    rows[7 % len(rows) :: 5, 1] = np.inf
    with np.errstate(divide="ignore"):
        wanted = np.log(np.exp(z).sum(-1))
    backwards = (..., *[slice(None, None, -1)] * len(shape))
    for out in (np.full(shape[::-1], -7.0).T, np.full((*shape, 2), -7.0)[..., 1:][..., 0], np.full(shape, -7.0)[backwards]):
        assert fl.logsumexp(z, out=out) is out
        np.testing.assert_allclose(out, wanted, rtol=1e-14)


@EVERY
def test_documented(name):
    text = inspect.getdoc(FUNCTIONS[name])
    for word in ("temperature", "out ", "n_threads", "dtypes", "accuracy", "edges", "errors"):
        assert word in text
    assert name in dir(fl) and "{" not in text


@pytest.mark.parametrize("backend", ["numba", "python"])
@EVERY
def test_other_backends_agree(name, backend, monkeypatch):
    """Each is within the promise; edges come out where they do of the compiled kernels."""
    z = np.array([[0.5, -np.inf, 1.0], [20.0, 0.0, 1.0], [-np.inf] * 3, [np.nan, 0.0, 1.0], [1e5, 1e5 - 1, -1e5]])
    want = FUNCTIONS[name](z)
    rowfunctions.configured.cache_clear()  # what has bound kernels keeps them
    monkeypatch.setattr(backends, "current", {"numba": NumbaBackend, "python": PythonBackend}[backend])
    try:
        np.testing.assert_allclose(FUNCTIONS[name](z), want, rtol=1e-15, atol=0)
    finally:
        rowfunctions.configured.cache_clear()
