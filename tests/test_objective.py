"""Objectives of linear models: against formulas, scikit-learn's own and its models; layouts, threads, memory, errors."""

import doctest
import inspect
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

import fastloss as fl
from fastloss.adapters.sklearn import huber, objective, passes
from fastloss.sklearn import HuberScaleObjective, Objective

optimize = pytest.importorskip("scipy.optimize")
pytest.importorskip("sklearn")
rng = np.random.default_rng(11)


def data(n=300, d=4, dtype=np.float64):
    x = rng.standard_normal((n, d)).astype(dtype)
    w = rng.standard_normal(d + 1)
    return x, x @ w[:-1] + w[-1] > rng.logistic(size=n), rng.random(n), w


class Ridge:
    """alpha / 2 sum(w**2), as users may write penalties."""

    def __init__(self, alpha):
        self.alpha = alpha

    def __call__(self, w):
        return self.alpha / 2 * float(w @ w)

    def gradient(self, w):
        return self.alpha * w

    def prox(self, w, step):
        return w / (1 + step * self.alpha)

    def hessian_product(self, w, v):
        return self.alpha * v


class Lasso(Ridge):
    def __call__(self, w):
        return self.alpha * float(np.abs(w).sum())

    def gradient(self, w):
        return self.alpha * np.sign(w)

    def prox(self, w, step):
        return np.sign(w) * np.maximum(np.abs(w) - step * self.alpha, 0)

    hessian_product = None


LAYOUTS = {
    "C": lambda x: x, "F": np.asfortranarray, "rows of a wider array": lambda x: np.column_stack([x, x])[:, : x.shape[1]],
    "every other row": lambda x: np.repeat(x, 2, axis=0)[::2], "every other column": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "backwards": lambda x: x[::-1].copy()[::-1], "byte-swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "sparse": lambda x: pytest.importorskip("scipy.sparse").csr_array(x),
    "csc": lambda x: pytest.importorskip("scipy.sparse").csc_matrix(x),
    "frame": lambda x: pytest.importorskip("pandas").DataFrame(x),
}  # fmt: skip


def by_formula(loss, x, y, w, theta, intercept, l2=0.0):
    """(value, gradient, Hessian) in plain NumPy, float64."""
    x = np.column_stack([x, np.ones(len(x))]).astype(np.float64) if intercept else np.asarray(x, np.float64)
    z, w = x @ theta, np.ones(len(x)) if w is None else w
    g, h = loss.gradient_hessian(y, z, w)
    ridge = np.append(np.full(len(theta) - intercept, l2), [0.0] * intercept)
    return loss(y, z, w) + ridge @ theta**2 / 2, x.T @ g / w.sum() + ridge * theta, (x.T * h) @ x / w.sum() + np.diag(ridge)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_against_the_formulas(layout, intercept, weighted, monkeypatch):
    """Of one block, and of several slabs with a short last one."""
    monkeypatch.setattr(passes, "SMALL", 1 << 18)
    for n in (1, 50, 3001):
        x, y, w, theta = data(n, 60)
        theta, w = theta[: 60 + intercept] / 8, w if weighted else None
        for loss in (fl.Logistic(), fl.HalfSquaredError(), fl.PoissonLoss()):
            value, gradient, hessian = by_formula(loss, x, y, w, theta, intercept, 0.3)
            found = Objective(loss, LAYOUTS[layout](x), y, w, l2=0.3, fit_intercept=intercept)
            for _ in range(2):  # nothing is left over from other thetas
                one, other = found(theta), found.value(theta)
                assert isinstance(one[0], float) and one[0] == pytest.approx(value, rel=1e-14) and other == pytest.approx(value, rel=1e-14)
                np.testing.assert_allclose(one[1], gradient, rtol=1e-12, atol=1e-14)
                v = rng.standard_normal(len(theta))
                np.testing.assert_allclose(found.hessian_product(theta, v), hessian @ v, rtol=1e-12, atol=1e-13)
                found.gradient(theta + 1)
                np.testing.assert_allclose(found.hessian_product(theta, v), hessian @ v, rtol=1e-12, atol=1e-13)


