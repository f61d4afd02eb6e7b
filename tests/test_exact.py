"""The cost is the correctly rounded sum(w * l) / sum(w) of what loss() returns: exactly, for any order, split and number of threads."""

import math
from fractions import Fraction

import numpy as np
import pytest

import fastloss as fl

TILE = 256
KINDS = {
    "residuals": lambda rng, n: rng.standard_normal(n),
    "lognormal": lambda rng, n: np.exp(6 * rng.standard_normal(n)),
    "wild": lambda rng, n: 10.0 ** rng.uniform(-18, 18, n),
    "clusters": lambda rng, n: np.where(rng.random(n) < 0.5, 1.0, 1e-35 if n % 2 else 1e-300) * rng.standard_normal(n),
    "falling": lambda rng, n: np.ldexp(rng.uniform(1, 2, n), -(np.arange(n) // 300 % 130)),
    "sparse": lambda rng, n: np.where(rng.random(n) < 0.7, 0.0, rng.standard_normal(n)),
    "zeros": lambda rng, n: np.zeros(n),
    "subnormal": lambda rng, n: rng.integers(0, 5, n) * 1e-44,
    "huge": lambda rng, n: rng.uniform(0.5, 1, n) * 3e38,
}


def exact_cost(loss, w=None):
    """As Fractions have it; a weighted term is the float64 product, rounded once."""
    terms = loss.astype(float) if w is None else loss.astype(float) * w.astype(float)
    weights = [Fraction(1)] * len(terms) if w is None else [Fraction(float(x)) for x in w]
    cost = sum((Fraction(float(t)) for t in terms), Fraction(0)) / sum(weights, Fraction(0))
    return cost.numerator / cost.denominator


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 7, 8, 16, 17, 31, 255, 256, 257, 513, 4096, 4097, 9001])
def test_correctly_rounded(kind, n, dtype):
    rng = np.random.default_rng(n)
    p, y = KINDS[kind](rng, n).astype(dtype), np.zeros(n, dtype)
    w = rng.uniform(0, 3, n).astype(dtype)
    for name in ("absolute_error", "pinball:quantile=0.3"):
        loss = fl.get(name)
        each = loss.loss(y, p)
        assert loss(y, p) == exact_cost(each)
        assert loss(y, p, w) == exact_cost(each, w)
        total = sum((Fraction(float(x)) for x in each), Fraction(0))
        assert loss(y, p, reduction="sum") == total.numerator / total.denominator


def test_signed_losses_and_cancellation():
    """poisson_loss is negative where exp(z) < y z: sums cancel, and still are exact."""
    rng = np.random.default_rng(3)
    y, z = rng.integers(0, 40, 5000).astype(float), rng.uniform(-3, 4, 5000)
    loss = fl.get("poisson_loss")
    assert loss(y, z) == exact_cost(loss.loss(y, z))
    z = np.array([1e15, 1.0, -3.0, 1e-9, 7e14, 20.0] * 1000) * rng.uniform(0.5, 1, 6000)
    each = fl.get("poisson_loss").loss(np.array([1.0, 3e15]).repeat(3000), np.clip(z, -1e18, 30.0))
    assert (each < 0).any() and (each > 0).any()
    assert fl.get("poisson_loss")(np.array([1.0, 3e15]).repeat(3000), np.clip(z, -1e18, 30.0)) == exact_cost(each)


def bits_of(costs):
    return {np.float64(cost).tobytes() for cost in costs}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
def test_same_bits_for_any_threads_chunks_and_order(dtype, weighted):
    rng = np.random.default_rng(7)
    n = 200_003
    y = (rng.random(n) < 0.3).astype(dtype)
    p = (rng.standard_normal(n) * 10).astype(dtype)
    w = rng.gamma(1.0, size=n).astype(dtype) if weighted else None
    for name in ("logistic", "squared_error"):
        loss = fl.get(name)
        costs = [loss(y, p, w, n_threads=threads) for threads in range(1, 17)]
        order = rng.permutation(n)
        costs.append(loss(y[order], p[order], None if w is None else w[order]))
        for chunk in (1009, 4096, 50_000, n):
            state = fl.State(loss)
            for start in range(0, n, chunk):
                part = slice(start, start + chunk)
                state.update(y[part], p[part], None if w is None else w[part])
            costs.append(state.compute())
        costs.append(loss(y[::-1], p[::-1], None if w is None else w[::-1]))
        assert len(bits_of(costs)) == 1, name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_entry_point_gives_the_same_bits(dtype):
    rng = np.random.default_rng(1)
    for n in (100, 70_000):
        y, p, w = rng.standard_normal(n).astype(dtype), rng.standard_normal(n).astype(dtype), rng.random(n).astype(dtype)
        loss = fl.Huber(delta=0.7)
        for weights in (None, w):
            costs = [
                loss(y, p, weights), fl.huber(y, p, weights, delta=0.7), loss.cost_gradient(y, p, weights)[0],
                fl.evaluate(["mse", loss], y, p, weights)[loss.spec], fl.State(loss).update(y, p, weights).compute(),
                loss(y.reshape(10, -1), p.reshape(10, -1), None if weights is None else weights.reshape(10, -1)),
            ]  # fmt: skip
            assert len(bits_of(costs)) == 1


