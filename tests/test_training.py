"""Help for those who train: the recorder, its callbacks, pictures, the check of gradients."""

import json
import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import fastloss as fl
from fastloss.engine.differences import derivative
from fastloss.losses import REGISTRY

T = np.arange(80)
TRAIN = np.exp(-T / 9) + 0.1
OVERFITTED = TRAIN + 0.1 + 0.004 * T + 0.003 * np.sin(7 * T)


def recorded(path=None, n=80, **names):
    log = fl.Recorder(path, **names)
    for train, validation in zip(TRAIN[:n], OVERFITTED[:n], strict=True):
        log.record(train=train, validation=validation, rate=0.1)
    return log


def test_a_recorder_says_what_curves_says(tmp_path):
    log = recorded(tmp_path / "run.jsonl")
    (run,) = fl.curves(tmp_path / "run.jsonl").runs
    assert log.verdict == run.verdict == "overfitting"
    assert (log.best, log.best_at) == (run.best, run.best_at) == (OVERFITTED.min(), OVERFITTED.argmin())
    assert str(log).splitlines()[1:] == list(run.because) and len(log) == 80


def test_a_file_is_continued_and_an_unfinished_line_cut_off(tmp_path):
    path = tmp_path / "run.jsonl"
    recorded(path, 30)
    with open(path, "a") as file:
        file.write('{"epoch": 30, "trai')
    log = fl.Recorder(path)
    assert len(log) == 30
    log.record(train=math.nan, validation=math.inf)
    again = fl.Recorder(path)
    assert again.records[:-1] == recorded(n=30).records and again.records[-1]["epoch"] == 30
    assert math.isnan(again.records[-1]["train"]) and again.records[-1]["validation"] == math.inf
    assert again.verdict == log.verdict == "not finite" and fl.curves(path).runs[0].verdict == "not finite"
    assert all(isinstance(json.loads(line), dict) for line in path.read_text().splitlines())


def test_steps_and_names():
    log = fl.Recorder(step="tree").record(3, train=1.0).record(validation=2).record(lr=0.5)
    assert [record["tree"] for record in log.records] == [3, 4, 5]
    assert log.verdict == "short" and log.best == 2.0 and log.best_at == 4
    log.record(4, validation=1.5)
    assert log.best == 1.5, "of a step that comes again the last counts"
    empty = fl.Recorder()
    assert (empty.run, empty.best, empty.best_at, empty.verdict, len(empty)) == (None, None, None, "short", 0) and "no costs" in str(empty)


def test_a_recorder_refuses(tmp_path):
    log = fl.Recorder()
    wrong = [({}, ValueError), ({"train": "low"}, TypeError), ({"step": 1.5, "train": 1}, TypeError), ({"epoch": 1}, ValueError)]
    for given, error in wrong:
        with pytest.raises(error):
            log.record(**given)
    with pytest.raises(ValueError, match="step"):
        fl.Recorder(step="train")
    with pytest.raises(ValueError, match="jsonl"):
        fl.Recorder("run.csv")
    (tmp_path / "other.jsonl").write_text('{"loss": 1}\n')
    with pytest.raises(ValueError, match="line 1"):
        fl.Recorder(tmp_path / "other.jsonl")
    assert (tmp_path / "other.jsonl").read_text() == '{"loss": 1}\n' and not log.records


def test_stages_of_scikit_learn():
    ensemble = pytest.importorskip("sklearn.ensemble")
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    model = ensemble.HistGradientBoostingRegressor(max_iter=40, learning_rate=0.3, early_stopping=False).fit(x[:300], y[:300])
    log = fl.Recorder(step="tree").stages(
        fl.SquaredError(), train=(y[:300], model.staged_predict(x[:300])), validation=(y[300:], model.staged_predict(x[300:]))
    )
    assert len(log) == 40 and log.records[-1]["train"] == fl.mse(y[:300], model.predict(x[:300]))
    assert log.verdict == "overfitting" and log.records[log.best_at]["validation"] == log.best
    short = fl.Recorder().stages(fl.mse, train=([0.0, 1.0], [[0.0, 0.0], [0.0, 1.0]]))
    assert [record["train"] for record in short.records] == [0.5, 0.0]


