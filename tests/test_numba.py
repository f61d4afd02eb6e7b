"""What only the Numba backend has: its exact sum, its slabs and its threads. What all backends promise is tested everywhere else."""

import gc
import weakref

import numba
import numpy as np
import pytest

import fastloss as fl
from fastloss.compiler import exactsum, tiles
from fastloss.compiler.exactsum import ACCUMULATOR, FIRST_NAN, LANES, LIMBS
from fastloss.engine import backends
from fastloss.engine.exact import as_int
from fastloss.engine.numba_backend import LARGE, SMALL, NumbaBackend


@numba.njit
def add_all(total, left_out, counts, values, tile):
    for at in range(0, values.size, tile):
        n = tile if at + tile < values.size else values.size - at
        exactsum.add_tile(total, left_out, counts, values, at, n, None, at, at)


def summed(values, tile=2048):
    """(exact sum in units of 2**-1088, counts) of values, in tiles of a size up to the largest for which the folds are proven."""
    total, left_out, counts = np.zeros(ACCUMULATOR, np.int64), np.zeros(ACCUMULATOR, np.int64), np.zeros(4, np.int64)
    add_all(total, left_out, counts, values, tile)
    return exactsum.as_int(total), counts


def exactly(values):
    return sum(map(as_int, values.tolist()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("spread", [0, 1, 18, 19, 20, 21, 31, 32, 33, 34, 60, 61, 62, 63, 73, 74, 75, 76, 102, 103, 104, 105, 250])
@pytest.mark.parametrize("top", ["middle", "high", "low"])
def test_sums_at_the_bounds_of_the_folds(dtype, spread, top):
    """Exponents that spread over just as many binades as no, one or two folds can take, and one more; mantissas of ones only, which
    sum up to the most; of one sign, and of both; where folds would leave the range of float64 as well."""
    info, rng = np.finfo(dtype), np.random.default_rng(spread)
    high = {"middle": 0, "high": info.maxexp - 1, "low": info.minexp + spread}[top]
    ones = np.dtype(dtype).type(2) - np.dtype(dtype).type(info.eps)
    for n, share in ((LANES - 1, 0.5), (LANES, 0.5), (LANES + 1, 0.5), (1000, 0.01), (2048, 0.001), (2048, 0.5)):
        exponents = np.where(rng.random(n) < share, max(high - spread, info.minexp), high)
        exponents[n // 2] = max(high - spread, info.minexp)
        for mantissas in (np.full(n, ones), rng.choice([-1, 1], n) * ones, rng.uniform(-2, 2, n).astype(dtype)):
            values = np.ldexp(mantissas.astype(dtype), exponents)
            assert np.isfinite(values).all() and summed(values)[0] == exactly(values)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_of_any_bits(dtype):
    """Random bit patterns: every exponent, subnormals, zeros of both signs; specials are counted, the rest is summed."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 256, 40_000 * np.dtype(dtype).itemsize, dtype=np.uint8).view(dtype)
    values[::7] = 0.0
    values[5::11] = -0.0
    values[1000], values[2001], values[3002] = np.nan, np.inf, -np.inf
    finite, nan = np.isfinite(values), np.isnan(values)
    for tile in (100, 1024, 2048):
        found, counts = summed(values, tile)
        assert found == exactly(values[finite])
        assert counts.tolist() == [nan.sum(), (values == np.inf).sum(), (values == -np.inf).sum(), np.flatnonzero(nan)[0]]
    assert counts[FIRST_NAN] <= 1000


def test_carries():
    """Before limbs overflow their carries are passed on; a total stays what it is, also if it is negative."""
    for sign in (1, -1):
        total = np.zeros(ACCUMULATOR, np.int64)
        total[:LIMBS] = sign * ((1 << 61) + np.arange(LIMBS))
        total[LIMBS - 3 :] = 0
        total[LIMBS] = (1 << 30) - 5
        before = exactsum.as_int(total)
        assert before == sum(int(limb) << (32 * i) for i, limb in enumerate(total[:LIMBS]))
        values = np.full(10, sign * 1.5)
        add_all(total, np.zeros(ACCUMULATOR, np.int64), np.zeros(4, np.int64), values[:8], 1)
        assert exactsum.as_int(total) - before == exactly(values[:8])
        assert (np.abs(total[: LIMBS - 1]) < 1 << 34).all() and total[LIMBS] < 8


def loss_of(name, monkeypatch):
    """A configured loss bound to the Numba backend."""
    monkeypatch.setattr(backends, "current", NumbaBackend)
    return type(fl.get(name))(**fl.get(name).parameters)


def refusal(loss, y, p, w, n_threads):
    with pytest.raises(fl.InputError) as error:
        loss(y, p, w, n_threads=n_threads)
    return str(error.value)


@pytest.mark.parametrize("n_threads", [1, 4])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_first_bad_value_of_many_slabs(n_threads, dtype, monkeypatch):
    n = 5 * SMALL + 77
    hinge, log_loss = loss_of("hinge", monkeypatch), loss_of("log_loss", monkeypatch)
    y, p, w = np.ones(n, dtype), np.full(n, 0.25, dtype), np.ones(n)
    for at in (0, LANES - 1, tiles.TILE, SMALL + 3, n - 1):
        labels, targets, predictions, weights = y.copy(), y.copy(), p.copy(), w.copy()
        labels[at::97], targets[at::97], predictions[at::31], weights[at::53] = 0.5, -1e-30, 1.5, np.nan
        assert f"`y_true` of `hinge` must be -1 or 1 (or bool), got 0.5 at index {at};" in refusal(hinge, labels, p, None, n_threads)
        assert f"got {float(targets[at])} at index {at}" in refusal(log_loss, targets, p, None, n_threads)
        wanted = f"`y_pred` of `log_loss` must be in [0, 1], got 1.5 at index {at}"
        assert wanted in refusal(log_loss, y, predictions, None, n_threads)
        assert f"`sample_weight` must be finite and >= 0, got nan at index {at}" in refusal(log_loss, y, predictions, weights, n_threads)


def test_slabs_used_where_they_are_and_converted_agree(monkeypatch):
    """Contiguous arrays are used in place in large slabs; strided, byte-swapped and unaligned ones are converted in small ones."""
    rng, n = np.random.default_rng(0), LARGE + SMALL + 5
    loss = loss_of("huber", monkeypatch)
    y, p = rng.standard_normal((2, n)).astype(np.float32)
    want, gradient = loss.cost_gradient(y, p, n_threads=2)
    shifted = np.frombuffer(b"x" + p.tobytes(), np.uint8)[1:].view(np.float32)
    assert not shifted.flags.aligned
    for other in (np.repeat(p, 2)[::2], p.astype(">f4"), shifted, p[::-1].copy()[::-1]):
        out = np.empty(n, np.float32)
        assert loss.cost_gradient(y, other, gradient_out=out, n_threads=3)[0] == want and (out == gradient).all()
    given = p.copy()
    loss.gradient(y, given, gradient_out=given)
    assert (given == loss.gradient(y, p)).all()


@pytest.mark.parametrize("name", ["huber", "softmax_cross_entropy"])
def test_results_go_when_nobody_has_them(name, monkeypatch):
    """Not when the garbage collector comes."""
    loss, gone = loss_of(name, monkeypatch), []
    y, p = np.zeros(3, np.int64 if name == "softmax_cross_entropy" else float), np.ones((3, 4) if name == "softmax_cross_entropy" else 3)
    loss.gradient(y, p, n_threads=1)
    gc.disable()
    try:
        weakref.finalize(loss.gradient(y, p, n_threads=1), gone.append, True)
        assert gone
    finally:
        gc.enable()
