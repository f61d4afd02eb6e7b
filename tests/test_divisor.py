"""cost_gradient(divisor=): sums and gradients divided by what the caller says; and bfloat16 without ml_dtypes."""

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

import fastloss as fl
from fastloss.engine.dtypes import BITS


def data(n=1000, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(n), rng.standard_normal(n), rng.random(n)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("divisor", [1, 1000, 3.5])
def test_sum_over_the_divisor_is_correctly_rounded(dtype, weighted, divisor):
    y, p, w = data()
    y, p, w = y.astype(dtype), p.astype(dtype), w if weighted else None
    loss = fl.Huber(delta=0.5)
    cost, gradient = loss.cost_gradient(y, p, w, divisor=divisor)
    terms = loss.loss(y, p).astype(np.float64) * (1.0 if w is None else w)
    assert cost == float(sum(map(Fraction, terms.tolist())) / Fraction(divisor))
    expected = loss.gradient(y, p, w).astype(np.float64) / divisor
    np.testing.assert_array_max_ulp(gradient, expected.astype(dtype), maxulp=2)


def test_of_rows():
    rng = np.random.default_rng(1)
    z, t = rng.standard_normal((50, 4)), rng.integers(0, 4, 50)
    loss = fl.MultiMargin(class_weight=(1.0, 2.0, 3.0, 4.0))
    cost, gradient = loss.cost_gradient(t, z, divisor=50)
    assert cost == float(sum(map(Fraction, loss.loss(t, z).tolist())) / 50)
    np.testing.assert_array_max_ulp(gradient, loss.gradient(t, z) / 50, maxulp=2)
    assert loss.cost_gradient(t, z)[0] != cost  # which divides by the labels' weights


def test_none_is_the_mean():
    y, p, w = data()
    for weights in (None, w):
        cost, gradient = fl.Huber().cost_gradient(y, p, weights, divisor=None)
        assert (cost, gradient.tolist()) == (
            fl.Huber().cost_gradient(y, p, weights)[0],
            fl.Huber().cost_gradient(y, p, weights)[1].tolist(),
        )


@pytest.mark.parametrize("divisor", [0, -1, float("nan"), float("inf"), 1e-300, 10**400, "2", [2.0], 2j])
def test_bad_divisors(divisor):
    y, p, _ = data(5)
    with pytest.raises(ValueError, match="`divisor` must be a number from 1e-290 to 1e290"):
        fl.Huber().cost_gradient(y, p, divisor=divisor)


@pytest.mark.parametrize("divisor", [np.float16(3), np.float32(3), np.int8(3), np.array(3.0), Fraction(3)], ids=repr)
def test_divisors_of_other_types(divisor):
    y, p, _ = data(5)
    wanted = fl.Huber().cost_gradient(y, p, divisor=3.0)
    with np.errstate(all="raise"):
        cost, gradient = fl.Huber().cost_gradient(y, p, divisor=divisor)
    assert cost == wanted[0] and np.array_equal(gradient, wanted[1])


def test_bfloat16_as_bits_is_that_of_ml_dtypes():
    y, p, _ = data()
    y, p = y.astype(ml_dtypes.bfloat16), p.astype(ml_dtypes.bfloat16)
    bits = [array.view(np.uint16).view(BITS) for array in (y, p)]
    assert fl.mse(*bits) == fl.mse(y, p)
    loss, gradient = fl.Huber().loss_gradient(*bits)
    assert loss.dtype == gradient.dtype == BITS
    expected = fl.Huber().loss_gradient(y, p)
    assert [loss.tobytes(), gradient.tobytes()] == [part.tobytes() for part in expected]
    z, t = bits[1].reshape(250, 4), np.arange(250) % 4
    assert fl.cross_entropy(t, z) == fl.cross_entropy(t, p.reshape(250, 4))
    for mine, theirs in zip(
        fl.SoftmaxCrossEntropy().loss_gradient(t, z), fl.SoftmaxCrossEntropy().loss_gradient(t, p.reshape(250, 4)), strict=True
    ):
        assert mine.dtype == BITS and mine.tobytes() == theirs.tobytes()


def test_errors_read_bits():
    bad = np.array([0.5, -2.0], ml_dtypes.bfloat16).view(np.uint16).view(BITS)
    with pytest.raises(fl.InputError, match=r"`y_pred` of `log_loss` must be .*, got -2\.0 at index 1"):
        fl.log_loss(np.array([0.0, 1.0]), bad)
    with pytest.raises(fl.InputError, match=r"got -2\.0 at index \(0, 1\)"):
        fl.kl_divergence(np.array([[0.5, 0.5]]), bad[None])
