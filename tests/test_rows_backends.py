"""Rowwise losses on Numba and in plain Python, held against the compiled kernels: values, errors, policies, layouts, exact sums."""

import os
import subprocess
import sys
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

import fastloss as fl
from fastloss.engine import backends, state
from fastloss.engine.numba_backend import NumbaBackend
from fastloss.engine.python_backend import PythonBackend
from fastloss.losses import ROW_REGISTRY
from fastloss.losses.rowspec import LABELS

COMPILED, NUMBA, PYTHON = backends.current(), NumbaBackend(), PythonBackend()
OTHERS = pytest.mark.parametrize("backend", [NUMBA, PYTHON], ids=["numba", "python"])
EVERY = pytest.mark.parametrize("name", ROW_REGISTRY)
CLASSES = (2, 3, 10, 65, 1100)


def on(backend, do):
    """What do() finds on a backend; the losses in it must be new ones, as a loss keeps what it has bound to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backends, "current", lambda: backend)
        state._question.cache_clear()
        try:
            return do()
        finally:
            state._question.cache_clear()


def make(name, **settings):
    return type(fl.get(name))(**settings)


def changed(definition):
    """All parameters at other than their default values."""
    found = {}
    for name, parameter in definition.parameters.items():
        low, high = parameter.domain.low, parameter.domain.high
        words = [word for word in parameter.names if word != parameter.default]
        found[name] = words[0] if low > high else low + 0.3 * (high - low) if np.isfinite(high - low) else max(low, 0.0) + 0.7
    return found


def rows_in(interval, simplex, shape, rng):
    """Rows of numbers in an interval: of a simplex, or of size 1, some with one number far above the others, some far from zero."""
    low, high = interval.low, interval.high
    if simplex:
        return rng.dirichlet(np.ones(shape[1]), shape[0])
    if np.isfinite(high - low):
        return low + (high - low) * rng.uniform(0.01, 0.99, shape)
    rows = 3 * rng.standard_normal(shape) if not np.isfinite(low) else low + rng.exponential(1.0, shape)
    for i in range(shape[0]):
        if i % 7 in (1, 2):
            rows[i, rng.integers(shape[1])] += 30 * (i % 7)
        if i % 7 in (3, 4):
            rows[i] = rows[i] + 1e4 if i % 7 == 3 else 1e3 * rows[i]
        if i % 7 == 5 and not np.isfinite(low):
            rows[i] -= 500
    return rows


def data(definition, dtype, classes, n=67, seed=0):
    """(targets, scores)"""
    rng = np.random.default_rng(1000 * seed + classes)
    z = rows_in(definition.prediction, definition.simplex in ("scores", "both"), (n, classes), rng).astype(dtype)
    if definition.target is LABELS:
        y = rng.integers(0, classes, n)
        for i in range(0, n, 6):  # confident and right
            z[i, y[i]] += dtype(25 if definition.prediction.high == np.inf else 0)
        return y, z
    return rows_in(definition.target, definition.simplex in ("targets", "both"), (n, classes), rng).astype(dtype), z


def differ(mine, theirs, ulp, whole=False):
    """Where two results differ by more than so many ULP: of themselves, or of the largest of the row."""
    mine, theirs = np.asarray(mine), np.asarray(theirs)
    with np.errstate(invalid="ignore"):
        size = np.minimum(np.abs(mine), np.abs(theirs))
        size = np.nanmax(size, axis=-1, keepdims=True) if whole else size
        return ~((mine == theirs) | (np.isnan(mine) & np.isnan(theirs)) | (np.abs(mine.astype(float) - theirs) <= ulp * np.spacing(size)))


def all_outputs(loss, y, z):
    return loss.loss_gradient_hessian(y, z) if hasattr(loss.definition.body, "hessian") else loss.loss_gradient(y, z)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@OTHERS
@EVERY
def test_agrees_with_the_compiled_kernels(name, backend, dtype):
    """Each is within 4 + log2(C) ULP of the truth, most results nearer; seen are up to 6."""
    for classes in CLASSES:
        n = 67 if classes < 1000 or backend is NUMBA else 14
        y, z = (array[:n] for array in data(ROW_REGISTRY[name], dtype, classes))
        theirs, ours = (on(which, lambda y=y, z=z: all_outputs(make(name), y, z)) for which in (COMPILED, backend))
        for mine, other in zip(ours, theirs, strict=True):
            wrong = differ(mine, other, 8)
            assert mine.dtype == other.dtype and not wrong.any(), (classes, mine[wrong][:3], other[wrong][:3])


@OTHERS
@EVERY
def test_agrees_with_other_settings(name, backend):
    """Where terms of a gradient cancel, what is left is as good as the row's largest."""
    definition, classes = ROW_REGISTRY[name], 10
    settings = changed(definition)
    if definition.weights:
        settings["class_weight"] = np.linspace(0.0, 2.0, classes)
    y, z = data(definition, np.float64, classes)
    theirs, ours = (on(which, lambda: make(name, **settings).loss_gradient(y, z)) for which in (COMPILED, backend))
    assert not differ(ours[0], theirs[0], 16).any() and not differ(ours[1], theirs[1], 64, whole=True).any()


