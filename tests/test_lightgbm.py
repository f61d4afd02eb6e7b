"""fastloss.lightgbm beside LightGBM's own objectives and metrics."""

import copy
import doctest

import joblib
import numpy as np
import pytest

lightgbm = pytest.importorskip("lightgbm")
pytest.importorskip("sklearn")

from sklearn.base import clone  # noqa: E402

import fastloss as fl  # noqa: E402
import fastloss.lightgbm as fg  # noqa: E402
from tests import boosters  # noqa: E402

# min_gain_to_split: in leaves of one class all gains are rounding errors, which of two sums may differ
COMMON = {"num_threads": 1, "num_leaves": 7, "verbose": -1, "deterministic": True, "force_row_wise": True, "min_gain_to_split": 1e-4}
SKLEARN = {
    "n_jobs": 1,
    "num_leaves": 7,
    "min_split_gain": 1e-4,
    "verbose": -1,
    "n_estimators": 10,
    "deterministic": True,
    "force_row_wise": True,
}
OWN = [
    ("regression", "real", {}), ("huber", "real", {}), ("huber", "real", {"alpha": 0.3}), ("fair", "real", {}),
    ("fair", "real", {"fair_c": 0.4}), ("poisson", "counts", {}), ("poisson", "counts", {"poisson_max_delta_step": 0.3}),
    ("gamma", "real", {}), ("tweedie", "real", {}), ("tweedie", "real", {"tweedie_variance_power": 1.2}), ("binary", "binary", {}),
    ("binary", "binary", {"scale_pos_weight": 3.0}), ("cross_entropy", "shares", {}), ("multiclass", "classes", {}),
    ("multiclassova", "classes", {}),
]  # fmt: skip


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "kind", "parameters"), OWN)
def test_same_trees_as_the_own_objective(name, kind, parameters, weighted):
    """Splits are equal. LightGBM's own gradients are float64 numbers rounded to float32, as ours: raw scores are equal to a few roundings
    of float32, and mostly of float64; LightGBM's own takes the average from its sums of float32 numbers."""
    x, y = boosters.data(kind)
    w = boosters.weights(len(y)) if weighted else None
    common = COMMON | ({"num_class": 3} if kind == "classes" else {})
    own = lightgbm.train(common | parameters | {"objective": name}, lightgbm.Dataset(x, y, weight=w), 20)
    objective = fg.builtin(name, **parameters)
    start = objective.init_score(y, w)
    start = np.tile(start, (len(y), 1)) if kind == "classes" else np.full(len(y), start)
    ours = lightgbm.train(common | {"objective": objective}, lightgbm.Dataset(x, y, weight=w, init_score=start), 20)
    one, two = own.trees_to_dataframe(), ours.trees_to_dataframe()
    assert one["split_feature"].fillna("").tolist() == two["split_feature"].fillna("").tolist()
    assert np.array_equal(one["threshold"], two["threshold"], equal_nan=True)
    expected = own.predict(x, raw_score=True)
    assert np.abs(ours.predict(x, raw_score=True) + start - expected).max() <= 2 * boosters.ULP32 * np.abs(expected).max()
    assert np.ptp(expected) > 0.5  # something was learnt


def test_start_of_labels_without_the_last_class():
    y = np.array([0.0, 0.0, 1.0, 1.0], np.float32)
    assert fg.builtin("multiclass", num_class=3).init_score(y) == pytest.approx(np.log([0.5, 0.5, 1e-15]))
    assert fg.builtin("binary").init_score(np.ones(3)) == pytest.approx(np.log(1e15), rel=0.01)
    assert fg.builtin("poisson").init_score(np.full(3, 2.0)) == np.log(2.0)


@pytest.mark.parametrize("name", ["regression_l1", "quantile", "mape", "cross_entropy_lambda", "lambdarank", "nothing"])
def test_what_cannot_be_reproduced_is_refused(name):
    with pytest.raises(ValueError, match=f"LightGBM's '{name}' cannot be reproduced: .*there are 'regression'"):
        fg.builtin(name)


def test_parameters_of_own_objectives():
    with pytest.raises(
        TypeError, match="`sigmoid` is not a parameter of LightGBM's 'binary' that can be reproduced; there are: scale_pos_weight"
    ):
        fg.builtin("binary", sigmoid=2.0)


@pytest.mark.parametrize("weighted", [False, True])
def test_derivatives_are_what_lightgbm_takes_without_copies(weighted):
    """float32 from float64 scores, in the Fortran order that LightGBM has: correctly rounded but for the last digit of float64."""
    n = 3000
    w = boosters.weights(n) if weighted else None
    true_w = np.ones(n) if w is None else w.astype(np.float64)
    y, z = (np.arange(n) % 3 == 0).astype(np.float32), boosters.scores(n, dtype=np.float64)
    g, h = fg.objective("logistic")(y, z, w)
    true_g, true_h = boosters.logistic(y, z, true_w)
    assert boosters.close(g, true_g, 1) and boosters.close(h, true_h, 1)
    y, z = (np.arange(n) % 5).astype(np.float32), boosters.scores(n, 5, np.float64, "F")
    g, h = fg.objective("softmax_cross_entropy")(y, z, w)
    assert g.flags.f_contiguous and h.flags.f_contiguous
    assert np.shares_memory(g.ravel(order="F"), g) and np.shares_memory(h.ravel(order="F"), h)
    true_g, true_h = boosters.softmax(y, z, true_w)
    assert boosters.close(g, true_g, 1) and boosters.close(h, true_h, 1)


