"""fastloss.xgboost beside XGBoost's own objectives and metrics."""

import copy
import doctest
import json

import joblib
import numpy as np
import pytest

xgboost = pytest.importorskip("xgboost")
pytest.importorskip("sklearn")

from sklearn.base import clone  # noqa: E402

import fastloss as fl  # noqa: E402
import fastloss.xgboost as fx  # noqa: E402
from tests import boosters  # noqa: E402

COMMON = {"nthread": 1, "max_depth": 3}
OWN = [
    ("reg:squarederror", "real", {}), ("reg:pseudohubererror", "real", {}), ("reg:pseudohubererror", "real", {"huber_slope": 2.0}),
    ("reg:logistic", "shares", {}), ("binary:logistic", "binary", {}), ("binary:logistic", "binary", {"scale_pos_weight": 3.0}),
    ("binary:logitraw", "binary", {}), ("count:poisson", "counts", {}), ("count:poisson", "counts", {"max_delta_step": 0.25}),
    ("reg:gamma", "real", {}), ("reg:tweedie", "real", {}), ("reg:tweedie", "real", {"tweedie_variance_power": 1.25}),
    ("multi:softprob", "classes", {}), ("multi:softmax", "classes", {}),
]  # fmt: skip


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "kind", "parameters"), OWN)
def test_same_trees_as_the_own_objective(name, kind, parameters, weighted):
    """Splits are equal, raw scores to a dozen roundings of float32, which gradients, sums and 20 trees are made in."""
    x, y = boosters.data(kind)
    w = boosters.weights(len(y)) if weighted else None
    train = xgboost.DMatrix(x, y, weight=w)
    common = COMMON | ({"num_class": 3} if kind == "classes" else {})
    own = xgboost.train(common | parameters | {"objective": name}, train, 20)
    objective = fx.builtin(name, **parameters)
    ours = xgboost.train(common | objective.params(y, w), train, 20, obj=objective)
    one, two = own.trees_to_dataframe(), ours.trees_to_dataframe()
    assert one["Feature"].tolist() == two["Feature"].tolist()
    assert np.array_equal(one["Split"], two["Split"], equal_nan=True)
    expected = own.predict(train, output_margin=True)
    found = ours.predict(train, output_margin=True)
    assert np.abs(found - expected).max() <= 12 * boosters.ULP32 * np.abs(expected).max()
    if kind not in ("classes", "binary"):
        assert np.ptp(expected) > 0.5  # something was learnt


def test_starting_points_of_rare_cases():
    x, y = boosters.data("classes")
    some = y < 2
    for classes, of in ((4, y), (3, y[some])):
        train = xgboost.DMatrix(x[: len(of)], of)
        own = xgboost.train({"num_class": classes, "objective": "multi:softprob"}, train, 1)
        expected = json.loads(json.loads(own.save_config())["learner"]["learner_model_param"]["base_score"])
        assert fx.builtin("multi:softprob", num_class=classes).params(of)["base_score"] == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert fx.builtin("binary:logistic").params(np.ones(5))["base_score"] == pytest.approx(13.8, abs=0.1)
    assert fx.builtin("count:poisson").params(np.full(5, 2.0)) == {"base_score": np.log(2.0), "max_delta_step": 0.7}


@pytest.mark.parametrize("name", ["reg:absoluteerror", "reg:quantileerror", "reg:squaredlogerror", "binary:hinge", "rank:ndcg", "nothing"])
def test_what_cannot_be_reproduced_is_refused(name):
    with pytest.raises(ValueError, match=f"XGBoost's '{name}' cannot be reproduced: .*there are 'reg:squarederror'"):
        fx.builtin(name)


def test_own_objectives_are_those_of_a_version(monkeypatch):
    monkeypatch.setattr(xgboost, "__version__", "3.1.2")
    with pytest.raises(ImportError, match="fastloss.xgboost needs xgboost >= 3.2, found 3.1.2"):
        fx.builtin("reg:gamma")
    assert fx.objective("gamma_loss").hess == "exact"