def test_lightgbm_callback():
    lightgbm = pytest.importorskip("lightgbm")
    x = np.random.default_rng(0).normal(size=(300, 3))
    data = lightgbm.Dataset(x[:200], x[:200, 0])
    log, result = fl.Recorder(), {}
    lightgbm.train({"objective": "l2", "verbose": -1, "num_threads": 1}, data, 10, [data, data.create_valid(x[200:], x[200:, 0])],
                   ["training", "valid"], callbacks=[log.lightgbm(), lightgbm.record_evaluation(result)])  # fmt: skip
    assert [record["train"] for record in log.records] == result["training"]["l2"] and log.records[-1]["epoch"] == 9
    assert [record["validation"] for record in log.records] == result["valid"]["l2"]


def test_xgboost_callback():
    xgboost = pytest.importorskip("xgboost")
    from fastloss.xgboost import Callback

    x = np.random.default_rng(0).normal(size=(300, 3))
    train, valid = xgboost.DMatrix(x[:200], x[:200, 0]), xgboost.DMatrix(x[200:], x[200:, 0])
    log, found = fl.Recorder(step="tree"), {}
    xgboost.train({"nthread": 1}, train, 6, evals=[(valid, "test"), (train, "train")], evals_result=found, callbacks=[Callback(log)],
                  verbose_eval=False)  # fmt: skip
    assert [record["train"] for record in log.records] == found["train"]["rmse"]
    assert [record["validation"] for record in log.records] == found["test"]["rmse"]
    log = fl.Recorder()
    model = xgboost.XGBRegressor(n_estimators=4, n_jobs=1, callbacks=[Callback(log)])
    model.fit(x[:200], x[:200, 0], eval_set=[(x[:200], x[:200, 0]), (x[200:], x[200:, 0])], verbose=False)
    assert [record["validation"] for record in log.records] == model.evals_result()["validation_1"]["rmse"]


def test_keras_callback():
    keras = pytest.importorskip("keras")
    from fastloss.keras import Callback

    x = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    model, log = keras.Sequential([keras.layers.Dense(1)]), fl.Recorder()
    model.compile("sgd", loss="mse", jit_compile=False)
    history = model.fit(x, x[:, 0], validation_split=0.5, epochs=3, verbose=0, callbacks=[Callback(log)]).history
    assert [record["train"] for record in log.records] == history["loss"]
    assert [record["validation"] for record in log.records] == history["val_loss"]


def test_catboost_callback(tmp_path):
    catboost = pytest.importorskip("catboost")
    x = np.random.default_rng(0).normal(size=(300, 3))
    log = fl.Recorder(step="iteration")
    model = catboost.CatBoostRegressor(iterations=8, verbose=False, thread_count=1, train_dir=str(tmp_path))
    model.fit(x[:200], x[:200, 0], eval_set=(x[200:], x[200:, 0]), callbacks=[log.catboost()])
    found = model.get_evals_result()
    assert [record["train"] for record in log.records] == found["learn"]["RMSE"] and log.records[0]["iteration"] == 0
    assert [record["validation"] for record in log.records] == found["validation"]["RMSE"]