def test_root_is_the_root_of_the_rounded_mean():
    rng = np.random.default_rng(2)
    y, p = rng.standard_normal(1000), rng.standard_normal(1000)
    assert fl.rmse(y, p) == math.sqrt(fl.mse(y, p)) == fl.evaluate(["rmse"], y, p)["rmse"] == fl.State("rmse").update(y, p).compute()
    assert fl.evaluate(["rmse", "mse", "rmsle"], y**2, p**2)["rmsle"] == fl.rmsle(y**2, p**2)
    with pytest.raises(TypeError, match="without a gradient of each sample; use `squared_error`"):
        fl.RootMeanSquaredError().cost_gradient(y, p)
    with pytest.raises(ValueError, match="has no sum"):
        fl.rmse(y, p, reduction="sum")


@pytest.mark.parametrize("n", [5, 700, 20_000])
@pytest.mark.parametrize("weighted", [False, True])
def test_nan_and_infinity(n, weighted):
    rng = np.random.default_rng(n)
    y, p, w = rng.standard_normal(n), rng.standard_normal(n), rng.random(n) if weighted else None
    bad = p.copy()
    bad[[1, 3]] = np.nan
    kept = np.isfinite(bad)
    assert math.isnan(fl.mse(y, bad, w))
    assert fl.mse(y, bad, w, nan="skip") == fl.mse(y[kept], p[kept], None if w is None else w[kept])
    with pytest.raises(fl.InputError, match="`loss` of `squared_error` must be a number, got nan at index 1; nan='skip'"):
        fl.mse(y, bad, w, nan="raise")
    state = fl.State(["mse", "mae"]).update(y, bad, w)
    assert [(result.n, result.n_nan, result.n_inf) for result in state.results()] == [(n, 2, 0)] * 2
    bad = p.copy()
    bad[2] = np.inf
    assert fl.mse(y, bad, w) == math.inf and fl.State("mse").update(y, bad, w).results()[0].n_inf == 1
    both = fl.get("poisson_loss")(np.ones(n), np.where(np.arange(n) == 1, np.inf, 0.0))
    assert math.isnan(both) or both == math.inf
    y_signs = fl.pinball(np.zeros(n), np.where(np.arange(n) % 2, np.inf, -np.inf))
    assert y_signs == math.inf


def test_nothing_to_divide_by():
    for y, p, options in (([], [], {}), ([1.0], [1.0], {"sample_weight": [0.0]}), ([np.nan], [1.0], {"nan": "skip"})):
        with pytest.raises(ValueError, match="nothing to divide by"):
            fl.mse(np.array(y), np.array(p), **options)
    assert fl.mse(np.array([]), np.array([]), reduction="sum") == 0.0
    with pytest.raises(ValueError, match="nothing to divide by"):
        fl.State("mse").compute()


def test_beyond_the_range_of_doubles():
    big = np.full(3000, 1.7e308)
    assert fl.mae(np.zeros(3000), big) == 1.7e308, "the sum is beyond the doubles, the mean is not"
    assert fl.mae(np.zeros(3000), big, reduction="sum") == math.inf
    tiny = np.full(3000, 5e-324)
    assert fl.mae(np.zeros(3000), tiny) == 5e-324
    assert fl.mae(np.zeros(3000), np.where(np.arange(3000) % 3, 0.0, 5e-324)) == 0.0


def test_more_than_two_to_the_31_samples():
    """Broadcast scalars and a zero stride make 2**31 + 5 samples of one byte's memory."""
    n = 2**31 + 5
    y = np.lib.stride_tricks.as_strided(np.ones(1, np.int8), (n,), (0,))
    cost = fl.mse(y, np.float32(3.0))
    assert cost == 4.0 and fl.mse(y, np.float32(3.0), reduction="sum") == 4.0 * n
