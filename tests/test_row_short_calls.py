"""The short way of plain rows gives what the general way gives: the same bits, types and errors; and takes what it should take."""

import math
import pickle

import numpy as np
import pytest

import fastloss as fl
from fastloss.engine import backends
from fastloss.engine.configured import NoCalls
from fastloss.losses import ROW_REGISTRY
from fastloss.losses.rowspec import LABELS
from fastloss.losses.spec import UNIT
from tests.test_calls import BUFFERS, PARTS, bits, outcome

NAMES = [name for name, definition in ROW_REGISTRY.items() if not definition.base]
METHODS = [
    lambda loss, y, z, w, **o: loss(y, z, w, **o), lambda loss, y, z, w, **o: loss(y, z, sample_weight=w, reduction="sum", **o),
    lambda loss, y, z, w, **o: loss(y, z, w, nan="skip", **o), lambda loss, y, z, w, **o: loss(y, z, w, nan="raise", **o),
    *(lambda loss, y, z, w, m=m, **o: getattr(loss, m)(y, z, w, **o) for m in (*PARTS, "cost_gradient")),
    lambda loss, y, z, w, **o: loss.cost_gradient(y, z, w, divisor=3.0, **o),
    lambda loss, y, z, w, **o: loss.cost_gradient(y, z, w, divisor=7, **o),
]  # fmt: skip

needs_short_way = pytest.mark.skipif(not hasattr(backends.current(), "row_calls"), reason="this backend has no short way for rows")


def same_both_ways(loss, y, z, w, calls=METHODS, **options):
    twin = pickle.loads(pickle.dumps(loss))
    object.__setattr__(twin, "_calls", NoCalls)
    for call in calls:
        assert outcome(call, loss, y, z, w, **options) == outcome(call, twin, y, z, w, **options)


def rows(definition, n, classes, dtype="float32", seed=0):
    """(targets or labels, scores, weights of rows)"""
    rng = np.random.default_rng([seed, n, classes])
    z = rng.standard_normal((n, classes)) * 3
    if definition.prediction.low == 0.0 or definition.prediction == UNIT:
        z = np.exp(z)
        z /= z.sum(axis=1, keepdims=True)
    elif definition.prediction.high == 0.0:
        z = -np.abs(z)
    y = rng.integers(0, classes, n)
    if definition.target is not LABELS:
        y = rng.random((n, classes))
        y = y if "multilabel" in definition.name else y / y.sum(axis=1, keepdims=True)
        y = (y < 0.4) * 1.0 if definition.name == "multilabel_margin" else y
        y = (np.log(y) if "log_targets" in definition.name else y).astype(dtype)
    return y, z.astype(dtype), rng.random(n)


def configured(name, classes):
    """The loss as it is, and with each of its options and unusual parameters."""
    kind = type(fl.get(name))
    weights = [0.5 + 0.25 * (j % 5) for j in range(classes)]
    options = {"class_weight": weights, "ignore_index": 1, "label_smoothing": 0.25, "softcap": 4.0, "temperature": 2.0}
    known = {*kind.definition.options, *kind.definition.parameters}
    yield kind()
    for option in known & options.keys():
        yield kind(**{option: options[option]})
    if {"class_weight", "ignore_index"} <= known:
        yield kind(class_weight=weights, ignore_index=1)


@needs_short_way
@pytest.mark.parametrize("name", NAMES)
def test_every_loss_option_and_size(name):
    for n, classes in ((1, 2), (1, 129), (3, 3), (15, 10), (16, 2), (17, 128), (40, 129), (300, 7)):
        for loss in configured(name, classes):
            for dtype in ("float32", "float64"):
                y, z, w = rows(loss.definition, n, classes, dtype)
                for weights in (None, w):
                    same_both_ways(loss, y, z, weights)


@needs_short_way
@pytest.mark.parametrize("name", ["softmax_cross_entropy", "soft_label_cross_entropy"])
def test_dtypes(name):
    loss = fl.get(name)
    y, z, w = rows(loss.definition, 40, 5)
    targets = (
        ["int8", "uint8", "uint16", "int32", "int64", "uint64", "bool", "float32"]
        if loss.labels
        else ["float16", "float32", "float64", "int32"]
    )
    for target in targets:
        for scores in ("float16", "float32", "float64", "int32"):
            for weights in (None, w.astype("float16"), np.arange(40)):
                same_both_ways(loss, y.astype(target), z.astype(scores), weights)
    if loss.labels:
        ignoring = fl.SoftmaxCrossEntropy(ignore_index=-1)
        for kind in ("uint64", "int64", "uint8"):
            same_both_ways(ignoring, np.where(y == 2, -1, y).astype(kind), z, None)


