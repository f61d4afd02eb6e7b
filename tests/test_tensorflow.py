"""fastloss.tensorflow against our own losses, eagerly and in graphs."""

import doctest
import importlib
import sys
import tracemalloc

import numpy as np
import pytest

import fastloss as fl

tf = pytest.importorskip("tensorflow")
import fastloss.adapters.tensorflow  # noqa: E402
import fastloss.tensorflow as ours  # noqa: E402
from fastloss.adapters.tensorflow import general  # noqa: E402

RNG = np.random.default_rng(4)
P, Y, Z, LABELS, W = RNG.normal(size=7), RNG.normal(size=7), RNG.normal(size=(7, 4)), RNG.integers(0, 4, 7), RNG.random(7)


def modes(function):
    return [function, tf.function(function)]


@pytest.mark.parametrize(
    "spec", ["huber", "logistic", "tweedie:power=1.5", "cross_entropy:label_smoothing=0.1", "soft_label_cross_entropy"]
)
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_values_and_gradients(spec, dtype):
    loss = fl.get(spec)
    rows = isinstance(loss, fl.RowLoss)
    p = tf.cast(Z if rows else P, dtype)
    y = LABELS if rows and loss.labels else tf.cast(np.abs(Z) / 4 if rows else np.abs(Y) / 4, dtype)
    values, gradient = loss.loss_gradient(np.asarray(y), p.numpy())

    def answers(y, p):
        with tf.GradientTape() as tape:
            tape.watch(p)
            found = ours.from_loss(loss)(y, p)
        return found, tape.gradient(found, p)

    cost, cost_gradient = loss.cost_gradient(np.asarray(y), p.numpy(), W)

    def of_cost(y, p):
        with tf.GradientTape() as tape:
            tape.watch(p)
            found = ours.cost(spec)(y, p, W)
        return found, tape.gradient(found, p)

    for eager, other in zip(modes(answers), modes(of_cost), strict=True):
        found, slope = eager(y, p)
        assert found.dtype == p.dtype
        np.testing.assert_array_equal(found.numpy(), values)
        np.testing.assert_array_equal(slope.numpy(), gradient)
        found, slope = other(y, p)
        assert found.numpy() == np.asarray(cost, found.dtype.as_numpy_dtype) and found.dtype == (dtype if "64" in dtype else "float32")
        np.testing.assert_array_equal(slope.numpy(), cost_gradient)


def test_second_derivatives_and_targets():
    def answers(y, p):
        with tf.GradientTape() as outer:
            outer.watch(p)
            with tf.GradientTape() as tape:
                tape.watch([p, y])
                found = ours.from_loss("huber")(y, p)
            by_p, by_y = tape.gradient(found, [p, y])
        return by_p, by_y, outer.gradient(by_p, p)

    for function in modes(answers):
        by_p, by_y, twice = function(tf.constant(Y), tf.constant(P))
        np.testing.assert_array_equal(by_y, -by_p)
        np.testing.assert_array_equal(twice, fl.Huber().gradient_hessian(Y, P)[1])


@pytest.mark.parametrize(("loss", "message"), [("cross_entropy", "second derivatives"), ("mse", "second derivative of its cost")])
def test_derivatives_that_are_not_there(loss, message):
    y, p = (LABELS, tf.constant(Z)) if loss == "cross_entropy" else (Y, tf.constant(P))
    function = ours.from_loss(loss) if loss == "cross_entropy" else ours.cost(loss)
    with tf.GradientTape() as outer:
        outer.watch(p)
        with tf.GradientTape() as tape:
            tape.watch(p)
            found = function(y, p)
        slope = tape.gradient(found, p)
    with pytest.raises(NotImplementedError, match=message):
        outer.gradient(slope, p)


def test_shapes_that_a_graph_does_not_know():
    @tf.function(input_signature=[tf.TensorSpec([None]), tf.TensorSpec([None])])
    def function(y, p):
        return ours.from_loss("mse")(y, p, 2.0)

    for n in (3, 1, 0):
        assert function(np.zeros(n), np.ones(n)).numpy().tolist() == [2.0] * n
    rows = tf.function(lambda y, z: ours.from_loss("cross_entropy")(y, z))
    assert rows(LABELS[0], Z[0]).numpy() == fl.SoftmaxCrossEntropy().loss(LABELS[:1], Z[:1])[0]


def test_errors():
    bad = ours.from_loss("hinge")
    with pytest.raises(fl.InputError, match="`y_true` of `hinge` must be -1 or 1"):
        bad([0.5], [1.0])
    with pytest.raises(tf.errors.InvalidArgumentError, match="`y_true` of `hinge` must be -1 or 1"):
        tf.function(bad)(tf.constant([0.5]), tf.constant([1.0]))
    with pytest.raises(NotImplementedError, match=r"tf.function\(jit_compile=False\)"):
        tf.function(bad, jit_compile=True)(tf.constant([1.0]), tf.constant([1.0]))
    with pytest.raises(TypeError, match="`y_pred` must be of a floating dtype, got int32"):
        bad([1], [1])
    with pytest.raises(ValueError, match="`y_true` of `hinge` must have the shape"):
        bad([1.0, 1.0], [[1.0, 1.0]])
    for make in (ours.from_loss, ours.cost):
        with pytest.raises(TypeError, match="is no mean"):
            make("rmse")


def test_nothing_is_copied():
    n = 2**20
    y, p = tf.zeros(n), tf.ones(n)
    function = ours.from_loss("mse")
    function(y, p)
    tracemalloc.start()
    function(y, p)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.1 * 4 * n  # the loss and its gradient


def test_examples():
    assert doctest.testmod(general) == (0, 6)


def test_what_is_missing_or_too_old_is_named(monkeypatch):
    monkeypatch.setattr(tf, "__version__", "2.15.1")
    with pytest.raises(ImportError, match="needs TensorFlow >= 2.16, and this is"):
        importlib.reload(fastloss.adapters.tensorflow)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match=r'pip install "fastloss\[tensorflow\]"'):
        importlib.reload(fastloss.adapters.tensorflow)
