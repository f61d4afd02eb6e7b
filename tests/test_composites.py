"""Weighted sums of losses: exact, in one pass, wherever a loss goes; and penalties on parameters."""

import pickle
from fractions import Fraction

import numpy as np
import pytest

import fastloss as fl
from tests.own_losses import Cauchy

RNG = np.random.default_rng(0)
Y, P, W = RNG.standard_normal(5000), RNG.standard_normal(5000), RNG.random(5000)


def exactly(weights, costs):
    """The weighted sum of the fractions, rounded once."""
    return float(sum(Fraction(weight) * cost for weight, cost in zip(weights, costs, strict=True)))


def mean(losses, w=None):
    w = np.ones(len(losses)) if w is None else w
    return sum(Fraction(float(a * b)) for a, b in zip(losses, w, strict=True)) / sum(map(Fraction, w.tolist()))


def test_the_cost_is_rounded_once():
    parts = [fl.Huber(2.0), fl.SquaredError(), Cauchy(0.5)]
    whole = 0.3 * parts[0] + np.float32(0.7) * parts[1] + parts[2] / 3
    weights = [0.3, float(np.float32(0.7)), 1 / 3]
    for w in (None, W):
        wanted = exactly(weights, [mean(part.loss(Y, P), w) for part in parts])
        assert whole(Y, P, w) == wanted == fl.State(whole).update(Y, P, w).compute() == whole.cost_gradient(Y, P, w)[0]
        assert fl.evaluate([whole, "mse"], Y, P, w) == {whole.spec: wanted, "mse": fl.mse(Y, P, w)}
    total = exactly(weights, [sum(map(Fraction, part.loss(Y, P).tolist())) for part in parts])
    assert whole(Y, P, reduction="sum") == total
    one, other = fl.State(whole).update(Y[:99], P[:99]), fl.State(whole).update(Y[99:], P[99:])
    assert fl.State.from_bytes(one.merge(other).to_bytes()).compute() == whole(Y, P, n_threads=3)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_outputs(dtype):
    y, p = Y.astype(dtype), P.astype(dtype)
    whole = 2 * fl.Huber() + 0.25 * fl.LogCosh()
    for mine, a, b in zip(whole.loss_gradient_hessian(y, p, W), fl.Huber().loss_gradient_hessian(y, p, W),
                          fl.LogCosh().loss_gradient_hessian(y, p, W), strict=True):  # fmt: skip
        assert mine.dtype == dtype and (mine == (2 * a.astype(float) + 0.25 * b.astype(float)).astype(dtype)).all()
    gradient = whole.gradient(y, p)
    out = p.copy()
    assert whole.gradient(y, out, gradient_out=out) is out and (out == gradient).all()
    transposed = np.asfortranarray(p.reshape(50, 100))
    assert (whole.gradient(y.reshape(50, 100), transposed) == gradient.reshape(50, 100)).all()
    assert (whole.gradient(y[::-1], p[::-1]) == gradient[::-1]).all()
    with pytest.raises(ValueError, match="an output must be a writeable float array"):
        whole.gradient(y, p, gradient_out=np.empty(3))


def test_numbers():
    whole = 0.5 * fl.SquaredError() + fl.AbsoluteError()
    assert whole(0.0, 2.0) == 4.0 and whole.loss(0.0, 2.0) == 4.0 and whole.gradient(0.0, 2.0) == 3.0