def test_lightgbm_hands_what_is_expected():
    """So that the layouts above are those of this version."""
    seen = []

    class Seeing(fg.Objective):
        def derivatives(self, y, p, w):
            seen.append((y.dtype, p.dtype, p.shape, p.flags.f_contiguous, None if w is None else w.dtype))
            return super().derivatives(y, p, w)

    x, y = boosters.data("classes")
    train = lightgbm.Dataset(x, y, weight=boosters.weights(len(y)))
    lightgbm.train(COMMON | {"objective": Seeing("softmax_cross_entropy"), "num_class": 3}, train, 1)
    assert seen == [(np.float32, np.float64, (len(y), 3), True, np.float32)]


@pytest.mark.parametrize("loss", ["huber:delta=0.5", fl.LogCosh(), "expectile:alpha=0.8", "pinball:quantile=0.3"])
@pytest.mark.parametrize("weighted", [False, True])
def test_native_and_scikit_learn_interfaces_agree(loss, weighted):
    x, y = boosters.data("real")
    w = boosters.weights(len(y)) if weighted else None
    start = np.full(len(y), 1.5)
    native = lightgbm.train(COMMON | {"objective": fg.objective(loss)}, lightgbm.Dataset(x, y, weight=w, init_score=start), 10).predict(x)
    model = lightgbm.LGBMRegressor(objective=fg.objective(loss), **SKLEARN).fit(x, y, sample_weight=w, init_score=start)
    assert np.array_equal(model.predict(x), native)
    assert fl.get(loss)(y, native + start, w) < 0.9 * fl.get(loss)(y, start, w)


def test_classifiers():
    x, y = boosters.data("classes")
    model = lightgbm.LGBMClassifier(objective=fg.objective("softmax_cross_entropy"), num_class=3, **SKLEARN).fit(x, y)
    with pytest.warns(UserWarning, match="Cannot compute class probabilities"):
        assert (model.predict_proba(x).argmax(axis=1) == y).mean() > 0.95
    x, y = boosters.data("binary")
    for loss in ("logistic", "exponential", "hinge"):  # the last two have targets -1 and 1; LightGBM has 0 and 1
        model = lightgbm.LGBMClassifier(objective=fg.objective(loss), **SKLEARN).fit(x, y)
        assert ((model.predict(x, raw_score=True) > 0) == y).mean() > 0.95


def test_bad_data_is_an_error_of_lightgbm():
    x, _ = boosters.data("counts")
    y = np.ones(len(x), np.float32)
    y[17] = -3.0
    text = "`y_true` of `poisson_loss` must be >= 0, got -3.0 at index 17"
    with pytest.raises(lightgbm.basic.LightGBMError, match=text):
        lightgbm.train(COMMON | {"objective": fg.objective("poisson_loss")}, lightgbm.Dataset(x, y), 2)
    with pytest.raises(lightgbm.basic.LightGBMError, match=text):
        lightgbm.LGBMRegressor(objective=fg.objective("poisson_loss"), **SKLEARN).fit(x, y)
    with pytest.raises(lightgbm.basic.LightGBMError, match=text):
        fg.metric("poisson_loss")(y, np.zeros(len(x)))
    with pytest.raises(lightgbm.basic.LightGBMError, match="set the booster's number of classes"):
        lightgbm.train(COMMON | {"objective": fg.objective("softmax_cross_entropy")}, lightgbm.Dataset(x, abs(y)), 2)


METRICS = [("rmse", "rmse", "real"), ("mae", "l1", "real"), ("huber:delta=0.9", "huber", "real"), ("fair", "fair", "real"),
           ("absolute_percentage_error:floor=lightgbm", "mape", "real"), ("pinball:quantile=0.9", "quantile", "real"),
           ("log_loss", "binary_logloss", "binary"), ("zero_one", "binary_error", "binary"),
           ("multiclass_log_loss", "multi_logloss", "classes"),
           ("multiclass_error", "multi_error", "classes"), ("poisson_deviance:half=true", "poisson", "counts")]  # fmt: skip


