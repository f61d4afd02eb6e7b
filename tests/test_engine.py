"""Dtypes, layouts, sizes and output buffers: the same numbers, whatever shape of memory they come in."""

import math

import ml_dtypes
import numpy as np
import pytest

import fastloss as fl
from fastloss.engine import backends
from fastloss.engine.numba_backend import NumbaBackend
from fastloss.engine.python_backend import PythonBackend
from fastloss.losses import REGISTRY
from tests.accuracy import pairs

NAMES = [name for name, definition in REGISTRY.items() if not definition.root]
INTEGERS = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]
FLOATS = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]


def data(n=1000, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(n).astype(dtype), rng.standard_normal(n).astype(dtype)


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()


@pytest.mark.parametrize("target", [*INTEGERS, bool, *FLOATS], ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("prediction", FLOATS, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("n", [3, 1000, 5000])
def test_dtypes(target, prediction, n):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, n).astype(target)
    p = (4 * rng.standard_normal(n)).astype(prediction)
    wide = np.dtype(prediction) == np.float64 or np.dtype(target) == np.float64
    compute = np.float64 if wide else np.float32
    for name in ("squared_error", "logistic"):
        loss = fl.get(name)
        assert loss(y, p) == loss(y.astype(compute), p.astype(compute))
        for got, want in zip(
            loss.loss_gradient_hessian(y, p), loss.loss_gradient_hessian(y.astype(compute), p.astype(compute)), strict=True
        ):
            assert got.dtype == prediction and same(got, want.astype(prediction))


@pytest.mark.parametrize("prediction", [*INTEGERS, bool], ids=lambda dtype: np.dtype(dtype).name)
def test_integer_predictions_compute_in_float64(prediction):
    p = np.arange(100).astype(prediction)
    y = np.zeros(100, np.float32)
    assert fl.mse(y, p) == fl.mse(y.astype(float), p.astype(float))
    assert fl.SquaredError().loss(y, p).dtype == np.float64


@pytest.mark.parametrize("weight", [*INTEGERS, bool, *FLOATS], ids=lambda dtype: np.dtype(dtype).name)
def test_weight_dtypes(weight):
    y, p = data()
    w = np.random.default_rng(1).integers(0, 3, 1000).astype(weight)
    assert fl.mse(y, p, w) == fl.mse(y, p, w.astype(float))


def test_bool_targets_serve_every_label_kind():
    b = np.random.default_rng(0).random(5000) < 0.5
    p = np.random.default_rng(1).random(5000)
    for n in (10, 5000):
        assert fl.hinge(b[:n], p[:n]) == fl.hinge(2.0 * b[:n] - 1, p[:n])
        assert fl.log_loss(b[:n], p[:n]) == fl.log_loss(b[:n].astype(float), p[:n])
        assert fl.focal(b[:n], p[:n]) == fl.focal(b[:n].astype(np.int8), p[:n])
    both = fl.evaluate(["hinge", "log_loss"], b, p)
    assert both == {"hinge": fl.hinge(b, p), "log_loss": fl.log_loss(b, p)}


@pytest.mark.parametrize("n", [*range(131), 4095, 4097])
def test_sizes(n):
    """Every length gives what its samples give one by one: no loop remainder is special."""
    y, p = data(n, "float32")
    loss = fl.get("logistic")
    y = (y > 0).astype(np.float32)
    value, gradient = loss.loss_gradient(y, p)
    alone = [loss.loss_gradient(y[i : i + 1], p[i : i + 1]) for i in range(min(n, 131))]
    assert same(value[:131], np.array([one[0][0] for one in alone], np.float32))
    assert same(gradient[:131], np.array([one[1][0] for one in alone], np.float32))
    if n:
        assert math.isfinite(loss(y, p))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_output_sets_agree(name, dtype):
    """Loss, gradient and Hessian have the same bits from every method that returns them."""
    loss = fl.get(name)
    y, p = pairs(REGISTRY[name], dtype)
    value, gradient, hessian = loss.loss_gradient_hessian(y, p)
    assert value.dtype == dtype and value.shape == y.shape
    for got, want in ((loss.loss(y, p), value), (loss.gradient(y, p), gradient),
                      *zip(loss.loss_gradient(y, p), (value, gradient), strict=True),
                      *zip(loss.gradient_hessian(y, p), (gradient, hessian), strict=True)):  # fmt: skip
        assert np.array_equal(got, want, equal_nan=True)


@pytest.mark.parametrize("stride", [-4, -3, -2, -1, 1, 2, 3, 4])
@pytest.mark.parametrize("offset", [0, 1, 3])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", ">f8", ">f2"])
def test_strides_alignment_and_byte_order(stride, offset, dtype):
    size = np.dtype(dtype).itemsize
    memory = np.zeros(4 * 2100 * size + 64, np.uint8)
    array = memory[offset : offset + 4 * 2000 * size].view(dtype)  # offset bytes off alignment
    array[:] = np.random.default_rng(0).standard_normal(array.size)
    p = array[::stride]
    y = np.arange(p.size) % 5
    native = p.astype(np.dtype(dtype).newbyteorder("="))
    loss = fl.get("huber")
    for n in (20, p.size):
        assert loss(y[:n], p[:n]) == loss(y[:n], native[:n])
        got = loss.gradient(y[:n], p[:n])
        assert same(got, loss.gradient(y[:n], native[:n])) and got.dtype.isnative


def test_arrays_of_several_dimensions():
    rng = np.random.default_rng(0)
    y, p, w = rng.standard_normal((3, 40, 50, 60))
    loss = fl.get("huber")
    want, gradient = loss.cost_gradient(y.ravel(), p.ravel(), w.ravel() ** 2)
    views = [
        lambda a: a, lambda a: np.asfortranarray(a), lambda a: a.transpose(2, 0, 1), lambda a: np.repeat(a, 2, axis=2)[:, :, ::2],
        lambda a: np.repeat(a, 3, axis=1)[:, ::3].swapaxes(0, 2), lambda a: a[::-1, :, ::-1],
    ]  # fmt: skip
    for view in views:
        cost, got = loss.cost_gradient(view(y), view(p), view(w**2))
        assert cost == want and got.shape == view(y).shape
        assert np.array_equal(got, view(gradient.reshape(y.shape)))
    mixed = loss.gradient(np.asfortranarray(y), p)
    assert np.array_equal(mixed, loss.gradient(y, p))
    assert np.array_equal(loss.gradient(y[:, ::2], p[:, ::2]), loss.gradient(y, p)[:, ::2])


def test_scalars_and_lists():
    y, p = data(6000)
    loss = fl.get("squared_error")
    for n in (10, 6000):
        assert loss(0.5, p[:n]) == loss(np.full(n, 0.5), p[:n])
        assert loss(y[:n], 0.5) == loss(y[:n], np.full(n, 0.5))
        assert loss(y[:n], p[:n], 2) == loss(y[:n], p[:n]) and loss.loss(y[:n], p[:n], 2.0)[3] == 2 * loss.loss(y[:n], p[:n])[3]
    assert loss(1.0, 3.0) == 4.0 and loss.loss(1.0, 3.0) == 4.0 and loss([1, 2], [3.0, 2.0]) == 2.0
    assert loss.loss(0.5, p.astype(np.float32)).dtype == np.float32, "a Python number has no precision of its own"


def test_inputs_may_be_read_only():
    y, p = data(6000)
    for array in (y, p):
        array.flags.writeable = False
    assert fl.mse(y, p) == fl.mse(y.copy(), p.copy())


@pytest.mark.parametrize("n", [50, 6000])
def test_output_buffers(n):
    y, p = data(n, "float32")
    loss = fl.get("pseudo_huber")
    value, gradient, hessian = loss.loss_gradient_hessian(y, p)
    buffers = np.empty(n, np.float32), np.empty(2 * n, np.float32)[::2], np.empty(n, np.float64)
    got = loss.loss_gradient_hessian(y, p, loss_out=buffers[0], gradient_out=buffers[1], hessian_out=buffers[2])
    assert all(array is buffer for array, buffer in zip(got, buffers, strict=True))
    assert same(buffers[0], value) and np.array_equal(buffers[1], gradient) and np.array_equal(buffers[2], hessian)
    big = np.empty(n, ">f4")
    assert np.array_equal(loss.gradient(y, p, gradient_out=big), gradient)


@pytest.mark.parametrize("n", [50, 6000])
def test_gradient_in_place_of_the_predictions(n):
    y, p = data(n, "float32")
    want = fl.Huber().cost_gradient(y, p)
    place = p.copy()
    got = fl.Huber().cost_gradient(y, place, gradient_out=place)
    assert got[1] is place and got[0] == want[0] and same(place, want[1])


@pytest.mark.parametrize("backend", [None, NumbaBackend, PythonBackend], ids=["default", "numba", "python"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [50, 6000])
def test_outputs_in_place_of_any_input(n, dtype, backend, monkeypatch):
    """Every input may be written over by any one output, and none of the others notices."""
    y, p = data(n, dtype)
    w = np.random.default_rng(5).random(n)
    if backend:
        monkeypatch.setattr(backends, "current", backend)
    loss = type(fl.get("log_cosh"))()
    want = loss.loss_gradient_hessian(y, p, w)
    for place in ("y_true", "y_pred", "sample_weight"):
        for output in ("loss_out", "gradient_out", "hessian_out"):
            given = {"y_true": y.copy(), "y_pred": p.copy(), "sample_weight": w.copy()}
            got = loss.loss_gradient_hessian(**given, **{output: given[place]})
            for mine, right in zip(got, want, strict=True):
                assert np.array_equal(mine.astype(dtype), right), (place, output)


def test_bad_output_buffers():
    y, p = data(100)
    loss = fl.get("huber")
    memory = np.zeros(200)
    frozen = np.zeros(100)
    frozen.flags.writeable = False
    for buffer in (np.zeros(99), np.zeros((10, 10)), np.zeros(100, int), [0.0] * 100, frozen):
        with pytest.raises(ValueError, match="`gradient_out` must be a writeable float array of shape"):
            loss.gradient(y, p, gradient_out=buffer)
    memory[:100] = p
    with pytest.raises(ValueError, match="`gradient_out` overlaps `y_pred` in part"):
        loss.gradient(y, memory[:100], gradient_out=memory[50:150])
    with pytest.raises(ValueError, match="`gradient_out` and `loss_out` must not share memory"):
        loss.loss_gradient(y, p, loss_out=memory[:100], gradient_out=memory[:100])
    for buffer in (np.lib.stride_tricks.as_strided(memory, (100,), (0,)), np.lib.stride_tricks.as_strided(memory, (100,), (4,))):
        with pytest.raises(ValueError, match=r"`gradient_out` must have memory for every element, .* strides are \([04],\)"):
            loss.gradient(y, p, gradient_out=buffer)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [10, 10_000])
def test_weights_multiply(dtype, n):
    y, p = data(n, dtype)
    w = np.random.default_rng(5).random(n).astype(dtype)
    loss = fl.get("log_cosh")
    for weighted, plain in zip(loss.loss_gradient_hessian(y, p, w), loss.loss_gradient_hessian(y, p), strict=True):
        assert same(weighted, (plain.astype(float) * w).astype(dtype))
    cost, gradient = loss.cost_gradient(y, p, w)
    assert cost == loss(y, p, w)
    np.testing.assert_allclose(
        gradient, loss.gradient(y, p).astype(float) * w / w.astype(float).sum(), rtol=4 * np.finfo(dtype).eps, atol=0
    )
    np.testing.assert_allclose(loss.cost_gradient(y, p)[1], loss.gradient(y, p).astype(float) / n, rtol=2 * np.finfo(dtype).eps, atol=0)


def test_empty_outputs():
    empty = np.empty(0, np.float32)
    assert fl.Huber().loss(empty, empty).shape == (0,) and fl.Huber().gradient(np.empty((0, 3)), np.empty((0, 3))).shape == (0, 3)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_subclasses_of_ndarray():
    """np.matrix indexes in ways of its own, and a mask says what must not be counted."""
    wide = np.arange(12.0).reshape(3, 4)
    matrix = np.matrix(wide)[:, :3]
    assert fl.mse(matrix, np.zeros((3, 3))) == np.mean(wide[:, :3] ** 2) == fl.mse(np.zeros((3, 3)), matrix)
    assert np.array_equal(fl.SquaredError().loss(np.zeros((3, 3)), np.asarray(matrix), matrix), wide[:, :3] ** 3)
    with pytest.raises(TypeError, match="`y_true` is a masked array"):
        fl.mse(np.ma.array([1.0, 2.0], mask=[0, 1]), np.ones(2))


def test_weights_that_cannot_be_divided_by():
    y, p = data(4)
    for w, words in ((np.full(4, 1e-310), "too near the ends of float64"), (np.zeros(4), "nothing to divide by")):
        buffer = np.full(4, 7.0)
        with pytest.raises(ValueError, match=words):
            fl.SquaredError().cost_gradient(y, p, w, gradient_out=buffer)
        assert (buffer == 7.0).all()


def test_python_scalars_keep_their_kind_and_size():
    p = np.array([0.3, 0.2])
    assert fl.hinge(False, p) == fl.hinge(np.array([False, False]), p) == 1.25
    assert fl.mae(1e300, p.astype(np.float32)) == pytest.approx(1e300)
    assert fl.mae(70000, np.array([1.0, 2.0], np.float16)) == 69998.5


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4", "f2", "i4", "i8"])
@pytest.mark.parametrize("n", [1, 17, 2047, 2049, 5000])
def test_columns_of_a_table_are_as_good_as_arrays(dtype, n):
    """Every other number, which has a copy of its own in the kernels, and every third."""
    rng, loss = np.random.default_rng(n), fl.get("mse")
    for columns in (2, 3):
        y, p = (rng.random((n, columns)) * 100).astype(dtype), rng.random((n, columns), np.float32)
        for given, plain in (
            ((y[:, 1], p[:, 0]), (y[:, 1].copy(), p[:, 0].copy())),
            ((p[:, 1], y[:, 0]), (p[:, 1].copy(), y[:, 0].copy())),
        ):
            assert loss(*given) == loss(*plain)
            assert np.array_equal(loss.loss(*given), loss.loss(*plain))
