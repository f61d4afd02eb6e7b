"""fastloss.catboost beside CatBoost's own objectives and metrics."""

import copy
import doctest
import warnings

import joblib
import numpy as np
import pytest

catboost = pytest.importorskip("catboost")
pytest.importorskip("sklearn")

from sklearn.base import clone  # noqa: E402

import fastloss as fl  # noqa: E402
import fastloss.catboost as fc  # noqa: E402
from tests import boosters  # noqa: E402

COMMON = {"iterations": 10, "depth": 3, "thread_count": 1, "verbose": False, "allow_writing_files": False, "learning_rate": 0.25}
ALIKE = {"boost_from_average": False, "leaf_estimation_backtracking": "No", "bootstrap_type": "No"}
OWN = [
    ("RMSE", "real", {}), ("Logloss", "binary", {}), ("CrossEntropy", "shares", {}), ("Poisson", "counts", {}),
    ("Huber", "real", {"delta": 1.003}), ("Huber", "real", {"delta": 0.253}), ("Expectile", "real", {"alpha": 0.25}),
    ("Lq", "real", {"q": 3.0}), ("Lq", "real", {"q": 1.5}), ("Tweedie", "real", {"variance_power": 1.25}), ("MultiClass", "classes", {}),
]  # fmt: skip


def raw(model, x):
    return np.asarray(model.predict(x, prediction_type="RawFormulaVal"))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "kind", "parameters"), OWN)
def test_same_trees_as_the_own_objective(name, kind, parameters, weighted):
    """Both are float64 throughout: raw scores are equal to roundings of that."""
    x, y = boosters.data(kind)
    w = boosters.weights(len(y)) if weighted else None
    text = ";".join(f"{key}={value}" for key, value in parameters.items())
    common = COMMON | ALIKE | ({"classes_count": 3} if kind == "classes" else {})
    own = catboost.CatBoost(common | {"loss_function": f"{name}:{text}" if text else name}).fit(x, y, sample_weight=w)
    objective = fc.builtin(name, **parameters)
    same = {key: own.get_all_params()[key] for key in ("leaf_estimation_method", "leaf_estimation_iterations")}
    ours = catboost.CatBoost(common | same | {"loss_function": objective, "eval_metric": fc.metric(objective.loss)})
    ours.fit(x, y, sample_weight=w)
    expected = raw(own, x)
    assert np.abs(raw(ours, x) - expected).max() <= 1e-13 * np.abs(expected).max()
    assert np.array_equal(own.calc_leaf_indexes(x), ours.calc_leaf_indexes(x))
    assert np.ptp(expected) > 0.5  # something was learnt


def test_the_average_as_a_baseline():
    x, y = boosters.data("real")
    w = boosters.weights(len(y))
    common = COMMON | {"bootstrap_type": "No", "leaf_estimation_backtracking": "No"}
    own = catboost.CatBoost(common | {"loss_function": "RMSE"}).fit(x, y, sample_weight=w)  # with boost_from_average, its default
    objective = fc.builtin("RMSE")
    start = objective.init_score(y, w)
    pool = catboost.Pool(x, y, weight=w, baseline=np.full(len(y), start))
    ours = catboost.CatBoost(common | {"loss_function": objective, "eval_metric": fc.metric("rmse")}).fit(pool)
    assert np.abs(raw(ours, x) + start - raw(own, x)).max() <= 4 * boosters.ULP32 * np.abs(y).max()  # its own average is a float32
    assert fc.builtin("Logloss").init_score(y) == 0.0


@pytest.mark.parametrize("name", ["MAE", "Quantile", "MAPE", "LogCosh", "YetiRank", "nothing"])
def test_what_cannot_be_reproduced_is_refused(name):
    with pytest.raises(ValueError, match=f"CatBoost's '{name}' cannot be reproduced: .*there are 'RMSE'"):
        fc.builtin(name)


def test_parameters_of_own_objectives():
    with pytest.raises(TypeError, match="CatBoost's 'Huber' has no default for `delta`; give it"):
        fc.builtin("Huber")
    with pytest.raises(TypeError, match="`delta` is not a parameter of CatBoost's 'RMSE'"):
        fc.builtin("RMSE", delta=1.0)


