"""What the adapters of boosters have in common: which losses can be objectives, and what stands for their Hessians."""

import numpy as np
import pytest

import fastloss as fl
from fastloss.adapters.boosting import Objective, _inside, flat, require
from fastloss.adapters.boosting_metrics import Metric, link_of, linked
from fastloss.losses import definitions
from fastloss.losses.spec import POSITIVE, REAL, UNIT, Interval

CONSTANT = {  # losses whose Hessian is 0 where the gradient is not, or that have none
    "hinge": 1.0, "perceptron": 1.0, "absolute_error": 1.0, "huber": 1.0, "smooth_l1": 1.0, "pinball": 1.0,
    "absolute_percentage_error": 1.0, "negative_log_likelihood": 1.0, "multi_margin": 1.0,
    "crammer_singer": 1.0, "categorical_hinge": 1.0, "multiclass_perceptron": 1.0,
    "sparsemax": 0.75, "kl_divergence_with_log_probs": 1.0, "kl_divergence_with_log_targets": 1.0, "reverse_kl_divergence_with_logits": 1.0,
    "jensen_shannon_divergence_with_log_probs": 1.0, "jensen_shannon_divergence_with_logits": 1.0, "total_variation_with_log_probs": 1.0,
    "total_variation_with_logits": 1.0, "cosine_distance": 1.0, "multilabel_margin": 1.0,
}  # fmt: skip
MEASURES = ("zero_one", "multiclass_error", "top_k_error")


@pytest.mark.parametrize("definition", list(definitions()), ids=lambda definition: definition.name)
def test_every_loss_is_an_objective_or_says_why_not(definition):
    name = definition.name
    real = (definition.prediction.low, definition.prediction.high) == (REAL.low, REAL.high)
    if definition.base:
        with pytest.raises(ValueError, match=f"`{name}` is a cost, without derivatives of each sample; use `{definition.base}`"):
            Objective(name)
    elif definition.terms:
        with pytest.raises(ValueError, match="a cost of sums"):
            Objective(name)
    elif not real:
        with pytest.raises(ValueError, match=f"`{name}` takes predictions .* a booster's raw scores are any real numbers"):
            Objective(name)
    elif name in MEASURES:
        with pytest.raises((TypeError, ValueError), match="a measure"):
            Objective(name)
    else:
        assert Objective(name).hess == CONSTANT.get(name, "exact")


def test_what_is_of_probabilities_names_the_loss_of_raw_scores():
    with pytest.raises(ValueError, match="use `logistic`"):
        Objective("log_loss")
    with pytest.raises(ValueError, match="use `poisson_loss`"):
        Objective(fl.PoissonDeviance(half=True))


@pytest.mark.parametrize(
    ("spec", "constant"),
    [("huber:delta=100", 1.0), ("huber:delta=0.01", 1.0), ("smooth_l1:beta=4", 0.25), ("logistic:pos_weight=1000", None),
     ("fair:c=50", None), ("pseudo_huber:delta=30", None), ("lq:q=1", 1.0), ("lq:q=1.5", None), ("multi_margin:p=2", None),
     ("tweedie_loss:power=1.2", None),
     ("squared_hinge", None), ("softmax_cross_entropy:class_weight=1;2;3", None)],
)  # fmt: skip
def test_a_hessian_that_dies_away_is_not_a_flat_one(spec, constant):
    assert flat(fl.get(spec)) == constant


def test_hessians():
    y, p, w = np.array([0.0, 0.0, 1.0]), np.array([0.5, 3.0, -60.0]), np.array([2.0, 3.0, 1.0])
    gradient, hessian = Objective("huber").derivatives(y, p, w)
    assert gradient.tolist() == [1.0, 3.0, -1.0] and hessian.tolist() == [2.0, 3.0, 1.0]
    assert Objective("huber", hess=0.5).derivatives(y, p, None)[1].tolist() == [0.5] * 3
    exact = Objective("huber", hess="exact").derivatives(y, p, w)[1]
    assert exact.tolist() == [2.0, np.float32(1e-16), np.float32(1e-16)]
    assert Objective("huber", hess="exact", floor=0.25).derivatives(y, p, w)[1].tolist() == [2.0, 0.25, 0.25]
    assert Objective("huber", hess="exact", floor=0.0).derivatives(y, p, w)[1].tolist() == [2.0, 0.0, 0.0]
    rows = np.random.default_rng(0).normal(size=(3, 4))
    gradient, hessian = Objective("multi_margin").derivatives(y, rows, w)
    assert np.array_equal(hessian, np.tile(w[:, None], 4)) and np.abs(gradient).max() > 0.5
    focal = fl.Focal()  # its Hessian is negative somewhere
    z = np.linspace(-6.0, 6.0, 50)
    assert (focal.gradient_hessian(np.ones(50), z)[1] < 0).any()
    assert (Objective(focal).derivatives(np.ones(50), z, None)[1] >= np.float32(1e-16)).all()