@OTHERS
@EVERY
def test_nan_and_infinities(name, backend):
    """They come out where they come out of the compiled kernels: masked classes, rows of nothing else, NaN."""
    definition = ROW_REGISTRY[name]
    values = [np.nan] if definition.prediction.low > -np.inf else [-np.inf, np.inf, np.nan, -3e38, 3e38]
    y, z = data(definition, np.float32, 5, n=200)
    rng = np.random.default_rng(3)
    spoiled = rng.random(z.shape) < 0.3
    z[spoiled] = rng.choice(values, spoiled.sum())
    z[:3] = values[0]
    theirs, ours = (on(which, lambda: make(name).loss_gradient(y, z)) for which in (COMPILED, backend))
    for mine, other in zip(ours, theirs, strict=True):
        wrong = differ(mine, other, 8)
        assert not wrong.any(), (z[wrong.reshape(len(z), -1).any(1)][:3], mine[wrong][:3], other[wrong][:3])


def failures(definition):
    """(what is wrong, targets, scores, weights)"""
    y, z = data(definition, np.float32, 5, n=300)
    z = rows_in(definition.prediction, definition.simplex in ("scores", "both"), z.shape, np.random.default_rng(1)).astype(np.float32)
    w = np.ones(300)
    if definition.target is LABELS:
        for bad in (-1, 5, 2**40):
            yield f"label {bad}", np.where(np.arange(300) == 211, bad, y), z, w
        yield "uint64", np.where(np.arange(300) == 40, np.uint64(2**64 - 1), y.astype(np.uint64)), z, w
    else:
        for bad in (definition.target.low - 1, definition.target.high + 1):
            if np.isfinite(bad):
                wrong = y.copy()
                wrong[211, 3] = bad
                yield f"target {bad}", wrong, z, w
    for bad in (definition.prediction.low - 1, definition.prediction.high + 1):
        if np.isfinite(bad):
            wrong = z.copy()
            wrong[97, 4] = wrong[98, 0] = bad
            yield f"score {bad}", y, wrong, w
    for bad in (-1.0, np.nan, np.inf):
        yield f"weight {bad}", y, z, np.where(np.arange(300) >= 131, bad, w)
    if definition.target is LABELS:  # the first bad row is named, whatever is wrong with it, and in the same row the weight
        for label, weight in ((131, 140), (131, 129), (131, 131)):
            yield "two", np.where(np.arange(300) == label, 9, y), z, np.where(np.arange(300) == weight, -1.0, w)