@pytest.mark.parametrize("weighted", [False, True])
def test_derivatives_of_ranges(weighted):
    """float64 (n, 2), of what is maximised."""
    n = 3000
    w = boosters.weights(n) if weighted else None
    y, z = (np.arange(n) % 3 == 0).astype(np.float32), boosters.scores(n, dtype=np.float64)
    found = fc.objective("logistic").calc_ders_range(z, y, w)
    assert found.shape == (n, 2) and found.dtype == np.float64 and type(found) is np.ndarray
    for one, true in zip(found.T, boosters.logistic(y, z, np.ones(n) if w is None else w.astype(np.float64)), strict=True):
        assert (np.abs(one + true) <= 8 * 2.0**-53 * np.abs(true)).all()
    assert np.array_equal(fc.objective("pinball").calc_ders_range(z, y, w)[:, 1], -np.ones(n) if w is None else -w.astype(np.float64))


@pytest.mark.parametrize("label", [0, 1, 2, 3])
@pytest.mark.parametrize("top", [0.0, 30.0, 800.0])
def test_derivatives_of_rows(label, top):
    z, w = boosters.scores(4, dtype=np.float64), 1.5
    z[2] = top
    gradient, hessian = fc.objective("softmax_cross_entropy").calc_ders_multi(z, float(label), w)
    loss = fl.SoftmaxCrossEntropy()
    g, h = loss.gradient_hessian(np.array([label]), z[None], np.array([w]))
    ulp = 2.0**-53 * (16 + np.abs(z - z.max()).max())  # NumPy's exp is of a rounded difference
    assert (np.abs(gradient + g[0]) <= ulp * np.abs(g[0])).all()
    assert (np.abs(np.diag(hessian) + h[0]) <= ulp * np.abs(h[0])).all()
    p = fl.softmax(z)
    assert np.allclose(hessian, -w * (np.diag(p) - np.outer(p, p)), rtol=0, atol=1e-15)
    gradient, hessian = fc.objective("one_vs_all_logistic").calc_ders_multi(z, float(label), w)
    g, h = fl.OneVsAllLogistic().gradient_hessian(np.array([label]), z[None], np.array([w]))
    assert np.array_equal(gradient, -g[0]) and np.array_equal(hessian, -np.diag(np.maximum(h[0], 1e-16)))


def test_derivatives_of_rows_are_those_of_the_formula():
    """By differences of the loss, and of the gradient."""
    z, step = boosters.scores(3, dtype=np.float64), 1e-6
    objective, loss = fc.objective("softmax_cross_entropy"), fl.SoftmaxCrossEntropy()
    gradient, hessian = objective.calc_ders_multi(z, 1.0, 2.0)
    for j in range(3):
        up, down = z + step * (np.arange(3) == j), z - step * (np.arange(3) == j)
        costs = [loss([1], one[None], [2.0], reduction="sum") for one in (up, down)]
        assert gradient[j] == pytest.approx((costs[1] - costs[0]) / (2 * step), abs=1e-8)
        slopes = [objective.calc_ders_multi(one, 1.0, 2.0)[0] for one in (up, down)]
        assert hessian[j] == pytest.approx((slopes[0] - slopes[1]) / (2 * step), abs=1e-8)


def test_catboost_hands_what_is_expected():
    """So that the layouts above are those of this version; and it neither compiles the methods nor warns that it does not."""
    seen = set()

    class Seeing(fc.Objective):
        def calc_ders_range(self, approxes, targets, weights):
            seen.add((type(approxes), approxes.dtype, targets.dtype, weights.dtype))
            return super().calc_ders_range(approxes, targets, weights)

    x, y = boosters.data("real")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = catboost.CatBoost(COMMON | {"loss_function": Seeing("mse"), "eval_metric": fc.metric("mse")})
        model.fit(x, y, sample_weight=boosters.weights(len(y)))
    assert seen == {(np.ndarray, np.dtype(np.float64), np.dtype(np.float32), np.dtype(np.float32))}
    assert not hasattr(model.get_params()["eval_metric"], "_jited")


