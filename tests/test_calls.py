"""The short way of plain arrays gives what the general way gives: the same bits, types and errors; and takes what it should take."""

import inspect
import math
import pickle
from fractions import Fraction

import numpy as np
import pytest

import fastloss as fl
from fastloss.engine import backends
from fastloss.engine.configured import NoCalls
from fastloss.losses import REGISTRY
from tests.accuracy import pairs

NAMES = [name for name, definition in REGISTRY.items() if not definition.root]
SIZES = (1, 7, 8, 511, 512, 513, 4096, 4097)
PARTS = {"loss": 1, "gradient": 2, "loss_gradient": 3, "gradient_hessian": 6, "loss_gradient_hessian": 7}
BUFFERS = {"loss": "loss_out", "gradient": "gradient_out", "hessian": "hessian_out"}

needs_short_way = pytest.mark.skipif(not hasattr(backends.current(), "calls"), reason="this backend has no short way")


def general(call, loss, *arguments, **options):
    """call(loss, ...) with the short ways closed."""
    twin = type(loss)(**loss.parameters)
    object.__setattr__(twin, "_calls", NoCalls)
    with pytest.MonkeyPatch.context() as patch:
        if hasattr(backends.current(), "run_plain"):
            patch.setattr(backends.current(), "run_plain", lambda *arguments: None)
        return outcome(call, twin, *arguments, **options)


def outcome(call, *arguments, **options):
    """What a call returns, down to types and bits; or what it raises, down to the words."""
    try:
        found = call(*arguments, **options)
    except Exception as error:
        return type(error), str(error), getattr(error, "index", None)
    return tuple(map(bits, found)) if isinstance(found, tuple) else bits(found)


def bits(value):
    if isinstance(value, np.ndarray | np.generic):
        clean = np.where(np.isnan(value), np.array(np.nan, value.dtype), value)  # NaN has no bits of its own
        return type(value), value.dtype.str, value.shape, clean.tobytes()
    return type(value), float(value).hex()


def methods(loss):
    """Everything that a configured loss can be asked, as functions of (loss, y, p, w)."""
    each = [lambda loss, y, p, w, m=m, **o: getattr(loss, m)(y, p, w, **o) for m in (*PARTS, "cost_gradient")]
    return [
        lambda loss, y, p, w, **o: loss(y, p, w, **o), lambda loss, y, p, w, **o: loss(y, p, sample_weight=w, reduction="sum", **o),
        lambda loss, y, p, w, **o: loss(y, p, w, nan="skip", **o), lambda loss, y, p, w, **o: loss(y, p, w, nan="raise", **o),
        lambda loss, y, p, w, **o: fl.State([loss, "mse"]).update(y, p, w, **o).compute()[loss.spec], *each,
    ]  # fmt: skip


def same_both_ways(loss, y, p, w, calls=None, **options):
    for call in calls or methods(loss):
        assert outcome(call, loss, y, p, w, **options) == general(call, loss, y, p, w, **options)


def data(n, dtype="float32", seed=0):
    return np.random.default_rng(seed).random((3, n)).astype(dtype)


@needs_short_way
@pytest.mark.parametrize("name", NAMES)
def test_every_loss_and_size(name):
    loss = fl.get(name)
    for dtype, sizes in (("float32", SIZES), ("float64", (8, 513, 4097))):
        y, p = pairs(REGISTRY[name], dtype)
        for n in sizes:
            some = np.resize(y, n), np.resize(p, n)
            for w in (None, np.random.default_rng(n).random(n).astype(dtype)):
                same_both_ways(loss, *some, w)


@needs_short_way
@pytest.mark.parametrize("prediction", ["float16", "float32", "float64", "int32"])
@pytest.mark.parametrize("target", ["bool", "int8", "uint64", "float16", "float32", "float64"])
def test_dtypes(target, prediction):
    for n in (8, 513, 5000):
        y, p = (data(n)[0] < 0.5).astype(target), (9 * data(n)[1]).astype(prediction)
        for name in ("logistic", "hinge", "huber"):
            loss = fl.get(name)
            for w in (None, np.arange(n).astype("int16"), data(n)[2]):
                same_both_ways(loss, y, p, w)
                fine = name != "hinge" or target == "bool"
                assert not fine or loss.calls().outputs(7, y, p, w, None, None, None, None)[1].dtype == loss.gradient(y, p[::1]).dtype


