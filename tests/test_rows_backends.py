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
from tests.row_cases import apart, changed, data, disagreements, sizes

COMPILED, NUMBA, PYTHON = backends.current(), NumbaBackend(), PythonBackend()
OTHERS = pytest.mark.parametrize("backend", [NUMBA, PYTHON], ids=["numba", "python"])
NAMES = [name for name, definition in ROW_REGISTRY.items() if definition.base is None]
EVERY = pytest.mark.parametrize("name", NAMES)
# Numba compiles every kernel anew: what these have of the vocabulary, all others have
DEEP = ("softmax_cross_entropy", "multi_margin", "sparsemax", "ranked_probability_score", "top_k_error", "distillation",
        "squared_earth_movers_distance", "multilabel_logistic", "multilabel_margin")  # fmt: skip
CASES = pytest.mark.parametrize(
    ("name", "backend"),
    [pytest.param(name, PYTHON, id=f"{name}-python") for name in NAMES] + [pytest.param(name, NUMBA, id=f"{name}-numba") for name in DEEP],
)
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


def all_outputs(loss, y, z):
    """(value, gradient, Hessian), as far as the loss has them."""
    body = loss.definition.body
    if hasattr(body, "hessian"):
        return loss.loss_gradient_hessian(y, z)
    return loss.loss_gradient(y, z) if hasattr(body, "gradient") else (loss.loss(y, z),)


def agree(name, backend, y, z, **settings):
    theirs, ours = (on(which, lambda: all_outputs(make(name, **settings), y, z)) for which in (COMPILED, backend))
    assert not list(disagreements(name, ours, theirs, y, z, settings))


@EVERY
def test_agrees_with_the_compiled_kernels(name):
    """Each is within 4 + log2(C) ULP of the truth, most results nearer. Numba has one kernel for any number of classes."""
    for classes in CLASSES:
        for dtype in (np.float32, np.float64):
            agree(name, PYTHON, *data(name, dtype, classes, 67 if classes < 1000 else 7))
        agree(name, NUMBA, *data(name, np.float32, classes))
        if name in DEEP:
            agree(name, NUMBA, *data(name, np.float64, classes))


@CASES
def test_agrees_with_other_settings(name, backend):
    definition, classes = ROW_REGISTRY[name], 10
    settings = changed(definition)
    if definition.weights:
        settings["class_weight"] = np.linspace(0.0, 2.0, classes)
    y, z = data(name, np.float64, classes)
    agree(name, backend, y, z, **settings)


@EVERY
def test_nan_and_infinities(name):
    """They come out where they come out of the compiled kernels: masked classes, rows of nothing else, NaN."""
    low, high = ROW_REGISTRY[name].prediction.low, ROW_REGISTRY[name].prediction.high
    for backend, dtype in ((NUMBA, np.float32), (PYTHON, np.float64)):
        # where targets weigh huge terms, whether these reach infinity is a matter of rounding
        huge = float(np.finfo(dtype).max) / (1 if ROW_REGISTRY[name].target is LABELS else 8)
        values = [np.nan] if high < np.inf else [0.0, np.inf, np.nan] if low == 0 else [-np.inf, np.inf, np.nan, -huge, huge]
        y, z = data(name, dtype, 5, n=200)
        rng = np.random.default_rng(3)
        spoiled = rng.random(z.shape) < 0.3
        z[spoiled] = rng.choice(values, spoiled.sum())
        z[:3] = values[0]
        if y.ndim == 2:
            y[100::9, 2] = np.nan
        agree(name, backend, y, z)


def failures(definition):
    """(what is wrong, targets, scores, weights)"""
    y, z = data(definition.name, np.float32, 5, n=300)
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


@CASES
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