@pytest.mark.parametrize("loss", ["huber:delta=0.5", fl.LogCosh(), "expectile:alpha=0.8", "pinball:quantile=0.3"])
@pytest.mark.parametrize("threads", [1, 2])
def test_estimators(loss, threads):
    x, y = boosters.data("real")
    w = boosters.weights(len(y))
    pool = catboost.Pool(x, y, weight=w, baseline=np.full(len(y), 1.5))
    common = COMMON | {"iterations": 30, "thread_count": threads}
    model = catboost.CatBoostRegressor(**common, loss_function=fc.objective(loss), eval_metric=fc.metric(loss))
    model.fit(pool)
    cost = fl.get(loss)(y, raw(model, x) + 1.5, w)
    (name,) = model.get_evals_result()["learn"]
    assert name == fl.get(loss).name
    assert model.get_evals_result()["learn"][name][-1] == pytest.approx(cost, rel=1e-12)
    assert cost < 0.8 * fl.get(loss)(y, np.full(len(y), 1.5), w)


def test_classifiers():
    x, y = boosters.data("classes")
    for loss in ("softmax_cross_entropy", "one_vs_all_logistic"):
        parameters = COMMON | {"loss_function": fc.objective(loss), "eval_metric": fc.metric(loss), "classes_count": 3}
        model = catboost.CatBoostClassifier(**parameters).fit(x, y)
        assert (raw(model, x).argmax(axis=1) == y).mean() > 0.95
    x, y = boosters.data("binary")
    for loss in ("logistic", "exponential", "hinge"):  # the last two have targets -1 and 1; CatBoost has 0 and 1
        model = catboost.CatBoostClassifier(**COMMON, loss_function=fc.objective(loss), eval_metric=fc.metric(loss)).fit(x, y)
        assert ((raw(model, x) > 0) == y).mean() > 0.95


def test_class_names():
    x, y = boosters.data("binary")
    names = np.where(y > 0, "yes", "no")
    parameters = COMMON | {"loss_function": fc.objective("soft_margin"), "eval_metric": fc.metric("logistic")}
    model = catboost.CatBoostClassifier(**parameters, class_names=["no", "yes"]).fit(x, names)
    assert (model.predict(x) == names).mean() > 0.95
    assert model.predict_proba(x)[:, 1] == pytest.approx(1.0 / (1.0 + np.exp(-raw(model, x))), rel=1e-12)


def test_bad_data_is_an_error_of_catboost():
    x, _ = boosters.data("counts")
    y = np.ones(len(x), np.float32)
    y[17] = -3.0
    model = catboost.CatBoost(COMMON | {"loss_function": fc.objective("poisson_loss"), "eval_metric": fc.metric("mse")})
    with pytest.raises(catboost.CatBoostError, match="`y_true` of `poisson_loss` must be >= 0, got -3.0 at index"):
        model.fit(x, y)
    model = catboost.CatBoost(COMMON | {"loss_function": "RMSE", "eval_metric": fc.metric("poisson_loss")})
    with pytest.raises(catboost.CatBoostError, match="`y_true` of `poisson_loss` must be >= 0, got -3.0 at index 17"):
        model.fit(x, y)
    for loss in ("softmax_cross_entropy", "one_vs_all_logistic"):
        for bad in (3.0, -1.0, 0.5, float("nan")):
            with pytest.raises(catboost.CatBoostError, match="must be a class from 0 to 2"):
                fc.objective(loss).calc_ders_multi(np.zeros(3), bad, 1.0)
    with pytest.raises(ValueError, match="rows of targets, which CatBoost does not hand"):
        fc.objective("soft_label_cross_entropy")
    with pytest.raises(ValueError, match="a cost of sums, which CatBoost's metrics"):
        fc.metric("dice")


METRICS = [
    ("rmse", "RMSE", "real", 1e-13), ("huber:delta=0.5", "Huber:delta=0.5", "real", 1e-13), ("mape:floor=catboost", "MAPE", "real", 1e-13),
    ("lq:q=3", "Lq:q=3", "real", 1e-13), ("multiclass_log_loss", "MultiClass", "classes", 1e-13),
    ("softmax_cross_entropy", "MultiClass", "classes", 1e-13),
    ("mae", "MAE", "real", 3e-6), ("pinball:quantile=0.25", "Quantile:alpha=0.25", "real", 3e-6),  # CatBoost takes 1e-6 off every error
    ("log_loss", "Logloss", "binary", 1e-3), ("logistic", "Logloss", "binary", 1e-3),  # CatBoost's own has 4 digits: see the last lines
]  # fmt: skip