@needs_short_way
@pytest.mark.parametrize("n", [8, 100_000])
@pytest.mark.parametrize("w", [None, 1])
def test_any_number_of_threads(n, w):
    y, p, weights = data(n)
    weights = None if w is None else weights
    for name in ("squared_error", "logistic"):
        for n_threads in (None, 1, 2, 7, 300):
            same_both_ways(fl.get(name), y, p, weights, n_threads=n_threads)
        assert fl.get(name).calls().cost(y, p, weights, 2) is not None
    for n_threads in (np.int64(2), True, 0, -1, 2**70, 1.5, "2"):
        same_both_ways(fl.Huber(), y, p, weights, n_threads=n_threads)


@needs_short_way
@pytest.mark.parametrize("n", [8, 600, 5000])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_special_values(bad, n):
    y, p, w = data(n)
    for losses in ("log_cosh", "pinball", "log_loss", "poisson_loss"):
        for array in (y, p, w):
            kept = array[n // 2]
            for weights in (None, w):
                array[n // 2] = bad
                same_both_ways(fl.get(losses), y, p, weights)
            array[n // 2] = kept
    names = ["mse", "rmse", "log_cosh"]
    broken = np.where(np.arange(n) == 3, np.float32(bad), p)
    want = {name: fl.get(name)(y, broken) for name in names}
    assert str(fl.evaluate(names, y, broken)) == str(want)


@needs_short_way
@pytest.mark.parametrize("n", [8, 5000])
def test_buffers(n):
    """Buffers of any kind: of the short way, or left to the general one; also those that are refused."""
    y, p, w = data(n)
    frozen = np.empty(n, np.float32)
    frozen.flags.writeable = False
    memory = np.zeros(2 * n + 1, np.float32)
    kinds = [
        lambda: np.empty(n, np.float32), lambda: np.empty(n, np.float64), lambda: np.empty(n, np.float16), lambda: np.empty(n, ">f4"),
        lambda: np.empty(2 * n, np.float32)[::2], lambda: np.empty(n + 1, np.float32), lambda: np.empty(n, np.int32), lambda: frozen,
        lambda: np.empty((n, 1), np.float32), lambda: [0.0] * n, lambda: np.empty(4 * n + 1, np.uint8)[1:].view(np.float32),
        lambda: memory.view(np.recarray)[:n],
    ]  # fmt: skip
    for make in kinds:
        for weights in (None, w):
            calls = [
                lambda loss, y, p, w, make=make: loss.gradient(y, p, w, gradient_out=make()),
                lambda loss, y, p, w, make=make: loss.loss_gradient_hessian(y, p, w, make(), None, make()),
                lambda loss, y, p, w, make=make: loss.cost_gradient(y, p, w, gradient_out=make()),
            ]
            same_both_ways(fl.Huber(), y, p, weights, calls)
    given = {name: np.empty(n, np.float32) for name in BUFFERS.values()}
    for method, part in PARTS.items():
        wanted = [name for i, name in enumerate(BUFFERS.values()) if part & 1 << i]
        found = getattr(fl.Huber(), method)(y, p, **{name: given[name] for name in wanted})
        assert all(a is given[name] for a, name in zip(found if isinstance(found, tuple) else (found,), wanted, strict=True))
    memory[:n] = p
    for start, stop in ((0, n), (1, n + 1), (n, 2 * n)):  # the predictions' own memory, a part of it, none of it

        def at(loss, y, p, w, start=start, stop=stop):
            copied = memory.copy()
            return loss.cost_gradient(y, copied[:n], w, gradient_out=copied[start:stop])

        same_both_ways(fl.Huber(), y, p, w, [at])
    same_both_ways(fl.Huber(), y, p, w, [lambda loss, y, p, w: loss.loss_gradient(y, p, w, memory[:n], memory[:n])])


def test_a_buffer_that_is_refused_is_not_touched():
    y, p, w = data(100)
    for weights in (np.zeros(100), np.full(100, 1e-310), np.full(100, -1.0), np.full(100, np.nan)):
        buffer = np.full(100, 7.0, np.float32)
        with pytest.raises(ValueError, match="weight"):
            fl.Huber().cost_gradient(y, p, weights, gradient_out=buffer)
        assert (buffer == 7.0).all()


@needs_short_way
@pytest.mark.parametrize("name", NAMES)
def test_at_addresses(name):
    loss = fl.get(name)
    for dtype, sizes in (("float32", SIZES), ("float64", (8, 513, 4097))):
        y, p = pairs(REGISTRY[name], dtype)
        for n in sizes:
            some, gradient = (np.resize(y, n), np.resize(p, n)), np.empty(n, dtype)
            call = (*(part.ctypes.data for part in some), n, dtype == "float64")
            cost, want = loss.cost_gradient(*some)
            found = loss.calls().at(*call, 0), loss.calls().at(*call, gradient.ctypes.data)
            assert found == (None, None) == (loss.calls().cost(*some, None, None),) * 2 or bits(found[0]) == bits(found[1]) == bits(cost)
            assert bits(gradient) == bits(want)
    assert loss.calls().at(0, some[1].ctypes.data, 1, True, 0) is None  # nowhere, not aligned, nothing
    assert loss.calls().at(some[0].ctypes.data + 1, some[1].ctypes.data, 1, True, 0) is None
    assert loss.calls().at(*(part.ctypes.data for part in some), 0, True, 0) is None


@needs_short_way
def test_shapes():
    y, p, w = data(6000)
    loss = fl.Huber()
    shapes = [lambda a: a, lambda a: a.reshape(3, -1), lambda a: a.reshape(3, -1).T, lambda a: a.reshape(1, -1), lambda a: a[:0],
              lambda a: a[:1].reshape(()), lambda a: a[::2], lambda a: a.reshape(10, 20, 30), lambda a: a[:5000],
              lambda a: a.astype(">f4"), lambda a: np.ma.array(a), lambda a: a.view(np.memmap)]  # fmt: skip
    for view in shapes:
        for other in (view, shapes[0], shapes[1]):
            same_both_ways(loss, view(y), other(p), None)
            same_both_ways(loss, view(y), view(p), other(w))
    assert loss.calls().outputs(2, y.reshape(3, -1), p.reshape(3, -1), None, None, None, None, None).shape == (3, 2000)
    same_both_ways(fl.LogLoss(), (y * 1.01).reshape(60, 100), p.reshape(60, 100), None)  # an index of two dimensions


@needs_short_way
def test_numbers_and_lists():
    some = [0.5, 1, 0, -3, True, 2**24, 2**24 + 1, 2**70, 10**400, 1e300, math.inf, math.nan, np.float64(0.1), np.float32(0.1)]
    some += [[0.5, 0.25], [1, 0], [[0.5, 0.1]], [], [True, False], ["a"], [[1], [1, 2]], (0.5, 0.5), np.array([0.5, 0.25], np.float32)]
    some += [np.array([0.5, 0.1]), np.array([1, 0]), np.array([0.5, 0.1], np.float16), None, "a", 1j]
    calls = methods(None)
    for y in some:
        for p in some:
            same_both_ways(fl.Huber(), y, p, None, [calls[0], calls[9], calls[10]])
        same_both_ways(fl.Huber(), 0.5, 0.25, y, [calls[0], calls[5]])
        same_both_ways(fl.Huber(), some[-6], some[-5], y, [calls[0], calls[10]])
    assert fl.Huber().calls().cost([0.5, 1.0], [1, 2], 2, None) == fl.huber([0.5, 1.0], [1, 2])
    assert type(fl.Huber().calls().outputs(1, 0.5, 1, None, None, None, None, None)) is np.float64


@pytest.mark.parametrize("signed", [False, True])
def test_weighted_means_are_correctly_rounded(signed):
    """The quotient is divided from its leading bits; these are sums of any length and size, and quotients in and near the middle of two
    doubles."""
    rng = np.random.default_rng(5)
    loss = fl.get("absolute_error")
    cases = []
    for spread in (1, 30, 300, 1000):
        for _ in range(300):
            exponents = rng.uniform(-spread, spread, (2, rng.integers(1, 40))) * [[1.0], [0.1]]
            cases.append((2.0 ** exponents[0].clip(-1070, 1000), 2.0 ** exponents[1]))
    for tiny in (0.0, 2.0**-80, 2.0**-1000):
        for odd in (1.0, 3.0, 2.0**52 + 1):
            cases += [(np.array([2.0**53, odd, tiny]), np.array([1.0, 1.0, w])) for w in (0.0, 2.0**-70, 1.0, 2.0)]
    for p, w in cases:
        y = np.zeros(len(p))
        if signed:  # exp(z) - y z has either sign
            y, loss, p = p, fl.get("poisson_loss"), np.ones(len(p))
        with np.errstate(over="ignore"):
            terms = loss.loss(y, p) * w
        if not np.isfinite(terms).all():
            continue
        total = sum(map(Fraction, terms.tolist()), Fraction(0)) / sum(map(Fraction, w.tolist()), Fraction(0))
        assert loss(y, p, w) == total.numerator / total.denominator


def test_what_a_function_shows():
    assert str(inspect.signature(fl.huber)).endswith("reduction='mean', nan='propagate', n_threads=None, delta=1.0)")
    assert str(inspect.signature(fl.Huber)) == "(delta=1.0)" and str(inspect.signature(fl.SquaredError)) == "()"
    assert str(inspect.signature(fl.Huber())).startswith("(y_true, y_pred, sample_weight=None, ")
    for definition in REGISTRY.values():
        shown = inspect.signature(getattr(fl, definition.class_name)).parameters
        assert {name: one.default for name, one in shown.items()} == {name: one.default for name, one in definition.parameters.items()}
    assert list(inspect.signature(fl.mse).parameters) == ["y_true", "y_pred", "sample_weight", "reduction", "nan", "n_threads"]
    assert fl.mse is fl.squared_error and pickle.loads(pickle.dumps(fl.mse)) is fl.mse


@pytest.mark.parametrize("name", REGISTRY)
def test_functions_are_their_losses(name):
    definition = REGISTRY[name]
    function, cls = getattr(fl, name), getattr(fl, definition.class_name)
    y, p = (0.5 + data(9)[0] / 4, 0.5 + data(9)[1] / 4) if name not in ("hinge", "focal") else (np.ones(9), data(9)[1])
    parameters = {key: parameter.default for key, parameter in definition.parameters.items()}
    for options in ({}, parameters):
        assert outcome(function, y_true=y, y_pred=p, **options) == outcome(cls(**options), y, p)
    assert outcome(function, y, p, data(9)[2]) == outcome(cls(), y, p, sample_weight=data(9)[2])


def test_functions_refuse_what_their_losses_refuse():
    y, p, _ = data(5)
    for options in (
        {"delta": -1},
        {"delta": True},
        {"delta": [1.0]},
        {"delta": None},
        {"gamma": 1, "delta": 2.0},
        {"w": y},
        {"delta": "x"},
    ):
        assert outcome(fl.huber, y, p, **options) == outcome(fl.Huber, **options)
    for one, other in ((1, 1.0), (1.0, True), (True, 1)):  # equal, but not the same to a parameter
        assert outcome(fl.huber, y, p, delta=one) == outcome(lambda one=one: fl.Huber(one)(y, p))
        assert outcome(fl.mape, y, p, percent=other) == outcome(lambda other=other: fl.AbsolutePercentageError(percent=other)(y, p))
    assert fl.huber(y, p, delta=np.array(2.0)) == fl.Huber(2.0)(y, p)
    with pytest.raises(TypeError, match="positional"):
        fl.huber(y, p, None, 1.5)


def test_evaluate_is_its_losses():
    names = ["rmse", "mse", "huber:delta=2", fl.Huber(delta=3.0), "rmsle", "tweedie_deviance"]
    for n in (8, 5000):
        y, p, w = data(n)
        for weights in (None, w):
            want = {getattr(name, "spec", name): fl.get(name)(y, p, weights) for name in names}
            assert fl.evaluate(names, y, p, weights) == fl.evaluate(iter(names), y, p, weights) == want
            assert fl.State(names).update(y, p, weights).compute() == want
            assert fl.evaluate(fl.Huber, y, p, weights) == fl.huber(y, p, weights)
    for bad in ([], ["mse", "mse"], ["nope"], [3], [["mse"]], [None]):
        assert outcome(fl.evaluate, bad, y, p) == outcome(fl.State, bad)
    assert fl.get("huber:delta=2") is fl.get("huber:delta=2")