def test_float32():
    """Predictions are float32, and the sums of each block."""
    x, y, w, theta = data(5000, 30, np.float32)
    value, gradient, hessian = by_formula(fl.Logistic(), x, y, w, theta / 8, True)
    found = Objective(fl.Logistic(), x, y, w)
    assert found.X is x and found.z.dtype == np.float32
    one = found(theta / 8)
    assert one[0] == pytest.approx(value, rel=1e-6) and one[1].dtype == np.float64
    np.testing.assert_allclose(one[1], gradient, atol=5e-7)
    np.testing.assert_allclose(found.hessian_product(theta / 8, theta), hessian @ theta, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("order", "CF")
def test_any_number_of_threads_gives_the_same_bits(dtype, order):
    x, y, w, theta = data(60_000, 80, dtype)
    x = np.asarray(x, order=order)
    assert Objective(fl.Logistic(), x, y).blocks.count > 5
    found = [Objective(fl.Logistic(), x, y, w, n_threads=n)(theta) for n in (1, 2, 3, 7, None)]
    for value, gradient in found[1:]:
        assert value == found[0][0]
        np.testing.assert_array_equal(gradient, found[0][1])


def test_value_is_that_of_the_predictions():
    """Of small integers, which BLAS does not round: the same bits as the loss's own."""
    x, theta = rng.integers(-3, 4, (2000, 5)).astype(np.float64), np.array([1.0, -2, 3, 0, 1, 2])
    y, w = rng.random(2000) > 0.5, rng.random(2000)
    assert Objective(fl.Logistic(), x, y, w).value(theta) == fl.Logistic()(y, x @ theta[:5] + theta[5], w)


def test_like_scikit_learns_own():
    from sklearn._loss.loss import HalfBinomialLoss
    from sklearn.linear_model._linear_loss import LinearModelLoss

    x, y, w, theta = data(400, 6)
    host = LinearModelLoss(base_loss=HalfBinomialLoss(), fit_intercept=True)
    value, gradient = host.loss_gradient(theta, x, y.astype(float), w, l2_reg_strength=0.2)
    found = Objective("logistic", x, y, w, l2=0.2)
    assert found(theta)[0] == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(found(theta)[1], gradient, rtol=1e-13, atol=1e-15)
    _, product = host.gradient_hessian_product(theta, x, y.astype(float), w, l2_reg_strength=0.2)
    v = rng.standard_normal(7)
    np.testing.assert_allclose(found.hessian_product(theta, v), product(v), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("method", ["L-BFGS-B", "trust-ncg", "Newton-CG"])
@pytest.mark.parametrize("weighted", [True, False])
def test_logistic_regression_is_reproduced(method, weighted):
    from sklearn.linear_model import LogisticRegression

    x, y, w, theta = data(500, 5)
    w = w if weighted else np.ones(500)
    wanted = LogisticRegression(C=0.7, tol=1e-12, max_iter=10_000).fit(x, y, w)
    found = Objective(fl.Logistic(), x, y, w, l2=1 / (0.7 * w.sum()))
    options = {"ftol": 0, "gtol": 1e-10} if method == "L-BFGS-B" else {}
    hessian = {} if method == "L-BFGS-B" else {"hessp": found.hessian_product}
    best = optimize.minimize(found, np.zeros(6), jac=True, method=method, tol=1e-10, options=options, **hessian)
    np.testing.assert_allclose(best.x, [*wanted.coef_[0], *wanted.intercept_], atol=1e-6)
    assert np.abs(best.jac).max() < 1e-7


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("intercept", [True, False])
def test_huber_regressor_is_reproduced(weighted, intercept):
    from sklearn.linear_model import HuberRegressor
    from sklearn.linear_model._huber import _huber_loss_and_gradient

    x, _, w, theta = data(300, 3)
    y = x @ theta[:3] + theta[3] + rng.standard_t(2, 300)
    w = w if weighted else None
    settings = {"epsilon": 1.5, "alpha": 0.02, "fit_intercept": intercept}
    found = HuberScaleObjective(x, y, w, **settings)
    start = np.append(np.zeros(3 + intercept), 1.0)
    for point in (start, start + 0.3):
        value, gradient = _huber_loss_and_gradient(point, x, y, 1.5, 0.02, np.ones(300) if w is None else w)
        assert found(point)[0] == found.value(point) == pytest.approx(value, rel=1e-13)
        np.testing.assert_allclose(found(point)[1], gradient, rtol=1e-11, atol=1e-11)
    bounds = [(None, None)] * (len(start) - 1) + [(1e-9, None)]
    options = {"ftol": 0, "gtol": 1e-7, "maxiter": 1000}
    best = optimize.minimize(found, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    theirs = HuberRegressor(**settings, tol=1e-9, max_iter=10_000).fit(x, y, w)
    point = np.array([*theirs.coef_, *[theirs.intercept_] * intercept, theirs.scale_])
    assert found.value(best.x) <= found.value(point)  # theirs stops a little earlier
    np.testing.assert_allclose(best.x, point, atol=2e-4)
    for call in (lambda: found.hessian_product(start, start), lambda: found.prox(start)):
        with pytest.raises(TypeError, match="HuberRegressor"):
            call()
    with pytest.raises(ValueError, match="scale > 0"):
        found(start * 0)


@pytest.mark.parametrize("penalty", [Ridge(0.3), fl.L2(0.3)], ids=["any", "fl.L2"])
def test_penalties(penalty):
    x, y, w, theta = data(200, 4)
    plain, ridge = Objective(fl.Logistic(), x, y, w, l2=0.4), Objective(fl.Logistic(), x, y, w, l2=0.1, penalty=penalty)
    assert plain(theta)[0] == pytest.approx(ridge(theta)[0], rel=1e-14)
    assert ridge.value(theta) == pytest.approx(plain.value(theta), rel=1e-14)
    np.testing.assert_allclose(plain(theta)[1], ridge(theta)[1], rtol=1e-13)
    np.testing.assert_allclose(plain.hessian_product(theta, theta), ridge.hessian_product(theta, theta), rtol=1e-13)
    np.testing.assert_allclose(ridge.prox(theta, 2.0), [*theta[:4] / 1.6, theta[4]])
    assert plain.prox(theta).tolist() == theta.tolist()


@pytest.mark.parametrize("penalty", [Lasso(0.2), fl.L1(0.2), fl.ElasticNet(0.2, l1_ratio=1.0)], ids=["any", "fl.L1", "fl.ElasticNet"])
def test_lasso_by_proximal_steps(penalty):
    """No gradient where it has a kink; with its proximal operator the coefficients of scikit-learn's, those that are 0 exactly so."""
    from sklearn.linear_model import Lasso as Host

    x, _, _, theta = data(300, 6)
    y = x @ (theta[:6] * (np.arange(6) < 3)) + 1 + 0.1 * rng.standard_normal(300)
    wanted = Host(alpha=0.2, tol=1e-12, max_iter=10_000).fit(x, y)
    lasso = Objective(fl.HalfSquaredError(), x, y, penalty=penalty)
    with pytest.raises(TypeError, match="proximal steps"):
        lasso(np.zeros(7))
    found, step = np.zeros(7), 0.5
    for _ in range(500):
        found = lasso.prox(found - step * lasso.smooth(found)[1], step)
    np.testing.assert_allclose(found, [*wanted.coef_, wanted.intercept_], atol=1e-9)
    assert np.array_equal(found[:6] == 0, wanted.coef_ == 0) and (found[:6] == 0).any()
    assert lasso.value(found) == pytest.approx(lasso.smooth(found)[0] + 0.2 * np.abs(found[:6]).sum(), rel=1e-14)


def test_nothing_of_the_size_of_x_is_made():
    x, y, w, theta = data(200_000, 20)
    found = Objective(fl.Logistic(), x, y, w, n_threads=2)
    tracemalloc.start()
    found(theta)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.X is x and peak < 3_000_000 < x.nbytes / 10


def test_after_a_fork():
    if not hasattr(os, "fork"):
        pytest.skip("no fork")
    code = """
import os, numpy as np, fastloss as fl
from fastloss.sklearn import Objective
x = np.ones((150_000, 20)); o = Objective(fl.Logistic(), x, np.ones(150_000, bool), n_threads=2)
value = o(np.zeros(21))[0]
pid = os.fork()
if pid == 0:
    os._exit(0 if o(np.zeros(21))[0] == value else 1)
assert os.waitpid(pid, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)


def test_blas_gets_its_threads_back():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    x, y, w, theta = data(60_000, 40)
    before = [library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]
    bad = y.astype(float)
    bad[51_234] = 3.0
    with pytest.raises(fl.InputError, match="index 51234"):
        Objective(fl.Logistic(), x, bad, n_threads=2)(theta)
    assert before == [library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]


def test_what_is_refused():
    x, y, w, theta = data(20, 3)
    bad = [
        (lambda: Objective("cross_entropy", x, y), TypeError, "LinearCrossEntropy"),
        (lambda: Objective("rmse", x, y), TypeError, "single prediction"),
        (lambda: Objective("dice", x, y), TypeError, "single prediction"),
        (lambda: Objective("mse", x[0], y), ValueError, "`X` must have shape"),
        (lambda: Objective("mse", x.astype(str), y), TypeError, "`X` must be an array of numbers"),
        (lambda: Objective("mse", x, y[:5]), ValueError, "`y` must"),
        (lambda: Objective("mse", x, y, w[:5]), ValueError, "`sample_weight` must"),
        (lambda: Objective("mse", x, y, w * 0), ValueError, "nothing to divide by"),
        (lambda: Objective("mse", x[:0], y[:0]), ValueError, "no rows"),
        (lambda: Objective("mse", x, y, l2=-1), ValueError, "`l2` must"),
        (lambda: Objective("mse", x, y, n_threads=0), ValueError, "`n_threads` must"),
        (lambda: Objective("mse", x, y)(theta[:3]), ValueError, "`theta` must"),
        (lambda: Objective("mse", x, y).hessian_product(theta, theta[:2]), ValueError, "`v` must"),
        (lambda: Objective("mse", x, y, w - 2 * w * (np.arange(20) == 3))(theta), fl.InputError, "sample_weight"),
        (lambda: Objective("logistic", x, y * 2)(theta), fl.InputError, "y_true"),
        (lambda: HuberScaleObjective(x, y, epsilon=1.0), ValueError, "`epsilon`"),
    ]
    for call, error, match in bad:
        with pytest.raises(error, match=match):
            call()
    no_hessian = Ridge(1.0)
    no_hessian.__class__ = type("Smooth", (), {"__call__": Ridge.__call__, "gradient": Ridge.gradient, "__repr__": lambda self: "Smooth()"})
    with pytest.raises(TypeError, match=r"Smooth\(\) has no `hessian_product"):
        Objective("mse", x, y, penalty=no_hessian).hessian_product(theta, theta)


def test_without_threadpoolctl(monkeypatch):
    x, y, w, theta = data(60_000, 40)
    wanted = Objective(fl.Logistic(), x, y, w)(theta)
    monkeypatch.setattr(passes, "_controller", lambda: None)
    found = Objective(fl.Logistic(), x, y, w)(theta)
    assert found[0] == pytest.approx(wanted[0], rel=1e-14)
    np.testing.assert_allclose(found[1], wanted[1], rtol=1e-11, atol=1e-14)


def test_examples():
    for module in (objective, huber):
        found = doctest.testmod(module, extraglobs={"np": np, "fl": fl})
        assert found.attempted and not found.failed
    assert "scipy" not in inspect.getsource(passes)
