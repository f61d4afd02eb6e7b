"""fastloss.sklearn's losses against those of sklearn._loss.loss: every method, and the models that are trained with them."""

import copy
import inspect
import pickle
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

import fastloss as fl
import fastloss.sklearn as ours
from fastloss.adapters.sklearn import losses

theirs = pytest.importorskip("sklearn._loss.loss")
rng = np.random.default_rng(3)
POWERS = (-1.0, 0.0, 1.0, 1.2, 1.5, 2.0, 3.0)
CASES = [(name, {}) for name in losses.CLASSES]
CASES += [(name, {"power": power}) for name in ("HalfTweedieLoss", "HalfTweedieLossIdentity") for power in POWERS]
CASES += [("PinballLoss", {"quantile": 0.1}), ("HuberLoss", {"delta": 2.0}), ("HalfMultinomialLoss", {"n_classes": 5})]
METHODS = ("loss", "gradient", "loss_gradient", "gradient_hessian")
every_case = pytest.mark.parametrize(("name", "options"), CASES, ids=str)
every_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def pair(name, options, **more):
    return getattr(ours, name)(**options, **more), getattr(theirs, name)(**options, **more)


def data(name, options, n=300, dtype=np.float64, order="C"):
    """(y_true, raw_prediction, sample_weight): ties and zeros are among them where they are allowed."""
    raw = rng.standard_normal(n)
    y = np.where(rng.random(n) < 0.2, raw, rng.standard_normal(n))
    if name == "HalfMultinomialLoss":
        classes = options.get("n_classes", 3)
        raw, y = np.asarray(2 * rng.standard_normal((n, classes)), dtype, order), rng.integers(0, classes, n)
    elif "Poisson" in name or "Gamma" in name or "Tweedie" in name:
        y = rng.gamma(1.0, 2.0, n)
        if "Gamma" not in name and options.get("power", 1.5) < 2:
            y[::5] = 0
        raw = rng.gamma(1.0, 2.0, n) + 0.1 if "Identity" in name else raw
    elif name in ("HalfBinomialLoss", "ExponentialLoss"):
        y, raw = rng.integers(0, 2, n), 3 * raw
    return y.astype(dtype), raw.astype(dtype, copy=False), rng.random(n).astype(dtype)