def test_rows_and_costs_of_sums():
    z, labels = RNG.standard_normal((300, 4)), RNG.integers(0, 4, 300)
    whole = fl.SoftmaxCrossEntropy() + 0.1 * fl.SoftmaxCrossEntropy(label_smoothing=0.5)
    smooth = fl.SoftmaxCrossEntropy(label_smoothing=0.5)
    assert whole(labels, z) == exactly([1.0, 0.1], [mean(fl.SoftmaxCrossEntropy().loss(labels, z)), mean(smooth.loss(labels, z))])
    assert whole.cost_gradient(labels, z)[1].shape == z.shape and fl.evaluate([whole], labels, z)[whole.spec] == whole(labels, z)
    y, p = (RNG.random(500) < 0.3).astype(float), RNG.random(500)
    mixed = 0.5 * fl.Dice() + fl.LogLoss()
    wanted = exactly([0.5, 1.0], [Fraction(fl.Dice()(y, p)), mean(fl.LogLoss().loss(y, p))])
    cost, gradient = mixed.cost_gradient(y, p)
    assert mixed(y, p) == cost == wanted
    assert gradient == pytest.approx(0.5 * fl.Dice().cost_gradient(y, p)[1] + fl.LogLoss().cost_gradient(y, p)[1], rel=1e-15)
    with pytest.raises(TypeError, match="without a loss of each sample"):
        mixed.loss(y, p)
    assert fl.get("rmse + mae")(Y, P) == exactly([1, 1], [Fraction(fl.rmse(Y, P)), mean(fl.AbsoluteError().loss(Y, P))])


def test_nan_and_infinity():
    p = P.copy()
    p[3] = np.nan
    whole = fl.Huber() + fl.SquaredError()
    assert np.isnan(whole(Y, p)) and whole(Y, p, nan="skip") == whole(np.delete(Y, 3), np.delete(p, 3))
    with pytest.raises(fl.InputError, match="index 3"):
        whole(Y, p, nan="raise")
    assert (fl.LogLoss() + fl.Brier())(1.0, 0.0) == np.inf
    with pytest.raises(fl.InputError, match="`y_pred` of `log_loss`"):
        (fl.LogLoss() + fl.Brier())(1.0, 1.5)


def test_text_and_pickles():
    whole = 0.5 * fl.Huber(2.0) + fl.SquaredError()
    assert whole.spec == "0.5*huber:delta=2.0 + 1.0*squared_error" and repr(whole) == "0.5 * Huber(delta=2.0) + SquaredError()"
    assert fl.get(whole.spec) == whole == fl.get("0.5 * huber:delta=2 + mse") and hash(fl.get(whole.spec)) == hash(whole)
    assert (
        pickle.loads(pickle.dumps(whole)) == whole
        and eval(repr(whole), vars(fl) | {"Huber": fl.Huber, "SquaredError": fl.SquaredError}) == whole
    )
    assert sum([fl.Huber(2.0), fl.SquaredError()]) == fl.Huber(2.0) + fl.SquaredError() != whole
    assert 2 * whole == fl.Huber(2.0) + 2 * fl.SquaredError() and fl.get("1e-05*huber:delta=1e+05").parts == ((1e-5, fl.Huber(1e5)),)
    own = pickle.loads(pickle.dumps(Cauchy(2.0) + fl.Huber()))
    assert own(Y, P) == (Cauchy(2.0) + fl.Huber())(Y, P)


def test_files(tmp_path):
    np.savez(tmp_path / "d.npz", y=Y, p=P)
    whole = 0.5 * fl.Huber() + Cauchy()
    evaluation = fl.evaluate_files(tmp_path / "d.npz", [whole, "0.5*mae + rmse"], state=tmp_path / "s.fls", report=True)
    assert evaluation.costs == fl.evaluate([whole, "0.5*mae + rmse"], Y, P)
    evaluation.write_html(tmp_path / "r.html")
    assert fl.merge_states(tmp_path / "s.fls").costs == evaluation.costs


@pytest.mark.parametrize("make, error, words", [
    (lambda: -1 * fl.Huber(), ValueError, "a finite number > 0, got -1"),
    (lambda: fl.Huber() * 0, ValueError, "a finite number > 0, got 0"),
    (lambda: 1e308 * (1e308 * fl.Huber()), ValueError, "must be finite and > 0 as float64, got inf"),
    (lambda: (fl.Huber() * 1e-200) / 1e200, ValueError, "must be finite and > 0 as float64, got 0.0"),
    (lambda: fl.get("1..2*mse"), ValueError, "unknown loss"),
    (lambda: float("nan") * fl.Huber(), ValueError, "a finite number > 0, got nan"),
    (lambda: fl.Huber() - fl.Huber(2.0), TypeError, "difference"),
    (lambda: fl.Huber() + 1, TypeError, "unsupported operand"),
    (lambda: fl.Huber() + fl.SoftmaxCrossEntropy(), ValueError, "cannot be added"),
    (lambda: fl.get("0.5*hubber + mse"), ValueError, "unknown loss 'hubber'"),
    (lambda: fl.Huber() * True, ValueError, "got True"),
])  # fmt: skip
def test_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