@pytest.mark.parametrize("n", [5, 1 << 15])
def test_floor_is_kept_for_few_and_for_many(n):
    z = np.full(n, 1.0, np.float32)
    z[n // 2] = 80.0  # its Hessian is e**-80
    hessian = Objective("logistic").derivatives(np.zeros(n, np.float32), z, None)[1]
    assert hessian[n // 2] == np.float32(1e-16) and hessian.min() == hessian[n // 2]
    z[0] = np.nan
    gradient, hessian = Objective("logistic").derivatives(np.zeros(n, np.float32), z, None)
    assert np.isnan(gradient[0]) and np.isnan(hessian[0]) and hessian[n // 2] == np.float32(1e-16)


def test_upper_is_above_the_whole_hessian():
    z = np.random.default_rng(0).normal(0.0, 2.0, (20, 4))
    upper = Objective("softmax_cross_entropy", hess="upper").derivatives(np.arange(20) % 4 * 1.0, z, None)[1]
    for row, diagonal in zip(fl.softmax(z), upper, strict=True):
        whole = np.diag(row) - np.outer(row, row)
        assert np.linalg.eigvalsh(np.diag(diagonal.astype(np.float64)) - whole).min() > -1e-7


def test_labels_of_margins_and_of_classes():
    z = np.array([0.5, -0.5, 2.0])
    coded = [Objective("exponential").derivatives(np.array(y), z, None)[0].tolist() for y in ([0.0, 1.0, 1.0], [-1.0, 1.0, 1.0])]
    assert coded[0] == coded[1]
    assert Objective("exponential").derivatives(np.ones(3), z, None)[0][0] < 0
    with pytest.raises(ValueError, match=r"must be 0 or 1, or -1 or 1, got 0 and -1.0 \(at index 2\)"):
        Objective("hinge").derivatives(np.array([0.0, 1.0, -1.0]), z, None)
    rows = np.zeros((3, 3))
    for bad in (0.5, np.nan, 1e10):
        with pytest.raises(ValueError, match=r"must be a class from 0 to 2, got .* at index 1"):
            Objective("softmax_cross_entropy").derivatives(np.array([0.0, bad, 1.0]), rows, None)
    with pytest.raises(ValueError, match="rows of C scores, got one score a row"):
        Objective("softmax_cross_entropy").derivatives(np.zeros(3), np.zeros(3), None)


def test_settings_are_checked():
    for hess in ("newton", 0.0, -1.0, True, np.inf):
        with pytest.raises(ValueError, match=r"`hess` must be 'exact', 'upper' or a number > 0"):
            Objective("mse", hess=hess)
    with pytest.raises(ValueError, match="`hess='upper'` is known of softmax_cross_entropy alone"):
        Objective("mse", hess="upper")
    with pytest.raises(ValueError, match=r"`floor` must be a number >= 0, got -1"):
        Objective("mse", floor=-1)
    with pytest.raises(ValueError, match="`link` must be one of"):
        Metric("mse", link="logit")


def test_links():
    for name, link in {"log_loss": "sigmoid", "dice": "sigmoid", "multiclass_log_loss": "softmax", "poisson_deviance": "exp",
                       "mse": "identity", "logistic": "identity", "softmax_cross_entropy": "identity",
                       "kl_divergence": "softmax"}.items():  # fmt: skip
        assert link_of(fl.get(name)) == link
    z = np.array([[-1000.0, 0.0, 1000.0], [1.0, 2.0, 3.0]])
    assert linked("sigmoid", z)[0].tolist() == [0.0, 0.5, 1.0]
    assert linked("identity", z) is z
    assert np.array_equal(linked("softmax", z), fl.softmax(z))


def test_metrics_in_blocks_are_the_cost_of_all():
    n = 200_001
    random = np.random.default_rng(0)
    z, y, w = random.normal(size=n), (random.random(n) < 0.3) * 1.0, random.random(n)
    with np.errstate(over="ignore"):
        p = 1.0 / (1.0 + np.exp(-z))
    assert Metric("log_loss").value(y, z, w) == fl.log_loss(y, p, w)
    assert Metric("hinge").value(y, z, w) == fl.hinge(2.0 * y - 1.0, z, w)
    rows = random.normal(size=(n, 3))
    labels = random.integers(0, 3, n)
    assert Metric("softmax_cross_entropy").value(labels * 1.0, rows, w) == fl.softmax_cross_entropy(labels, rows, w)
    wrong = labels * 1.0
    wrong[150_000] = 0.5
    with pytest.raises(ValueError, match=r"must be a class from 0 to 2, got 0.5 at index 150000"):
        Metric("softmax_cross_entropy").value(wrong, rows, None)
    wrong[150_000] = 3.0
    with pytest.raises(ValueError, match=r"must be a class from 0 to 2, got 3 at index 150000"):
        Metric("softmax_cross_entropy").value(wrong, rows, None)
    with pytest.raises(ValueError, match="set the booster's number of classes"):
        Metric("multiclass_log_loss").value(wrong, rows[:, 0], None)
    y[150_000] = 0.5
    with pytest.raises(ValueError, match="at index 150000"):
        Metric("hinge").value(y, z, w)
    y[150_000] = -3.0
    with pytest.raises(fl.InputError, match="at index 150000"):
        Metric("brier").state(fl.get("brier"), y, z, w)


def test_targets_to_try_with_are_in_the_domain():
    for domain in (REAL, POSITIVE, UNIT, Interval(10.0, 20.0), Interval(100.0, np.inf), Interval(-np.inf, -100.0)):
        assert _inside(domain) in domain


def test_versions():
    require("xgboost", "2.1.0rc1", (2, 1))
    require("xgboost", "10.0", (2, 1))
    with pytest.raises(ImportError, match="fastloss.xgboost needs xgboost >= 2.1, found 2.0.3"):
        require("xgboost", "2.0.3", (2, 1))