@OTHERS
@EVERY
def test_the_same_errors(name, backend):
    definition = ROW_REGISTRY[name]

    def error(y, z, w):
        with pytest.raises(fl.InputError) as found:
            make(name)(y, z, w)
        return str(found.value)

    cases = list(failures(definition))
    assert cases
    for what, *case in cases:
        theirs, ours = (on(which, lambda case=case: error(*case)) for which in (COMPILED, backend))
        assert ours == theirs, what


@OTHERS
@EVERY
def test_policies(name, backend):
    """Weights, class weights, ignored rows and NaN: every cost is the exact quotient of what loss() returns."""
    definition = ROW_REGISTRY[name]
    y, z = data(definition, np.float64, 7, n=120)
    w = np.random.default_rng(5).random(120)
    z[[5, 50]] = np.nan
    settings, own, counted = {}, np.ones(120), np.ones(120, bool)
    if definition.weights:
        settings["class_weight"] = [1.0, 0.5, 2.0, 0.0, 1.0, 3.0, 0.125]
        own = np.array(settings["class_weight"])[y]
    if definition.target is LABELS:
        settings["ignore_index"] = -100
        counted[::9] = False
        y = np.where(counted, y, -100)

    def find():
        loss = make(name, **settings)
        per_row = loss.loss(y, z, w)
        found = [per_row, loss.loss_gradient(y, z)[1]]
        found += [loss(y, z, weights, nan="skip", reduction=how) for weights in (None, w) for how in ("mean", "sum")]
        with pytest.raises(fl.InputError) as error:
            loss(y, z, nan="raise")
        seen = fl.State(loss, nan="skip").update(y, z, w).results()[0].n_nan
        return *found, str(error.value), seen, loss(y[6:40], z[6:40], w[6:40]), loss.cost_gradient(y[6:40], z[6:40], w[6:40])

    theirs, ours = on(COMPILED, find), on(backend, find)
    per_row, gradient, mean, total, weighted_mean, weighted_total, message, n_nan, _, (cost, of_the_cost) = ours
    assert not differ(per_row, theirs[0], 16).any() and not differ(gradient, theirs[1], 16).any()
    assert np.isnan(per_row[[5, 50]]).all() and n_nan == 2 and message == theirs[6]
    assert not per_row[~counted].any() and not gradient[~counted].any() and cost == ours[8]
    assert not differ(of_the_cost, theirs[9][1], 16).any()
    counted[[5, 50]] = False
    plain = on(backend, lambda: make(name, **settings).loss(y, z))
    weight = sum(map(Fraction, own[counted].tolist()))
    exact = sum(map(Fraction, plain[counted].tolist()))
    assert (mean, total) == (float(exact / weight), float(exact))
    exact = sum(map(Fraction, (plain * w)[counted].tolist()))
    weight = sum(map(Fraction, (own * w)[counted].tolist()))
    assert (weighted_mean, weighted_total) == (float(exact / weight), float(exact))
    assert (mean, weighted_mean) == pytest.approx((theirs[2], theirs[4]), rel=1e-14)