@needs_short_way
def test_threads():
    loss = fl.SoftmaxCrossEntropy()
    for n, classes in ((20, 5), (5000, 10), (300, 200)):
        y, z, w = rows(loss.definition, n, classes)
        for n_threads in (None, 1, 2, 7, 300, np.int64(2), True, 0, -1, 2**70, 1.5, "2"):
            same_both_ways(loss, y, z, w, n_threads=n_threads)
            same_both_ways(loss, y, z, None, n_threads=n_threads)
        assert loss.calls().cost(y, z, w, 2) is not None


@needs_short_way
@pytest.mark.parametrize("n", [4, 3000])
def test_special_values_and_errors(n):
    for name in ("softmax_cross_entropy", "multiclass_log_loss", "kl_divergence", "multi_margin", "softmax_cross_entropy:ignore_index=1"):
        loss = fl.get(name)
        y, z, w = rows(loss.definition, n, 3)
        for bad in (math.nan, math.inf, -math.inf, -1.0, 2.0):
            for array, at in ((z, (n // 2, 1)), (w, n // 2), (y, (n // 2, 0) if y.ndim > 1 else n // 2)):
                if array is y and y.dtype.kind == "i":
                    bad = {math.nan: 3, math.inf: -1, -math.inf: -100}.get(bad, int(bad) if bad == bad and abs(bad) < 9 else 0)
                kept = array[at]
                array[at] = bad
                same_both_ways(loss, y, z, None)
                same_both_ways(loss, y, z, w)
                array[at] = kept
        same_both_ways(loss, y, z, np.zeros(n))
        same_both_ways(loss, y, z, np.full(n, 1e-310))
    y, z, w = rows(fl.SoftmaxCrossEntropy.definition, n, 3)
    for loss in (fl.SoftmaxCrossEntropy(ignore_index=1), fl.SoftmaxCrossEntropy(ignore_index=1, class_weight=[1, 2, 3])):
        same_both_ways(loss, np.ones_like(y), z, w)  # all ignored
        same_both_ways(loss, np.ones_like(y), z, None)
    same_both_ways(fl.SoftmaxCrossEntropy(class_weight=[1, 2]), y, z, None)  # of another number of classes
    for divisor in (0.0, -1.0, math.nan, 1e300, 1e-300, "a", 10**400, np.float64(3), np.float32(3), np.int64(3), True, None):
        same_both_ways(fl.SoftmaxCrossEntropy(), y, z, w, [lambda loss, y, z, w, d=divisor: loss.cost_gradient(y, z, w, divisor=d)])


@needs_short_way
@pytest.mark.parametrize("name", NAMES)
def test_at_addresses(name):
    for n, classes in ((1, 2), (20, 5), (5, 200), (700, 40)):
        for loss in configured(name, classes):
            for dtype in ("float32", "float64"):
                y, z, _ = rows(loss.definition, n, classes, dtype)
                gradient = np.full_like(z, 7.0)
                call = y.ctypes.data, z.ctypes.data, n, dtype == "float64"
                want = outcome(lambda loss, y, z: loss(y, z), loss, y, z)  # an error where all rows are ignored
                assert (
                    (loss.calls().at(*call, 0, classes) is None)
                    if want[0] is ValueError
                    else bits(loss.calls().at(*call, 0, classes)) == want
                )
                if "gradient" in dir(loss.definition.body) and want[0] is not ValueError:
                    want = outcome(lambda loss, y, z: loss.cost_gradient(y, z), loss, y, z)
                    assert (bits(loss.calls().at(*call, gradient.ctypes.data, classes)), bits(gradient)) == want
                else:
                    assert loss.calls().at(*call, gradient.ctypes.data, classes) is None and (gradient == 7.0).all()
    assert loss.calls().at(0, *call[1:], 0, classes) is None and loss.calls().at(call[0], 0, *call[2:], 0, classes) is None
    assert loss.calls().at(*call[:2], 0, *call[3:], 0, classes) is None and loss.calls().at(*call, 0, 1) is None


@needs_short_way
def test_shapes():
    loss = fl.SoftmaxCrossEntropy()
    y, z, w = rows(loss.definition, 24, 4)
    views = [
        lambda a: a, lambda a: a.reshape(2, 12, *a.shape[1:]), lambda a: a.reshape(24, 1, *a.shape[1:]), lambda a: a[::2], lambda a: a[:0],
        lambda a: a[::-1], lambda a: np.asfortranarray(a), lambda a: a.astype(a.dtype.newbyteorder()), lambda a: a.tolist(),
        lambda a: a[:1],
        lambda a: np.ma.array(a), lambda a: a.view(np.memmap), lambda a: a[0], lambda a: a.ravel(), lambda a: a.astype(object),
    ]  # fmt: skip
    for view in views:
        for other in (view, views[0], views[1]):
            for weights in (None, w, 2.0, np.float32(2)):
                same_both_ways(loss, view(y), other(z), weights)
            same_both_ways(loss, view(y), view(z), other(w))
    same_both_ways(loss, y, z[:, :1], None)
    same_both_ways(loss, z, z, None)
    same_both_ways(fl.SoftLabelCrossEntropy(), y, z, None)
    assert loss.calls().outputs(3, y.reshape(2, 12), z.reshape(2, 12, 4), None, None, None, None, None)[0].shape == (2, 12)


@needs_short_way
@pytest.mark.parametrize("n", [8, 3000])
def test_buffers(n):
    """Buffers of any kind: of the short way, or left to the general one; also those that are refused."""
    loss, c = fl.SoftmaxCrossEntropy(), 4
    y, z, w = rows(loss.definition, n, c)
    frozen = np.empty((n, c), np.float32)
    frozen.flags.writeable = False
    memory = np.zeros(2 * n * c + 1, np.float32)
    kinds = [
        lambda: np.empty((n, c), np.float32), lambda: np.empty((n, c)), lambda: np.empty((n, c), np.float16),
        lambda: np.empty((n, c), ">f4"),
        lambda: np.empty((2 * n, c), np.float32)[::2], lambda: np.empty((n + 1, c), np.float32), lambda: np.empty((n, c), np.int32),
        lambda: frozen, lambda: np.empty((n, c, 1), np.float32), lambda: [0.0] * n, lambda: np.empty((c, n), np.float32).T,
        lambda: np.empty(n, np.float32), lambda: memory[: n * c].reshape(n, c).view(np.recarray),
    ]  # fmt: skip
    for make in kinds:
        for weights in (None, w):
            calls = [
                lambda loss, y, z, w, make=make: loss.gradient(y, z, w, gradient_out=make()),
                lambda loss, y, z, w, make=make: loss.loss(y, z, w, loss_out=make()),
                lambda loss, y, z, w, make=make: loss.loss_gradient_hessian(y, z, w, None, make(), make()),
                lambda loss, y, z, w, make=make: loss.cost_gradient(y, z, w, gradient_out=make()),
            ]
            same_both_ways(loss, y, z, weights, calls)
    given = dict(zip(BUFFERS.values(), (np.empty(n, np.float32), np.empty((n, c), np.float32), np.empty((n, c), np.float32)), strict=True))
    for method, part in PARTS.items():
        wanted = [name for i, name in enumerate(BUFFERS.values()) if part & 1 << i]
        found = getattr(loss, method)(y, z, **{name: given[name] for name in wanted})
        assert all(a is given[name] for a, name in zip(found if isinstance(found, tuple) else (found,), wanted, strict=True))
    size = n * c
    memory[:size] = z.ravel()
    for start, stop in ((0, size), (1, size + 1), (size, 2 * size)):  # the scores' own memory, a part of it, none of it

        def at(loss, y, z, w, start=start, stop=stop):
            copied = memory.copy()
            found = loss.cost_gradient(y, copied[:size].reshape(n, c), w, gradient_out=copied[start:stop].reshape(n, c))
            return *found, copied

        same_both_ways(loss, y, z, w, [at])
    buffers = memory[:size].reshape(n, c)
    same_both_ways(loss, y, z, w, [lambda loss, y, z, w: loss.gradient_hessian(y, z, w, buffers, buffers)])
    label = np.zeros(n, np.int64)
    over = label.view(np.float32)[:n]  # the losses where the labels are
    same_both_ways(loss, label, z, w, [lambda loss, y, z, w: loss.loss(y, z, w, loss_out=over)])


@needs_short_way
def test_what_goes_the_short_way():
    """And what does not: costs that are more than a mean, sums that are looked at, losses without the derivative asked for."""
    y, z, w = rows(fl.SoftmaxCrossEntropy.definition, 20, 4)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    for loss in (fl.SoftmaxCrossEntropy(), fl.SoftmaxCrossEntropy(class_weight=[1, 2, 3, 4], ignore_index=2)):
        assert loss.calls().cost(y, z, w, None) == loss(y, z, w)
        assert loss.calls().cost_gradient(y, z, w, None, None) is not None
    assert fl.Perplexity().calls() is NoCalls and fl.MulticlassLogLoss(sum_tolerance=1e-3).calls() is NoCalls
    assert fl.MulticlassError().calls().cost(y, z, None, None) is not None
    assert fl.MulticlassError().calls().outputs(2, y, z, None, None, None, None, None) is None
    same_both_ways(fl.MulticlassLogLoss(sum_tolerance=1e-3), y, p, None)
    same_both_ways(fl.Perplexity(), y, z, None)