@CASES
def test_policies(name, backend):
    """Weights, class weights, ignored rows and NaN: every cost is the exact quotient of what loss() returns."""
    definition = ROW_REGISTRY[name]
    y, z = data(name, np.float64, 7, n=120)
    finite = np.flatnonzero(np.isfinite(make(name).loss(y, z)))
    y, z = (array[finite[np.arange(120) % len(finite)]] for array in (y, z))
    w = np.random.default_rng(5).random(120)
    z[[5, 50]] = np.nan
    settings, own, counted = {}, np.ones(120), np.ones(120, bool)
    if definition.weights:
        settings["class_weight"] = [1.0, 0.5, 2.0, 0.0, 1.0, 3.0, 0.125]
        own = np.array(settings["class_weight"])[y] if definition.target is LABELS else own
    if definition.target is LABELS:
        settings["ignore_index"] = -100
        counted[::9] = False
        y = np.where(counted, y, -100)

    lowered = hasattr(definition.body, "gradient")

    def find():
        loss = make(name, **settings)
        found = [loss.loss(y, z, w), loss.gradient(y, z) if lowered else np.zeros_like(z)]
        found += [loss(y, z, weights, nan="skip", reduction=how) for weights in (None, w) for how in ("mean", "sum")]
        with pytest.raises(fl.InputError) as error:
            loss(y, z, nan="raise")
        seen = fl.State(loss, nan="skip").update(y, z, w).results()[0].n_nan
        part = y[6:40], z[6:40], w[6:40]
        return *found, str(error.value), seen, loss(*part), loss.cost_gradient(*part) if lowered else (loss(*part), np.zeros((34, 7)))

    theirs, ours = on(COMPILED, find), on(backend, find)
    per_row, gradient, mean, total, weighted_mean, weighted_total, message, n_nan, _, (cost, of_the_cost) = ours
    assert not list(disagreements(name, (per_row, gradient), theirs, y, z, settings))
    assert np.isnan(per_row[[5, 50]]).all() and n_nan == 2 and message == theirs[6]
    assert not per_row[~counted].any() and not gradient[~counted].any() and cost == ours[8]
    weighed = (w * own * counted)[6:40]
    scale = (w[6:40] / weighed.sum())[:, None]
    assert not apart(of_the_cost, theirs[9][1], 16, scale * sizes(name, y, z, settings)["gradient"][6:40]).any()
    counted[[5, 50]] = False
    plain = on(backend, lambda: make(name, **settings).loss(y, z))
    weight = sum(map(Fraction, own[counted].tolist()))
    exact = sum(map(Fraction, plain[counted].tolist()))
    assert (mean, total) == (float(exact / weight), float(exact))
    exact = sum(map(Fraction, (plain * w)[counted].tolist()))
    weight = sum(map(Fraction, (own * w)[counted].tolist()))
    assert (weighted_mean, weighted_total) == (float(exact / weight), float(exact))
    assert (mean, weighted_mean) == pytest.approx((theirs[2], theirs[4]), rel=1e-14)


@OTHERS
def test_a_derived_cost(backend):
    y, z = data("softmax_cross_entropy", np.float64, 7)

    def find():
        return [make(name, label_smoothing=0.1)(y, z / 100) for name in ("perplexity", "softmax_cross_entropy")]

    cost, mean = on(backend, find)
    assert cost == np.exp(mean) and cost == pytest.approx(on(COMPILED, find)[0], rel=1e-13)


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
    y, z = data("softmax_cross_entropy", np.float32, 70, n=133)

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
    y, z = data("softmax_cross_entropy", np.float32, 6)
    z = z.astype(bfloat16)
    loss, gradient = on(backend, lambda: make("softmax_cross_entropy").loss_gradient(y, z))
    want = on(backend, lambda: make("softmax_cross_entropy").loss_gradient(y, z.astype(np.float32)))
    assert gradient.dtype == loss.dtype == bfloat16
    assert np.array_equal(loss, want[0].astype(bfloat16)) and np.array_equal(gradient, want[1].astype(bfloat16))


@OTHERS
def test_states_have_the_same_bits_for_any_threads_and_parts(backend):
    n = 20_000 if backend is NUMBA else 500
    y, z = data("softmax_cross_entropy", np.float32, 11, n=n)
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