def layouts(z):
    """(what it is, the scores so laid out)"""
    padded = np.zeros((len(z), z.shape[1] + 3), z.dtype)
    padded[:, 1:-2] = z
    yield "columns first", np.asfortranarray(z)
    yield "padded", padded[:, 1:-2]
    yield "backwards", np.ascontiguousarray(z[::-1, ::-1])[::-1, ::-1]
    yield "swapped", z.astype(z.dtype.newbyteorder())
    yield "columns", [np.repeat(column, 2)[::2] for column in z.T]
    yield "blocks", z[: len(z) // 10 * 10].reshape(-1, 10, z.shape[1])


@OTHERS
def test_layouts(backend):
    """The same numbers in any layout give the same bits; the gradient is laid out as the scores."""
    y, z = data(ROW_REGISTRY["softmax_cross_entropy"], np.float32, 70, n=133)

    def find():
        loss = make("softmax_cross_entropy")
        plain, gradient = loss.loss_gradient(y, z)
        for what, scores in layouts(z):
            labels = y[:130].reshape(13, 10) if what == "blocks" else y.astype(np.uint8)[::-1][::-1]
            found, made = loss.loss_gradient(labels, scores)
            assert np.array_equal(found.ravel(), plain[: found.size]), what
            assert np.array_equal(made.reshape(-1, 70), gradient[: found.size]), what
        for dtype in (np.float16, np.int8):
            given = z.clip(-100, 100).astype(dtype)
            wide = np.float32 if dtype is np.float16 else np.float64
            found, want = loss.loss(y, given), loss.loss(y, given.astype(wide))
            assert np.array_equal(found, want.astype(found.dtype))
        for scores in (z.copy(), np.asfortranarray(z)):  # in place
            assert loss.gradient(y, scores, gradient_out=scores) is scores and np.array_equal(scores, gradient)
        out = np.full((133, 140), 7.0)[:, ::2]
        assert np.array_equal(loss.gradient(y, z, gradient_out=out).astype(np.float32), gradient)

    on(backend, find)


@OTHERS
def test_bfloat16(backend):
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    y, z = data(ROW_REGISTRY["softmax_cross_entropy"], np.float32, 6)
    z = z.astype(bfloat16)
    loss, gradient = on(backend, lambda: make("softmax_cross_entropy").loss_gradient(y, z))
    want = on(backend, lambda: make("softmax_cross_entropy").loss_gradient(y, z.astype(np.float32)))
    assert gradient.dtype == loss.dtype == bfloat16
    assert np.array_equal(loss, want[0].astype(bfloat16)) and np.array_equal(gradient, want[1].astype(bfloat16))


@OTHERS
def test_states_have_the_same_bits_for_any_threads_and_parts(backend):
    n = 20_000 if backend is NUMBA else 500
    y, z = data(ROW_REGISTRY["softmax_cross_entropy"], np.float32, 11, n=n)
    w = np.random.default_rng(2).random(n)

    def find():
        losses = [make("softmax_cross_entropy", **settings) for settings in ({}, {"ignore_index": 3}, {"label_smoothing": 0.1})]
        whole = [fl.State(losses).update(y, z, w, n_threads=threads) for threads in (1, 2, 5)]
        parts = fl.State(losses).update(y[: n // 3], z[: n // 3], w[: n // 3])
        parts.merge(fl.State(losses).update(y[n // 3 :], z[n // 3 :], w[n // 3 :]))
        gradients = {make("softmax_cross_entropy").cost_gradient(y, z, w, n_threads=threads)[1].tobytes() for threads in (1, 2, 5)}
        assert len(gradients) == 1
        assert whole[0].to_bytes() == whole[1].to_bytes() == whole[2].to_bytes() == parts.to_bytes()
        assert fl.evaluate(losses, y, z, w) == parts.compute() and parts.bits == {backend.bits}

    on(backend, find)


def test_no_array_of_all_scores_is_made():
    """A slab is all that is converted: 32 MB of scores of another dtype and layout, and their gradient, go through less than 4."""
    y, z = np.zeros(40_000, np.int64), np.zeros((40_000, 400), np.float16, order="F")
    loss = make("softmax_cross_entropy")
    on(NUMBA, lambda: loss.cost_gradient(y[:99], z[:99]))  # compiled
    tracemalloc.start()
    on(NUMBA, lambda: loss.cost_gradient(y, z, gradient_out=z, n_threads=1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4e6


@pytest.mark.parametrize("backend", ["numba", "python"])
def test_forced(backend):
    code = (
        "import numpy as np, fastloss as fl\n"
        "print(fl.info()['backend'], fl.softmax_cross_entropy([0, 2], np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])))"
    )
    environment = {key: value for key, value in os.environ.items() if key != "FASTLOSS_ISA"} | {"FASTLOSS_BACKEND": backend}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    name, cost = done.stdout.split()
    assert name == backend and float(cost) == pytest.approx((np.log(3) + 0.4076059644443803) / 2, rel=1e-15), done.stderr