def test_parameters_of_own_objectives():
    with pytest.raises(TypeError, match="`alpha` is not a parameter of XGBoost's 'reg:gamma' that can be reproduced; there are: none"):
        fx.builtin("reg:gamma", alpha=1)
    with pytest.raises(ValueError, match="`power` of `tweedie_loss`"):
        fx.builtin("reg:tweedie", tweedie_variance_power=2.5)


@pytest.mark.parametrize("weighted", [False, True])
def test_derivatives_are_float32_in_the_layout_of_the_predictions(weighted):
    n = 3000
    w = boosters.weights(n) if weighted else None
    true_w = np.ones(n) if w is None else w.astype(np.float64)
    y, z = (np.arange(n) % 3 == 0).astype(np.float32), boosters.scores(n)
    g, h = fx.objective("logistic")(y, z, w)
    true_g, true_h = boosters.logistic(y, z, true_w)
    assert boosters.close(g, true_g) and boosters.close(h, true_h)
    y, z = (np.arange(n) % 5).astype(np.float32), boosters.scores(n, 5)
    g, h = fx.objective("softmax_cross_entropy")(y, z, sample_weight=w)
    assert g.flags.c_contiguous and h.flags.c_contiguous and g.shape == h.shape == (n, 5)
    true_g, true_h = boosters.softmax(y, z, true_w)
    assert boosters.close(g, true_g) and boosters.close(h, true_h)
    assert np.array_equal(fx.objective("softmax_cross_entropy", hess="upper")(y, z, w)[1], 2 * h)


@pytest.mark.parametrize("loss", ["huber:delta=0.5", fl.LogCosh(), "expectile:alpha=0.8"])
@pytest.mark.parametrize("weighted", [False, True])
def test_native_and_scikit_learn_interfaces_agree(loss, weighted):
    x, y = boosters.data("real")
    w = boosters.weights(len(y)) if weighted else None
    train = xgboost.DMatrix(x, y, weight=w)
    native = xgboost.train(COMMON | {"base_score": 1.5}, train, 10, obj=fx.objective(loss)).predict(train)
    model = xgboost.XGBRegressor(objective=fx.objective(loss), n_estimators=10, max_depth=3, base_score=1.5, n_jobs=1)
    model.fit(x, y, sample_weight=w)
    assert np.array_equal(model.predict(x), native)
    assert fl.get(loss)(y, native, w) < 0.5 * fl.get(loss)(y, np.full(len(y), 1.5), w)


def test_classifiers():
    x, y = boosters.data("classes")
    model = xgboost.XGBClassifier(objective=fx.objective("softmax_cross_entropy"), n_estimators=10, max_depth=3, n_jobs=1).fit(x, y)
    assert (model.predict(x, output_margin=True).argmax(axis=1) == y).mean() > 0.95
    x, y = boosters.data("binary")
    for loss in ("logistic", "exponential", "squared_hinge"):  # the last two have targets -1 and 1; XGBoost has 0 and 1
        model = xgboost.XGBClassifier(objective=fx.objective(loss), n_estimators=20, max_depth=3, n_jobs=1).fit(x, y)
        assert np.array_equal(model.predict(x), model.predict(x, output_margin=True) > 0)
        assert (model.predict(x) == y).mean() > 0.95


@pytest.mark.parametrize(("name", "kind"), [("binary:logistic", "binary"), ("multi:softprob", "classes")])
def test_classifiers_with_own_objectives(name, kind):
    x, y = boosters.data(kind)
    w, common = boosters.weights(len(y)), {"n_estimators": 10, "max_depth": 3, "n_jobs": 1}
    own = xgboost.XGBClassifier(objective=name, **common).fit(x, y, sample_weight=w)
    objective = fx.builtin(name)
    ours = xgboost.XGBClassifier(objective=objective, **common, **objective.params(y, w, classifier=True)).fit(x, y, sample_weight=w)
    assert np.abs(ours.predict_proba(x) - own.predict_proba(x)).max() <= 12 * boosters.ULP32