def test_pictures(tmp_path):
    pytest.importorskip("matplotlib")
    log = recorded()
    for name in ("a.svg", "b.svg", "c.png"):
        log.plot(tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes(), "the same picture, the same bytes"
    text = "".join(ElementTree.parse(tmp_path / "a.svg").getroot().itertext())
    assert "overfitting" in text and f"best: {log.best:.4g} at epoch {log.best_at}" in text and "validation" in text
    assert (tmp_path / "c.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(ValueError, match="svg"):
        log.plot(tmp_path / "a.pdf")
    with pytest.raises(ValueError, match="record some"):
        fl.Recorder().plot(tmp_path / "d.svg")
    for name, definition in REGISTRY.items():
        if definition.base is None:
            fl.plot_loss(name, tmp_path / f"{name}.svg")
            text = "".join(ElementTree.parse(tmp_path / f"{name}.svg").getroot().itertext())
            assert "Hessian" in text and name in text
    fl.plot_loss(fl.Huber(2.0), tmp_path / "h.png", y_true=1.0, predictions=(-3, 5))
    for wrong in ("cross_entropy", "rmse", "dice"):
        with pytest.raises(TypeError, match="single predictions"):
            fl.plot_loss(wrong, tmp_path / "x.svg")
    with pytest.raises(ValueError, match="predictions"):
        fl.plot_loss("mse", tmp_path / "x.svg", predictions=(5, 1))


def cases(name, n=300):
    """Targets and predictions over the domain of a loss."""
    definition, rng = REGISTRY[name], np.random.default_rng(1)
    low, high = (max(definition.prediction.low, -5), min(definition.prediction.high, 5))
    labels = [value for value in (-1.0, 0.0, 1.0) if value in definition.target]
    if hasattr(definition.target, "values"):
        return rng.choice(labels, n), rng.uniform(low, high, n)
    return rng.uniform(max(definition.target.low, -5), min(definition.target.high, 5), n), rng.uniform(low, high, n)


@pytest.mark.parametrize("name", [name for name, definition in REGISTRY.items() if definition.base is None])
def test_all_losses_gradients_hold(name):
    found = fl.check_gradient(name, *cases(name))
    assert found.ok and found.checked > 500, str(found)


class Wrong(fl.Huber):
    """A Huber whose derivatives can be spoiled."""

    __slots__ = ()

    def gradient_hessian(self, y, p):
        gradient, hessian = super().gradient_hessian(y, p)
        return gradient * np.where(p == 0.3, 1.0001, 1.0), hessian + (p == 0.7)


@pytest.mark.parametrize(("p", "part"), [([0.1, 0.3, 5.0], "gradient"), ([2.0, 0.7], "Hessian")])
def test_wrong_derivatives_are_told_with_their_place(p, part):
    found = fl.check_gradient(Wrong(), np.zeros(len(p)), p)
    assert not found and found.part == part and "index 1" in str(found) and str(p[1]) in str(found)


SMOOTH_AT_THE_TARGET = ("huber", "pseudo_huber:delta=0.001")


def test_kinks_and_edges_are_left_out():
    near = 10.0 ** np.random.default_rng(0).uniform(-9, 1, 3000)
    for name in ("absolute_error", "huber", "pinball", "lq:q=1.5", "lq:q=1.2", "fair", "hinge", "pseudo_huber:delta=0.001"):
        found = fl.check_gradient(name, np.ones(3000), 1 + near)
        assert found.ok and (found.skipped > 0 or name in SMOOTH_AT_THE_TARGET), f"{name}: {found}"
    kink = fl.check_gradient("absolute_error", [1.0], [1.0])
    assert (kink.ok, kink.checked, kink.skipped) == (False, 0, 2)
    assert not fl.check_gradient("absolute_error", [1.0], [np.nan]) and "nothing" in str(fl.check_gradient("mse", [1.0], [np.nan]))
    edge = fl.check_gradient("log_loss", [1.0, 1.0, 0.0], [1.0, 1e-9, 0.0])
    assert edge.ok and edge.skipped == 4


def test_gradients_of_rows_and_of_functions():
    rng = np.random.default_rng(2)
    assert fl.check_gradient("cross_entropy", rng.integers(0, 5, 30), rng.normal(size=(30, 5))).checked == 150
    wide = fl.check_gradient(fl.SoftmaxCrossEntropy(label_smoothing=0.1), rng.integers(0, 300, 4), rng.normal(size=(4, 300)))
    assert wide.ok and wide.checked == 800
    x, y = rng.normal(size=(50, 3)), rng.integers(0, 2, 50)

    def objective(theta):
        cost, gradient = fl.Logistic().cost_gradient(y, x @ theta)
        return cost + 0.5 * theta @ theta, x.T @ gradient + theta

    assert fl.check_gradient(objective, rng.normal(size=3))
    found = fl.check_gradient(lambda theta: (objective(theta)[0], objective(theta)[1] + [0, 1e-4, 0]), rng.normal(size=3))
    assert not found and "parameter 1" in str(found)
    many = fl.check_gradient(lambda theta: (float((theta**2).sum()), 2 * theta), rng.normal(size=(50, 20)))
    assert many.ok and many.checked == 200
    with pytest.raises(ValueError, match="shape"):
        fl.check_gradient(lambda theta: (theta, theta), np.ones(3))
    with pytest.raises(TypeError, match="y_pred"):
        fl.check_gradient("mse", np.ones(3))
    with pytest.raises(TypeError, match="theta"):
        fl.check_gradient(lambda theta: (0.0, theta), np.ones(3), np.ones(3))


@pytest.mark.parametrize(("function", "slope"), [(np.exp, np.exp), (np.sin, np.cos), (lambda x: x**9, lambda x: 9 * x**8)])
def test_differences_know_their_error(function, slope):
    x = np.random.default_rng(3).normal(size=1000)
    found, error = derivative(function, x)
    assert (np.abs(found - slope(x)) <= 20 * error + 1e-300).all() and (error < 1e-7).mean() > 0.9


def test_first_steps_across_two_kinks_say_nothing():
    """To both sides alike: their differences agree exactly, and have nothing to do with the slope."""
    found, error = derivative(lambda x: np.maximum(np.log1p((x - 27.3) ** 2), 2.5 / (1 + x)), np.array([27.3]))
    assert abs(found + 2.5 / 28.3**2) <= 20 * error


@pytest.mark.parametrize(
    "name", ["squared_error", "huber", "expectile", "squared_log_error", "brier", "focal_probability", "poisson_deviance"]
)
def test_no_false_alarms_at_the_ends_of_numbers(name):
    """One step of float64 from the target, subnormal, as near to an edge as numbers are: what is rounded there is no fault."""
    loss = fl.get(name)
    at = [5e-324, 1e-310, 2.3e-308, 1e-200, 1e-16, 1 - 2**-53, 1 + 2**-52, 0.3, 1.7e308, -1 + 2**-53, -1 + 2**-52]
    pairs = [(y, p) for y in (0.0, 1.0, -1.0, 1e-300) for p in at if y in loss.definition.target and p in loss.definition.prediction]
    for y, p in pairs:
        check = fl.check_gradient(loss, np.array([y]), np.array([p]))
        assert check or not check.checked, (y, p, str(check))


def test_files_are_not_cut_that_no_recorder_wrote(tmp_path):
    """One line of somebody's data, without an end of line, is no record that was begun."""
    path = tmp_path / "run.jsonl"
    for text, number in [('{"loss": [1, 2', 1), ('{"epoch": 0, "train": 1}\nnotes of mine', 2), ('{"epoch": true, "train": 1}\n', 1),
                         ('{"epoch": 0, "train": null}\n', 1), ("[" * 100_000 + "\n", 1)]:  # fmt: skip
        path.write_text(text)
        with pytest.raises(ValueError, match=f"run.jsonl, line {number}: no record"):
            fl.Recorder(path)
        assert path.read_text() == text
    path.write_text('{"epoch": 0, "train": 1}\n{"epoch": 1, "train": 0.5}')
    log = fl.Recorder(path).record(train=0.25)
    assert [record["train"] for record in log.records] == [1.0, 0.5, 0.25] and fl.Recorder(path).records == log.records
    with pytest.raises(TypeError, match="`train` must be a number"):
        log.record(train=10**400)


def test_what_records_show_is_found_once(monkeypatch):
    log, asked = recorded(), []
    curves = fl.curves
    monkeypatch.setattr(fl, "curves", lambda *given, **named: asked.append(1) or curves(*given, **named))
    assert (log.verdict, log.best, log.best_at) == ("overfitting", OVERFITTED.min(), OVERFITTED.argmin()) and len(asked) == 1
    assert log.record(train=math.nan).verdict == "not finite" and len(asked) == 2