@pytest.mark.parametrize(("ours", "own", "kind"), METRICS)
@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_are_lightgbms(ours, own, kind, weighted):
    """With LightGBM's own objective a metric is handed what predict gives: link="identity". Its terms are float64."""
    x, y = boosters.data(kind)
    w = boosters.weights(len(y)) if weighted else None
    train, found = lightgbm.Dataset(x, y, weight=w), {}
    objective = {"binary": "binary", "classes": "multiclass", "counts": "poisson"}.get(kind, "regression")
    parameters = COMMON | {"objective": objective, "metric": own} | ({"num_class": 3} if kind == "classes" else {})
    lightgbm.train(parameters, train, 5, valid_sets=[train], valid_names=["t"], feval=fg.metric(ours, name="ours", link="identity"),
                   callbacks=[lightgbm.record_evaluation(found)])  # fmt: skip
    one, two = np.array(found["t"][own]), np.array(found["t"]["ours"])
    if own == "poisson":  # which has terms of y alone
        one, two = one - one[0], two - two[0]
    assert np.abs(one - two).max() <= 1e-13 * max(np.abs(one).max(), 1.0)


def test_metrics_of_raw_scores():
    """With an objective of one's own a metric is handed raw scores, the initial ones included."""
    x, y = boosters.data("binary")
    w, found = boosters.weights(len(y)), {}
    train = lightgbm.Dataset(x, y, weight=w, init_score=np.full(len(y), 0.5))
    metrics = [fg.metric("log_loss"), fg.metric("logistic", name="cost")]
    model = lightgbm.train(COMMON | {"objective": fg.objective("logistic")}, train, 5, valid_sets=[train], valid_names=["t"], feval=metrics,
                           callbacks=[lightgbm.record_evaluation(found)])  # fmt: skip
    cost = fl.logistic(y, model.predict(x) + 0.5, w)
    assert found["t"]["log_loss"][-1] == pytest.approx(cost, rel=1e-13)
    assert found["t"]["cost"][-1] == pytest.approx(cost, rel=1e-13)
    fitted = lightgbm.LGBMClassifier(objective=fg.objective("logistic"), **SKLEARN)
    fitted.fit(x, y, sample_weight=w, eval_X=x, eval_y=y, eval_sample_weight=[w], eval_metric=fg.metric("brier"))
    (history,) = fitted.evals_result_.values()
    p = 1.0 / (1.0 + np.exp(-fitted.predict(x, raw_score=True)))
    assert history["brier"][-1] == pytest.approx(fl.brier(y, p, w), rel=1e-13)


def test_early_stopping():
    x, y = boosters.data("real")
    parameters = SKLEARN | {"n_estimators": 500, "learning_rate": 0.5, "metric": "None"}
    model = lightgbm.LGBMRegressor(objective=fg.objective("huber"), **parameters)
    stopping = lightgbm.early_stopping(5, verbose=False)
    model.fit(x[:300], y[:300], eval_X=x[300:], eval_y=y[300:], eval_metric=fg.metric("mae"), callbacks=[stopping])
    history = model.evals_result_["valid_0"]["absolute_error"]
    assert model.best_iteration_ == int(np.argmin(history)) + 1 < len(history) < 500


def test_pickled_copied_cloned(tmp_path):
    x, y = boosters.data("real")
    made = [fg.objective("huber:delta=2", hess=0.5, floor=1e-3), fg.builtin("poisson"), fg.metric("rmse", "name")]
    z, counts = boosters.scores(len(y), dtype=np.float64), np.round(y)
    for thing in made:
        for other in (boosters.again(thing), copy.deepcopy(thing)):
            assert repr(other) == repr(thing)
            one, two = thing(counts, z), other(counts, z)
            assert one == two if isinstance(thing, fg.Metric) else np.array_equal(one, two)
    model = lightgbm.LGBMRegressor(objective=made[0], **SKLEARN)
    again = boosters.again(clone(model).fit(x, y))
    joblib.dump(again, tmp_path / "model")
    assert np.array_equal(joblib.load(tmp_path / "model").predict(x), model.fit(x, y).predict(x))


@boosters.compiled
def test_nothing_but_the_results_takes_memory():
    n = 1 << 18
    z, y, w = boosters.scores(n, dtype=np.float64), np.ones(n, np.float32), boosters.weights(n)
    for spec in ("logistic", "huber"):
        size, _ = boosters.peak(lambda spec=spec: fg.objective(spec)(y, z, w))
        assert size < 8 * n + 200_000
    rows, labels = boosters.scores(n // 8, 8, np.float64, "F"), np.zeros(n // 8, np.float32)
    size, _ = boosters.peak(lambda: fg.objective("softmax_cross_entropy")(labels, rows))
    assert size < 8 * n + 5 * (n // 8) + 200_000  # labels become integers
    size, _ = boosters.peak(lambda: fg.metric("log_loss")(y, z, w))
    assert size < 5 * 8 * 2**16  # a block of 2**16 at a time


def test_examples_and_words():
    assert doctest.testmod(fg) == (0, len(doctest.DocTestFinder().find(fg)[0].examples)) and fg.__doc__.count(">>>") > 5
    assert 'pip install "fastloss[lightgbm]"' in boosters.without("lightgbm")