def test_several_targets():
    x, y = boosters.data("real")
    both, w = np.stack([y, -2.0 * y], axis=1), boosters.weights(len(y))
    train = xgboost.DMatrix(x, both, weight=w)
    z = boosters.scores(len(y), 2)
    g, h = fx.objective("log_cosh")(z, train)
    for column in range(2):
        one = fx.objective("log_cosh")(both[:, column].astype(np.float32), z[:, column].copy(), w)
        assert np.array_equal(g[:, column], one[0]) and np.array_equal(h[:, column], one[1])
    found = fx.metric("log_cosh")(z, train)[1]
    assert found == fl.log_cosh(both.astype(np.float32), z, np.repeat(w, 2).reshape(-1, 2))
    model = xgboost.train(COMMON | {"base_score": 0.0}, train, 30, obj=fx.objective("squared_error"))
    assert np.corrcoef(model.predict(train)[:, 1], -2.0 * y)[0, 1] > 0.8


def test_bad_data_is_an_error_of_xgboost():
    x, _ = boosters.data("counts")
    for bad, loss, text in ((-3.0, "poisson_loss", "`y_true` of `poisson_loss` must be >= 0, got -3.0 at index 17"),
                            (0.5, "focal", "`y_true` of `focal` must be 0 or 1 .* got 0.5 at index 17")):  # fmt: skip
        y = np.ones(len(x), np.float32)
        y[17] = bad
        with pytest.raises(xgboost.core.XGBoostError, match=text):
            xgboost.train(COMMON, xgboost.DMatrix(x, y), 2, obj=fx.objective(loss))
        with pytest.raises(xgboost.core.XGBoostError, match=text):
            xgboost.XGBRegressor(objective=fx.objective(loss), n_estimators=2, n_jobs=1).fit(x, y)
    y = np.full(len(x), 3.0)
    with pytest.raises(xgboost.core.XGBoostError, match="must be a class from 0 to 2"):
        xgboost.train(COMMON | {"num_class": 3}, xgboost.DMatrix(x, y), 2, obj=fx.objective("softmax_cross_entropy"))
    with pytest.raises(xgboost.core.XGBoostError, match="set the booster's number of classes"):
        xgboost.train(COMMON, xgboost.DMatrix(x, y), 2, obj=fx.objective("softmax_cross_entropy"))
    with pytest.raises(xgboost.core.XGBoostError, match="`y_true` of `brier` must be in"):
        fx.metric("brier")(np.zeros(len(x), np.float32), xgboost.DMatrix(x, y))


METRICS = [("rmse", "rmse", "real"), ("mae", "mae", "real"), ("mphe", "mphe", "real"), ("log_loss", "logloss", "binary"),
           ("zero_one", "error", "binary"), ("multiclass_log_loss", "mlogloss", "classes"), ("multiclass_error", "merror", "classes"),
           ("poisson_deviance:half=true", "poisson-nloglik", "counts")]  # fmt: skip


@pytest.mark.parametrize(("ours", "own", "kind"), METRICS)
@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_are_xgboosts(ours, own, kind, weighted):
    """With XGBoost's own objective a metric is handed what predict gives: link="identity". Its terms are float32."""
    x, y = boosters.data(kind)
    w = boosters.weights(len(y)) if weighted else None
    train = xgboost.DMatrix(x, y, weight=w)
    objective = {"binary": "binary:logistic", "classes": "multi:softprob", "counts": "count:poisson"}.get(kind, "reg:squarederror")
    found, parameters = {}, COMMON | {"objective": objective, "eval_metric": own} | ({"num_class": 3} if kind == "classes" else {})
    xgboost.train(parameters, train, 5, custom_metric=fx.metric(ours, name="ours", link="identity"), evals=[(train, "t")],
                  evals_result=found, verbose_eval=False)  # fmt: skip
    one, two = np.array(found["t"][own]), np.array(found["t"]["ours"])
    if own == "poisson-nloglik":  # which has terms of y alone
        one, two = one - one[0], two - two[0]
    assert np.abs(one - two).max() <= 16 * boosters.ULP32 * max(np.abs(one).max(), 1.0)


