"""fastloss.metrics of labels against sklearn.metrics: kinds of labels, probabilities, decisions; and scorers."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from tests.metrics_cases import OF_LABELS, N, data, ours, outcome, rng, same, sklearn, theirs

STRINGS = np.array(["ham", "spam"])
LABELS = {
    "int": np.array([0, 1]),
    "signs": np.array([-1, 1]),
    "one and two": np.array([1, 2]),
    "large": np.array([-(10**12), 10**12]),
    "uint8": np.array([0, 1], np.uint8),
    "uint64": np.array([0, 1], np.uint64),
    "bool": np.array([False, True]),
    "float": np.array([0.0, 1.0]),
    "text": STRINGS,
    "objects": STRINGS.astype(object),
    "bytes": STRINGS.astype("S"),
    "fractions": np.array([0.5, 1.5]),
    "one": np.array([1, 1]),
    "zero": np.array([0, 0]),
    "five": np.array([5, 5]),
    "text of one": STRINGS[[1, 1]],
}


@pytest.mark.parametrize("name", OF_LABELS)
@pytest.mark.parametrize("kind", LABELS)
def test_two_classes(name, kind):
    codes = np.append(rng.integers(0, 2, 21), [0, 1])
    y, p, w = LABELS[kind][codes], rng.random(23), rng.random(23)
    said = kind not in ("bytes", "fractions")  # as NumPy or Python put them
    for prediction in (p, p.reshape(-1, 1), np.column_stack([1 - p, p]), p.astype(np.float32), (p > 0.5), (p > 0.5).astype(int)):
        ulps = 2e10 if prediction.dtype == np.float32 else 64
        same(name, y, prediction, ulps=ulps, message=said)
        same(name, y, prediction, ulps=ulps, sample_weight=w, message=said)
        same(name, y.tolist(), prediction, ulps=ulps, message=False)
        if kind not in ("one", "zero", "five", "text of one"):
            same(name, y, prediction, ulps=ulps, labels=LABELS[kind], message=False)
        if "brier" in name:
            same(name, y, prediction, ulps=ulps, pos_label=LABELS[kind][1], message=said)
            same(name, y, prediction, ulps=ulps, pos_label=LABELS[kind][0], message=said)
            same(name, y, prediction, ulps=ulps, pos_label="other", message=said)


@pytest.mark.parametrize("name", [*OF_LABELS, "zero_one_loss", "hamming_loss"])
def test_text_among_numbers_and_what_is_no_label(name):
    """Theirs is a TypeError of the comparison, or ValueError, or NumPy makes text of the numbers, by the way that it goes."""
    for y in (["ham", 1, "ham", 2], np.array(["ham", 1, "ham", 2], object), np.array([object()] * 4)):
        with pytest.raises((TypeError, ValueError)):
            getattr(ours, name)(y, np.array([0.0, 1.0, 1.0, 0.0]))


@pytest.mark.parametrize("name", OF_LABELS)
def test_several_classes(name):
    y = np.append(rng.integers(0, 4, 30), [0, 1, 2, 3])
    q = rng.random((34, 4))
    for p in (q / q.sum(axis=1, keepdims=True), q, q[:, :3], q[:, 0], q.round(), q * 3 - 1):
        for labels in (None, [0, 1, 2, 3], [3, 2, 1, 0], [0, 1, 2], [0, 1, 2, 3, 4], [0, 0, 0, 0], [1, 1], [0, 1], [0.5, 1, 2, 3]):
            same(name, y, p, ulps=200, labels=labels, message=False)
        same(name, np.array(list("dcba"))[y], p, ulps=200)
        same(name, np.array(list("dcba"))[y], p, ulps=200, labels=list("abcd"))
        same(name, y * 10 - 7, p, ulps=200, sample_weight=rng.random(34))
        same(name, y + 0.5, p, message=False)
        same(name, np.eye(4, dtype=int)[y], p, ulps=200, message=False)  # one-hot
        same(name, (q > 0.4).astype(int), p, ulps=200, message=False)  # several at once
        same(name, y % 3, p, ulps=200, labels=[0, 1, 2, 3])


def test_log_loss_clips_by_dtype():
    for dtype in (np.float16, np.float32, np.float64):
        p = np.array([0.0, 1.0, 0.0, 1.0], dtype)
        found, wanted = (module.log_loss([1, 0, 0, 1], p) for module in (ours, theirs))
        assert found == pytest.approx(wanted, rel=2 * float(np.finfo(dtype).eps))
        found, wanted = (module.log_loss([1, 0, 0, 1], np.column_stack([1 - p, p])) for module in (ours, theirs))
        assert found == pytest.approx(wanted, rel=2 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("name", ["log_loss", "zero_one_loss"])
@pytest.mark.parametrize("normalize", [True, False, np.False_, 0, "no"])
def test_sums(name, normalize):
    y, p = data(name)
    same(name, y, p, ulps=64, normalize=normalize)
    same(name, y, p, ulps=64, normalize=normalize, sample_weight=rng.random(N))


@pytest.mark.parametrize("scale_by_half", ["auto", True, False, "yes", 1])
def test_brier_scaled(scale_by_half):
    y, p = data("brier_score_loss")
    same("brier_score_loss", y, p, scale_by_half=scale_by_half)
    same("brier_score_loss", y, np.column_stack([1 - p, p]), scale_by_half=scale_by_half)
    same("brier_score_loss", np.arange(N) % 3, np.full((N, 3), 1 / 3), scale_by_half=scale_by_half)


@pytest.mark.parametrize("name", ["log_loss", "d2_log_loss_score"])
def test_the_old_name_of_y_proba(name):
    same(name, [0, 1, 1], y_pred=[0.1, 0.9, 0.8])
    same(name, [0, 1, 1], [0.1, 0.9, 0.8], y_pred=[0.1, 0.9, 0.8])
    same(name, [0, 1, 1], message=False)


def test_sums_that_are_nearly_one():
    """Warned of beyond the square root of the machine epsilon, in the type given, as theirs."""
    p = np.column_stack([np.linspace(0.1, 0.9, 20), np.linspace(0.9, 0.1, 20)])
    for dtype, tolerance in ((np.float64, 2.0**-26), (np.float32, 2.0**-11.5)):
        for factor in (0.5, 2.0):
            off = p.copy()
            off[3] *= 1 + factor * tolerance
            for y in (np.arange(20) % 2, (np.arange(20) % 2).astype(float)):
                assert len(outcome(ours, "log_loss", y, off.astype(dtype))[1]) == (factor > 1)
                same("log_loss", y, off.astype(dtype), ulps=2e10)


@pytest.mark.parametrize("name", ["zero_one_loss", "hamming_loss"])
def test_decisions(name):
    sparse = pytest.importorskip("scipy.sparse")
    y, p, w = rng.integers(0, 4, 30), rng.integers(0, 4, 30), rng.random(30)
    text = np.array(list("abcd"))
    many, few = (rng.random((30, 5)) > 0.5).astype(int), (rng.random((30, 5)) > 0.4).astype(int)
    cases = [
        (y, p),
        (y, p.astype(float)),
        (y % 2, p),
        (text[y], text[p]),
        (text[y], p),
        (y, p + 0.5),
        (y + 0.5, p + 0.5),
        (y > 1, p > 1),
        (y > 1, p),
        (many, few),
        (many.astype(bool), few),
        (many, y),
        (many, few[:, :3]),
        (many * 2, few),
        (sparse.csr_matrix(many), sparse.csr_matrix(few)),
        (sparse.csr_array(many), few),
        (text[y].tolist(), text[p].tolist()),
        (y.reshape(-1, 1), p),
        (y, p[:3]),
        ([], []),
        (text[many], text[few]),
        (np.array([1.0, np.nan, 0.0]), np.array([1, 0, 0])),
        ([[1, 2], [3]], [[1], [2]]),
        ("abc", "abd"),
        (3, 4),
        (None, y),
    ]
    for one, other in cases:
        same(name, one, other, message=False)
        same(name, one, other, ulps=64, sample_weight=w, message=False)


@pytest.mark.parametrize("state", ["sys.modules['sklearn'] = None", "import sklearn; sklearn.__version__ = '1.3.2'"])
def test_scorers_need_scikit_learn(state):
    code = f"import sys; {state}\nimport fastloss.metrics as m\nm.scorers"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode and 'pip install "scikit-learn>=1.4"' in run.stderr


def scorer_pairs():
    from sklearn.metrics import get_scorer_names

    return sorted(set(get_scorer_names()) & set(ours.scorers.SCORERS))


@pytest.mark.parametrize("name", scorer_pairs())
def test_scorers_in_cross_validation(name):
    from sklearn.datasets import load_breast_cancer, load_diabetes
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.model_selection import cross_val_score

    asks = "predict_proba" in str(ours.scorers.SCORERS[name])
    x, y = (load_breast_cancer if asks else load_diabetes)(return_X_y=True)
    x, model = x[:, :5] / x[:, :5].max(axis=0), LogisticRegression() if asks else Ridge(positive=True)
    found, wanted = (cross_val_score(model, x, y, scoring=scoring, cv=3) for scoring in (ours.scorers.SCORERS[name], name))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert repr(pickle.loads(pickle.dumps(ours.scorers.get_scorer(name)))) == repr(ours.scorers.get_scorer(name))


def test_scorers_in_a_grid_search_with_weights_routed():
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    x, y = load_iris(return_X_y=True)
    w = rng.random(len(y))
    results = []
    with sklearn.config_context(enable_metadata_routing=True):
        for scorer in (ours.scorers.neg_log_loss, sklearn.metrics.get_scorer("neg_log_loss")):
            model = LogisticRegression(max_iter=2000).set_fit_request(sample_weight=True)
            search = GridSearchCV(model, {"C": [0.1, 1.0, 10.0]}, scoring=scorer.set_score_request(sample_weight=True), cv=3)
            results.append(search.fit(x, y, sample_weight=w).cv_results_["mean_test_score"])
    np.testing.assert_allclose(*results, rtol=1e-12)


def test_scorer_of_decisions_and_of_text_labels():
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression

    x, y = load_breast_cancer(return_X_y=True)
    x, names = x[:, :4] / x[:, :4].max(axis=0), np.array(["malignant", "benign"])[y]
    model = LogisticRegression().fit(x, y)
    assert ours.scorers.neg_hinge_loss(model, x, y) == pytest.approx(-theirs.hinge_loss(y, model.decision_function(x)), rel=1e-14)
    named = LogisticRegression().fit(x, names)
    wanted = theirs.get_scorer("neg_log_loss")(named, x, names)
    assert ours.scorers.neg_log_loss(named, x, names) == pytest.approx(wanted, rel=1e-14)
    with pytest.raises(ValueError, match="not among the scorers"):
        ours.scorers.get_scorer("accuracy")