def close(found, wanted, ulps=16):
    """Within so many ULP of the largest there is: theirs leaves rounding of terms that cancel."""
    assert type(found) is type(wanted)
    for one, other in zip(*(value if isinstance(value, tuple) else (value,) for value in (found, wanted)), strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
        eps = np.finfo(other.dtype).eps
        np.testing.assert_allclose(one, other, rtol=ulps * eps, atol=ulps * eps * max(1.0, np.abs(other).max()))


@pytest.mark.parametrize("name", losses.CLASSES)
def test_shape_of_the_interface(name):
    mine, host = pair(name, {})
    assert inspect.signature(type(mine)) == inspect.signature(type(host))
    for method in (key for key, value in inspect.getmembers(type(host), inspect.isfunction) if not key.startswith("__")):
        wanted = inspect.signature(getattr(type(host), method))
        found = inspect.signature(getattr(type(mine), method))
        assert list(found.parameters) == list(wanted.parameters) and found == wanted, method
    for weights in (None, np.ones(3)):
        mine, host = pair(name, {}, sample_weight=weights)
        for flag in ("differentiable", "is_multiclass", "approx_hessian", "constant_hessian", "n_classes", "xp", "device"):
            assert getattr(mine, flag) == getattr(host, flag), flag
        for interval in ("interval_y_true", "interval_y_pred"):
            assert vars(getattr(mine, interval)) == vars(getattr(host, interval))
    assert mine.link.is_multiclass == host.link.is_multiclass and vars(mine.link.interval_y_pred) == vars(host.link.interval_y_pred)


@every_case
@every_dtype
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("order", "CF")
def test_methods(name, options, dtype, weighted, order):
    if order == "F" and name != "HalfMultinomialLoss":
        order = None
    for n in (1, 7, 300):
        y, raw, w = data(name, options, n, dtype, order or "C")
        w = w if weighted else None
        mine, host = pair(name, options, sample_weight=w)
        for method in METHODS:
            close(getattr(mine, method)(y, raw, w), getattr(host, method)(y, raw, w))
            close(getattr(mine, method)(y, raw, w, n_threads=2), getattr(host, method)(y, raw, w))
            if order is None or name != "HalfMultinomialLoss":
                column = raw.reshape(-1, 1)
                found, wanted = getattr(mine, method)(y, column, w), getattr(host, method)(y, column, w)
                close(*(tuple(map(np.ravel, part if isinstance(part, tuple) else (part,))) for part in (found, wanted)))
        average, wanted = mine(y, raw, w), host(y, raw, w)
        assert isinstance(average, float) and average == pytest.approx(
            float(wanted), rel=float(64 * np.finfo(dtype).eps), abs=float(np.finfo(dtype).eps)
        )


@every_case
@pytest.mark.parametrize("dtypes", [(np.float64, np.float32), (np.float32, np.float64)])
def test_outputs_given(name, options, dtypes):
    """Into arrays of another type than the inputs', which are what is returned; one that is not given takes the type of the other."""
    y, raw, w = data(name, options, 50, dtypes[0], "F")
    mine, host = pair(name, options, sample_weight=w)
    for method, outputs in zip(METHODS, (["loss"], ["gradient"], ["loss", "gradient"], ["gradient", "hessian"]), strict=True):
        for given in ([], *([output] for output in outputs), outputs):
            shapes = {output: y if output == "loss" else raw for output in given}
            made = [{f"{output}_out": np.empty_like(like, dtype=dtypes[1]) for output, like in shapes.items()} for _ in range(2)]
            found, wanted = (getattr(loss, method)(y, raw, w, **outs) for loss, outs in zip((mine, host), made, strict=True))
            close(found, wanted, ulps=16 if dtypes[1] == np.float32 or not given else 2**33)
            if given == outputs:
                results = found if isinstance(found, tuple) else (found,)
                assert all(result is out for result, out in zip(results, made[0].values(), strict=True))


@every_case
@every_dtype
def test_intercepts_optima_and_proba(name, options, dtype):
    for n in (1, 2, 9, 100):
        y, raw, w = data(name, options, n, dtype)
        mine, host = pair(name, options)
        for weights in (None, w):
            close(np.asarray(mine.fit_intercept_only(y, weights)), np.asarray(host.fit_intercept_only(y, weights)), ulps=32)
            close(mine.constant_to_optimal_zero(y, weights), host.constant_to_optimal_zero(y, weights))
            if name == "HalfMultinomialLoss":
                close(mine.gradient_proba(y, raw, weights), host.gradient_proba(y, raw, weights))
                close(mine.gradient_proba(y, raw, weights, proba_out=np.empty_like(raw)), host.gradient_proba(y, raw, weights))
        if hasattr(host, "predict_proba"):
            close(mine.predict_proba(raw), host.predict_proba(raw))
        for points in (y, -y, np.array([0.0, 1.0], dtype), np.array([0.5], dtype)):
            assert mine.in_y_true_range(points) == host.in_y_true_range(points)
            assert mine.in_y_pred_range(points) == host.in_y_pred_range(points)


@pytest.mark.parametrize("name", losses.CLASSES)
@pytest.mark.parametrize("order", "CF")
def test_arrays_for_gradients(name, order):
    for weights in (None, np.ones(2)):
        mine, host = pair(name, {}, sample_weight=weights)
        for dtype in (np.float32, np.float64):
            for one, other in zip(*(loss.init_gradient_and_hessian(5, dtype, order) for loss in (mine, host)), strict=True):
                assert one.shape == other.shape and one.dtype == other.dtype and one.strides == other.strides
    with pytest.raises(ValueError, match="Valid options for 'dtype'"):
        mine.init_gradient_and_hessian(5, np.int32)


def test_scikit_learn_is_not_needed():
    code = """
import sys
sys.modules["sklearn"] = None
import numpy as np
import fastloss.sklearn as ours
y, r = np.array([0.0, 1.0, 2.0]), np.zeros(3)
for name in ("HalfPoissonLoss", "AbsoluteError", "HuberLoss"):
    loss = getattr(ours, name)()
    loss.gradient_hessian(y, r), loss.fit_intercept_only(y, np.ones(3)), loss(y, r)
assert "scipy" not in sys.modules
ours.as_host(loss)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode and "as_host needs scikit-learn" in run.stderr.splitlines()[-1]


def test_links():
    from sklearn._loss.link import _LINKS

    p = np.array([1e-12, 0.1, 0.5, 0.9, 1 - 1e-12])
    assert set(ours.LINKS) == set(_LINKS)
    for name, link in ours.LINKS.items():
        host, rows = _LINKS[name](), np.array([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]])
        given = rows if link.is_multiclass else p
        close(link.link(given), host.link(given), ulps=64)
        raw = host.link(given)
        close(link.inverse(raw), host.inverse(raw), ulps=64)
        assert repr(pickle.loads(pickle.dumps(link))) == repr(link)


def test_ties_and_quantiles_are_the_hosts():
    y = np.array([0.0, 1.0, 2.0])
    assert ours.AbsoluteError().gradient(y, y.copy()).tolist() == theirs.AbsoluteError().gradient(y, y.copy()).tolist() == [-1, -1, -1]
    mine, host = pair("PinballLoss", {"quantile": 0.3})
    assert mine.gradient(y, y.copy()).tolist() == host.gradient(y, y.copy()).tolist()
    for quantile in (0, 1, -0.1, 1.5):
        with pytest.raises(ValueError, match="quantile == "):
            ours.PinballLoss(quantile=quantile)
    mine, host = pair("HuberLoss", {})
    mine.closs.delta = host.closs.delta = 1.25  # as GradientBoosting does after each tree
    y, raw, _ = data("HuberLoss", {})
    close(mine.loss(y, raw), host.loss(y, raw))


def test_soft_targets():
    y, raw = rng.random(40), rng.standard_normal(40)
    for name in ("HalfBinomialLoss", "ExponentialLoss"):
        mine, host = pair(name, {})
        for method in METHODS:
            close(getattr(mine, method)(y, raw), getattr(host, method)(y, raw))


def test_confident_predictions_keep_their_gradient():
    """Theirs loses sigmoid(r) - 1 for large r no more than ours: both are formed without cancelling."""
    raw, y = np.array([40.0, 700.0, -40.0]), np.array([1.0, 1.0, 0.0])
    np.testing.assert_allclose(ours.HalfBinomialLoss().gradient(y, raw), [-np.exp(-40.0), -np.exp(-700.0), np.exp(-40.0)], rtol=1e-15)


def test_means_outside_of_the_domain_are_not_refused():
    """A line search of a model with the identity link may try such; theirs is NaN or infinite there."""
    y, raw = np.array([1.0, 2.0, 0.5]), np.array([-1.0, 0.0, 1.0])
    for power in (1.0, 1.5, 2.0, 3.0):
        mine, host = pair("HalfTweedieLossIdentity", {"power": power})
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(mine.loss(y, raw), host.loss(y, raw), rtol=1e-14)
            np.testing.assert_allclose(mine.gradient(y, raw), host.gradient(y, raw), rtol=1e-14)


def test_what_is_refused():
    with pytest.raises(fl.InputError, match="y_true"):
        ours.HalfPoissonLoss().loss(np.array([1.0, -1.0]), np.zeros(2))
    with pytest.raises(fl.InputError, match="y_true"):
        ours.HalfMultinomialLoss().loss(np.array([1.0, 3.0]), np.zeros((2, 3)))
    with pytest.raises(ZeroDivisionError):
        ours.HalfSquaredError()(np.ones(2), np.ones(2), np.zeros(2))
    with pytest.raises(TypeError, match="unexpected keyword"):
        ours.HalfSquaredError(power=2)


def test_pickles_and_copies():
    y, raw, w = data("HuberLoss", {})
    for loss in (ours.HuberLoss(delta=2.0), ours.as_host(ours.HuberLoss(delta=2.0)), ours.HalfTweedieLoss(power=1.2)):
        for other in (pickle.loads(pickle.dumps(loss)), copy.deepcopy(loss)):
            assert type(other) is type(loss) and vars(other.closs) == vars(loss.closs)
            np.testing.assert_array_equal(
                other.loss(y, raw) if "Huber" in str(type(loss)) else 0, loss.loss(y, raw) if "Huber" in str(type(loss)) else 0
            )


def test_no_copies():
    """Into given arrays nothing of the size of the data is made, but the labels of several classes, which come as floats."""
    n = 4_000_000
    for name in losses.CLASSES:
        if name == "HalfMultinomialLoss":
            continue
        y, raw, w = data(name, {}, n)
        mine, outs = getattr(ours, name)(sample_weight=w), {"gradient_out": np.empty(n), "hessian_out": np.empty(n)}
        tracemalloc.start()
        mine.gradient_hessian(y, raw, w, **outs)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4_000_000, name


@pytest.fixture
def one_thread():
    """Of OpenMP, whose threads spin while they wait for each other."""
    with pytest.importorskip("threadpoolctl").threadpool_limits(1):
        yield


def regression(n=300):
    from sklearn.datasets import make_regression

    x, y = make_regression(n, 6, noise=5.0, random_state=0)
    return x, np.exp((y - y.mean()) / y.std())


def classes(n=300, k=3):
    from sklearn.datasets import make_classification

    return make_classification(n, 8, n_informative=5, n_classes=k, random_state=0)


HIST = [
    ("regressor", {"loss": "squared_error"}, "HalfSquaredError", {}), ("regressor", {"loss": "absolute_error"}, "AbsoluteError", {}),
    ("regressor", {"loss": "gamma"}, "HalfGammaLoss", {}), ("regressor", {"loss": "poisson"}, "HalfPoissonLoss", {}),
    ("regressor", {"loss": "quantile", "quantile": 0.8}, "PinballLoss", {"quantile": 0.8}), (2, {}, "HalfBinomialLoss", {}),
    (3, {}, "HalfMultinomialLoss", {"n_classes": 3}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "options", "name", "parameters"), HIST, ids=lambda value: str(value))
@pytest.mark.parametrize("way", ["patched", "instance"])
@pytest.mark.parametrize("weighted", [False, True])
def test_hist_gradient_boosting_grows_the_same_trees(kind, options, name, parameters, way, weighted, monkeypatch, one_thread):
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    x, y = regression() if kind == "regressor" else classes(k=kind)
    model = HistGradientBoostingRegressor if kind == "regressor" else HistGradientBoostingClassifier
    w = rng.random(len(y)) if weighted else None
    settings = {"max_iter": 6, "early_stopping": False, "random_state": 0}
    wanted = model(**settings, **options).fit(x, y, w)
    loss = getattr(ours, name)(sample_weight=w, **parameters)
    if way == "patched":
        monkeypatch.setattr(model, "_get_loss", lambda self, sample_weight: loss)
        found = model(**settings, **options).fit(x, y, w)
    else:
        found = model(**settings, loss=ours.as_host(loss)).fit(x, y, w)
    assert type(found._loss).__module__.startswith("fastloss") and len(found._predictors) == len(wanted._predictors)
    for one, other in zip(sum(found._predictors, []), sum(wanted._predictors, []), strict=True):
        for field in ("feature_idx", "num_threshold", "left", "right", "count", "is_leaf"):
            np.testing.assert_array_equal(one.nodes[field], other.nodes[field])
        np.testing.assert_allclose(one.nodes["value"], other.nodes["value"], rtol=1e-5, atol=1e-7)  # of float32 gradients
    np.testing.assert_allclose(found.predict(x), wanted.predict(x), rtol=1e-6)
    if kind != "regressor":
        np.testing.assert_allclose(found.predict_proba(x), wanted.predict_proba(x), rtol=1e-5, atol=1e-7)


GRADIENT = [
    ("regressor", {"loss": "squared_error"}, "HalfSquaredError", {}), ("regressor", {"loss": "absolute_error"}, "AbsoluteError", {}),
    ("regressor", {"loss": "huber", "alpha": 0.8}, "HuberLoss", {"quantile": 0.8}),
    ("regressor", {"loss": "quantile", "alpha": 0.8}, "PinballLoss", {"quantile": 0.8}), (2, {}, "HalfBinomialLoss", {}),
    (2, {"loss": "exponential"}, "ExponentialLoss", {}), (3, {}, "HalfMultinomialLoss", {"n_classes": 3}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "options", "name", "parameters"), GRADIENT, ids=lambda value: str(value))
def test_gradient_boosting_grows_the_same_trees(kind, options, name, parameters, monkeypatch, one_thread):
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    x, y = regression() if kind == "regressor" else classes(k=kind)
    model = GradientBoostingRegressor if kind == "regressor" else GradientBoostingClassifier
    settings = {"n_estimators": 10, "random_state": 0, "max_depth": 2}
    wanted = model(**settings, **options).fit(x, y)
    monkeypatch.setattr(model, "_get_loss", lambda self, sample_weight: ours.as_host(getattr(ours, name)(sample_weight, **parameters)))
    found = model(**settings, **options).fit(x, y)
    assert isinstance(found._loss, ours.BaseLoss)
    for one, other in zip(found.estimators_.ravel(), wanted.estimators_.ravel(), strict=True):
        np.testing.assert_array_equal(one.tree_.feature, other.tree_.feature)
        np.testing.assert_allclose(one.tree_.threshold, other.tree_.threshold, rtol=1e-12)
        np.testing.assert_allclose(one.tree_.value, other.tree_.value, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.train_score_, wanted.train_score_, rtol=1e-12)


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cholesky"])
@pytest.mark.parametrize("name", ["PoissonRegressor", "GammaRegressor", "TweedieRegressor"])
def test_generalised_linear_models_are_the_same(name, solver, monkeypatch, one_thread):
    from sklearn import linear_model

    x, y = regression()
    model, options = getattr(linear_model, name), {"solver": solver, "tol": 1e-10, "max_iter": 500}
    wanted = model(**options).fit(x, y)
    loss = {"PoissonRegressor": ours.HalfPoissonLoss, "GammaRegressor": ours.HalfGammaLoss}.get(
        name, lambda: ours.HalfTweedieLossIdentity(power=0)
    )
    monkeypatch.setattr(model, "_get_loss", lambda self, **namespace: loss())
    found = model(**options).fit(x, y)
    np.testing.assert_allclose(found.coef_, wanted.coef_, rtol=1e-6)


@pytest.mark.parametrize("name", ["HalfBinomialLoss", "HalfMultinomialLoss", "HalfPoissonLoss"])
@every_dtype
def test_linear_model_loss(name, dtype):
    """The code behind LogisticRegression: values, gradients and Hessian products."""
    from sklearn.linear_model._linear_loss import LinearModelLoss

    y, _, w = data(name, {}, 200, dtype)
    x = rng.standard_normal((200, 4)).astype(dtype)
    mine, host = (LinearModelLoss(base_loss=loss, fit_intercept=True) for loss in pair(name, {}))
    coef = rng.standard_normal((3, 5) if name == "HalfMultinomialLoss" else 5).astype(dtype) * 0.3
    coef = np.asfortranarray(coef)
    found, wanted = (loss.loss_gradient(coef, x, y, w, l2_reg_strength=0.1) for loss in (mine, host))
    assert found[0] == pytest.approx(wanted[0], rel=float(64 * np.finfo(dtype).eps))
    close(found[1], wanted[1], ulps=64)
    products = [loss.gradient_hessian_product(coef, x, y, w, l2_reg_strength=0.1) for loss in (mine, host)]
    close(products[0][0], products[1][0], ulps=64)
    close(products[0][1](coef.ravel(order="F")), products[1][1](coef.ravel(order="F")), ulps=64)