def test_metrics_of_raw_scores():
    """With an objective of one's own a metric is handed raw scores."""
    x, y = boosters.data("binary")
    w = boosters.weights(len(y))
    train, found = xgboost.DMatrix(x, y, weight=w), {}
    model = xgboost.train(COMMON, train, 5, obj=fx.objective("logistic"), custom_metric=fx.metric("log_loss"), evals=[(train, "t")],
                          evals_result=found, verbose_eval=False)  # fmt: skip
    z = model.predict(train, output_margin=True)
    assert found["t"]["log_loss"][-1] == pytest.approx(fl.logistic(y, z, w), rel=1e-5)
    cost = fx.metric("logistic", name="cost")
    fitted = xgboost.XGBClassifier(objective=fx.objective("logistic"), eval_metric=cost, n_estimators=5, max_depth=3, n_jobs=1)
    fitted.fit(x, y, sample_weight=w, eval_set=[(x, y)], sample_weight_eval_set=[w], verbose=False)
    z = fitted.predict(x, output_margin=True)
    assert fitted.evals_result()["validation_0"]["cost"][-1] == pytest.approx(fl.logistic(y, z, w), rel=1e-6)
    counts = boosters.data("counts")[1]
    z = boosters.scores(len(counts))
    assert fx.metric("mse", link="exp")(counts, z) == fl.mse(counts, np.exp(z))


def test_early_stopping():
    x, y = boosters.data("real")
    model = xgboost.XGBRegressor(objective=fx.objective("huber"), eval_metric=fx.metric("mae"), early_stopping_rounds=5, n_estimators=500,
                                 learning_rate=0.5, base_score=1.5, n_jobs=1)  # fmt: skip
    model.fit(x[:300], y[:300], eval_set=[(x[300:], y[300:])], verbose=False)
    history = model.evals_result()["validation_0"]["absolute_error"]
    assert model.best_iteration == int(np.argmin(history)) < len(history) - 1 < 499


def test_pickled_copied_cloned(tmp_path):
    x, y = boosters.data("real")
    made = [fx.objective("huber:delta=2", hess=0.5, floor=1e-3), fx.builtin("count:poisson", max_delta_step=0.3), fx.metric("rmse", "name")]
    z, counts = boosters.scores(len(y)), np.round(y)
    for thing in made:
        for other in (boosters.again(thing), copy.deepcopy(thing)):
            assert repr(other) == repr(thing)
            assert np.array_equal(other(counts, z), thing(counts, z))
    model = xgboost.XGBRegressor(objective=made[0], eval_metric=made[2], n_estimators=3, n_jobs=1)
    again = boosters.again(clone(model).fit(x, y))
    joblib.dump(again, tmp_path / "model")
    assert np.array_equal(joblib.load(tmp_path / "model").predict(x), model.fit(x, y).predict(x))


@boosters.compiled
def test_nothing_but_the_results_takes_memory():
    n = 1 << 18
    z, y, w = boosters.scores(n), np.ones(n, np.float32), boosters.weights(n)
    for spec in ("logistic", "huber"):
        size, _ = boosters.peak(lambda spec=spec: fx.objective(spec)(y, z, w))
        assert size < 8 * n + 100_000
    rows, labels = boosters.scores(n // 8, 8), np.zeros(n // 8, np.float32)
    size, _ = boosters.peak(lambda: fx.objective("softmax_cross_entropy")(labels, rows))
    assert size < 8 * n + 5 * (n // 8) + 200_000  # labels become integers
    size, _ = boosters.peak(lambda: fx.metric("logistic")(y, z, w))
    assert size < 100_000


def test_examples_and_words():
    assert doctest.testmod(fx) == (0, len(doctest.DocTestFinder().find(fx)[0].examples)) and fx.__doc__.count(">>>") > 5
    assert 'pip install "fastloss[xgboost]"' in boosters.without("xgboost")
    assert repr(fx.metric("mse")) == "<fastloss.adapters.xgboost.Metric 'squared_error' of SquaredError(), link='identity'>"