# ---- penalties -------------------------------------------------------------------------------------------------------------------------
THETA = np.array([1.5, -0.25, 0.0, 3.0, -2.0, 0.125])
GROUPS = np.array([0, 0, 1, 1, -1, 2])
PENALTIES = [fl.L1(0.5), fl.L2(0.5), fl.ElasticNet(0.5, 0.25), fl.GroupLasso(GROUPS, 0.5), fl.GroupLasso(GROUPS, 2.0, [1.0, 0.0, 3.0])]


def test_values():
    assert fl.L1(0.5)(THETA) == 0.5 * 6.875 and fl.L2(0.5)(THETA) == 0.25 * float((THETA**2).sum())
    assert fl.ElasticNet(0.5, 0.25)(THETA) == 0.125 * 6.875 + 0.1875 * float((THETA**2).sum())
    wanted = 0.5 * (np.sqrt(2) * np.hypot(1.5, 0.25) + np.sqrt(2) * 3.0 + 0.125)
    assert fl.GroupLasso(GROUPS, 0.5)(THETA) == pytest.approx(wanted, rel=1e-15)
    big = np.array([1e200, 1.0, -1e200])
    assert fl.GroupLasso([0, 1, 0])(big) == pytest.approx(2e200, rel=1e-15)
    assert fl.L1()(np.array([1e16, 1.0, -1.0, 1.0])) == 1e16 + 4  # exact: a running sum has 1e16


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_gradients_and_proximal_operators(penalty):
    at = np.where(THETA == 0, 0.7, THETA)
    value, gradient = penalty.value_gradient(at)
    assert value == penalty(at)
    for k in range(len(at)):
        step = np.zeros(len(at))
        step[k] = 1e-6
        assert gradient[k] == pytest.approx((penalty(at + step) - penalty(at - step)) / 2e-6, abs=1e-8)
    assert penalty.gradient(THETA)[2] == 0.0 and np.isfinite(penalty.gradient(np.zeros(6))).all()
    for step in (0.0, 0.3, 2.0):
        x = penalty.prox(THETA, step)
        best = 0.5 * ((x - THETA) ** 2).sum() + step * penalty(x)
        for _ in range(50):
            other = x + RNG.standard_normal(6) * RNG.choice([1e-4, 1e-2, 1.0])
            assert 0.5 * ((other - THETA) ** 2).sum() + step * penalty(other) >= best - 1e-15
    again = THETA.copy()
    assert penalty.prox(again, 0.3, out=again) is again and (again == penalty.prox(THETA, 0.3)).all()
    assert penalty.gradient(THETA.astype("f4")).dtype == penalty.prox(THETA.astype("f4")).dtype == np.float32
    assert pickle.loads(pickle.dumps(penalty)) == penalty and hash(penalty) == hash(pickle.loads(pickle.dumps(penalty)))


@pytest.mark.parametrize("make, words", [
    (lambda: fl.L1(-1.0), "`alpha` of `L1` must be >= 0, got -1.0"),
    (lambda: fl.ElasticNet(1.0, 2.0), "`l1_ratio` of `ElasticNet` must be in"),
    (lambda: fl.GroupLasso([0.5]), "`groups` of `GroupLasso` must be integers"),
    (lambda: fl.L1().prox(THETA, -1), "`step` must be a finite"),
    (lambda: fl.GroupLasso(GROUPS, 1.0, [1.0]), "`weights` of `GroupLasso` must be 3 finite numbers"),
    (lambda: fl.GroupLasso(GROUPS)(THETA[:2]), "`theta` has shape"),
])  # fmt: skip
def test_penalties_refuse(make, words):
    with pytest.raises(ValueError, match=words):
        make()