@pytest.mark.parametrize(("ours", "own", "kind", "tolerance"), METRICS)
@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_are_catboosts(ours, own, kind, tolerance, weighted):
    """It hands raw scores always."""
    x, y = boosters.data(kind)
    w = boosters.weights(len(y)) if weighted else None
    objective = {"binary": "Logloss", "classes": "MultiClass"}.get(kind, "RMSE")
    common, metric = COMMON | {"loss_function": objective}, fc.metric(ours, name="Ours")
    models = [catboost.CatBoost(common | {"eval_metric": one}).fit(x, y, sample_weight=w) for one in (own, metric)]
    histories = [model.get_evals_result()["learn"] for model in models]
    one, two = (np.array(history[name]) for history, name in zip(histories, (own, "Ours"), strict=True))
    assert np.abs(one - two).max() <= tolerance * one.max()
    if kind == "binary":
        assert two[-1] == pytest.approx(fl.logistic(y, raw(models[1], x), w), rel=1e-13)


def test_early_stopping():
    x, y = boosters.data("real")
    model = catboost.CatBoostRegressor(**COMMON | {"iterations": 500}, loss_function=fc.objective("huber"), eval_metric=fc.metric("mae"))
    model.fit(x[:300], y[:300], eval_set=(x[300:], y[300:]), early_stopping_rounds=5)
    history = model.get_evals_result()["validation"]["absolute_error"]
    assert model.get_best_iteration() == int(np.argmin(history)) < len(history) < 500


def test_pickled_copied_cloned(tmp_path):
    x, y = boosters.data("real")
    objective, metric = fc.objective("huber:delta=2", hess=0.5, floor=1e-3), fc.metric("rmse", "name")
    z = boosters.scores(len(y), dtype=np.float64)
    for other in (boosters.again(objective), copy.deepcopy(objective), boosters.again(fc.builtin("Huber", delta=2.0))):
        assert np.array_equal(other.calc_ders_range(z, y, None)[:, 0], objective.calc_ders_range(z, y, None)[:, 0])
    for other in (boosters.again(metric), copy.deepcopy(metric)):
        assert repr(other) == repr(metric) and other.evaluate([z], y, None) == metric.evaluate([z], y, None)
        assert type(other).__name__ == "name" and isinstance(other, fc.Metric) and not other.is_max_optimal()
    model = catboost.CatBoostRegressor(**COMMON, loss_function=objective, eval_metric=metric)
    again = boosters.again(clone(model).fit(x, y))
    joblib.dump(again, tmp_path / "model")
    assert np.array_equal(joblib.load(tmp_path / "model").predict(x), model.fit(x, y).predict(x))


def test_final_errors():
    assert fc.metric("rmse").get_final_error(8.0, 2.0) == 2.0
    assert fc.metric("perplexity").get_final_error(2.0, 2.0) == pytest.approx(np.e)
    assert fc.metric("mse").get_final_error(0.0, 0.0) == 0.0
    assert np.isnan(fc.metric("rmse").get_final_error(np.nan, 1.0))


@boosters.compiled
def test_nothing_but_the_results_takes_memory():
    n = 1 << 18
    z, y, w = boosters.scores(n, dtype=np.float64), np.ones(n, np.float32), boosters.weights(n)
    for spec in ("logistic", "huber"):
        size, _ = boosters.peak(lambda spec=spec: fc.objective(spec).calc_ders_range(z, y, w))
        assert size < 16 * n + 200_000
    size, _ = boosters.peak(lambda: fc.metric("huber").evaluate((z,), y, w))
    assert size < 100_000
    rows = tuple(boosters.scores(8, n, np.float64))
    size, _ = boosters.peak(lambda: fc.metric("softmax_cross_entropy").evaluate(rows, y, w))
    assert size < 3 * 8 * 2**16 and n * 8 * 8 > 10 * size


def test_examples_and_words():
    assert doctest.testmod(fc) == (0, len(doctest.DocTestFinder().find(fc)[0].examples)) and fc.__doc__.count(">>>") > 5
    assert 'pip install "fastloss[catboost]"' in boosters.without("catboost")
