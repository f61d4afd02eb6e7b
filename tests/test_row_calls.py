"""Losses of rows with a label as they are called: weights, ignored rows, states, threads, errors; and what other libraries return."""

import math
import zlib
from fractions import Fraction

import numpy as np
import pytest

import fastloss as fl
from fastloss.losses import ROW_REGISTRY
from tests.row_cases import changed, data
from tests.rows import LOSSES, weights_of
from tests.test_rows import given

WITH_GRADIENT = [name for name, definition in LOSSES.items() if hasattr(definition.body, "gradient")]
WEIGHTED = [name for name, definition in LOSSES.items() if definition.weights]


def exact_mean(terms, weights):
    return float(sum(map(Fraction, terms)) / sum(map(Fraction, weights)))


@pytest.mark.parametrize("classes", [3, 70])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", LOSSES)
def test_the_cost_is_the_exact_mean_of_the_losses(name, dtype, classes):
    labels, z = given(name, dtype, 333, classes)
    loss = fl.get(name)
    per_row = loss.loss(labels, z, loss_out=np.empty(len(labels), "float32" if dtype == "float16" else dtype))
    assert loss(labels, z) == exact_mean(per_row.tolist(), [1.0] * len(labels))
    assert loss(labels, z, reduction="sum") == math.fsum(per_row.tolist())


@pytest.mark.parametrize("changes", [False, True])
@pytest.mark.parametrize("classes", [2, 5, 33, 128, 129])
@pytest.mark.parametrize("name", [name for name, definition in ROW_REGISTRY.items() if hasattr(definition.body, "gradient")])
def test_methods_agree_to_the_bit_where_scores_tie_too(name, classes, changes):
    definition = ROW_REGISTRY[name]
    loss = fl.get(name) if definition.base or not changes else type(fl.get(name))(**changed(definition))
    for dtype in (np.float32, np.float64):
        y, z = data(definition.base or name, dtype, classes, 60)
        z[::2, 0] = z[::2, 1] = z[::2].max(1)
        value, gradient, both = loss.loss(y, z), loss.gradient(y, z), loss.loss_gradient(y, z)
        agree = np.testing.assert_array_equal
        agree(value, both[0])
        agree(gradient, both[1])
        if hasattr(definition.body, "hessian"):
            for one, other in zip(both, loss.loss_gradient_hessian(y, z)[:2], strict=True):
                agree(one, other)
        if not definition.terms:
            assert loss(y, z) == loss.cost_gradient(y, z)[0]


@pytest.mark.parametrize("classes", [4, 70])
@pytest.mark.parametrize("name", WEIGHTED)
def test_class_weights_ignored_rows_and_sample_weights(name, classes):
    labels, z = given(name, "float64", 200, classes)
    cls, c = type(fl.get(name)), np.array(weights_of(classes))
    w = np.random.default_rng(0).integers(0, 5, 200) / 4.0
    ignoring = np.where(np.arange(200) % 3 == 0, -100, labels)
    kept = ignoring >= 0
    loss = cls(class_weight=c, ignore_index=-100)
    per_row, gradient = loss.loss_gradient(ignoring, z)
    assert (per_row[~kept] == 0).all() and (gradient[~kept] == 0).all() and (per_row[labels % 4 == 2] == 0).all()
    np.testing.assert_allclose(per_row[kept], (c[labels] * fl.get(name).loss(labels, z))[kept], rtol=1e-15)
    expected = exact_mean((w * per_row).tolist(), (w * c[labels] * kept).tolist())
    assert loss(ignoring, z, w) == pytest.approx(expected, rel=1e-15)
    cost, slope = loss.cost_gradient(ignoring, z, w)
    assert cost == loss(ignoring, z, w)
    np.testing.assert_allclose(slope, w[:, None] * gradient / (w * c[labels] * kept).sum(), rtol=1e-14, atol=1e-300)


@pytest.mark.parametrize("classes", [5, 129])
@pytest.mark.parametrize("name", [*LOSSES, "perplexity"])
def test_states_split_and_merge_to_the_same_bits(name, classes):
    labels, z = given("softmax_cross_entropy" if name == "perplexity" else name, "float32", 501, classes)
    whole = fl.get(name)(labels, z)
    parts = [fl.State(name).update(labels[a:b], z[a:b]) for a, b in ((0, 1), (1, 200), (200, 501))]
    assert parts[2].merge(parts[0]).merge(fl.State.from_bytes(parts[1].to_bytes())).compute() == whole
    assert fl.evaluate([name, "top_k_error:k=2"], labels, z)[name] == whole


@pytest.mark.parametrize("classes", [5, 129])
@pytest.mark.parametrize("name", LOSSES)
def test_threads_leave_no_trace(name, classes):
    labels, z = given(name, "float32", 4000, classes)
    loss = fl.get(name)
    assert loss(labels, z, n_threads=1) == loss(labels, z, n_threads=3)
    if name in WITH_GRADIENT:
        one, three = (loss.cost_gradient(labels, z, n_threads=n) for n in (1, 3))
        assert one[0] == three[0] == loss(labels, z) and np.array_equal(one[1], three[1])


@pytest.mark.parametrize("name", LOSSES)
def test_bad_input_is_named(name):
    labels, z = given(name, "float64", 10, 4)
    loss = fl.get(name)
    for wrong in (-1, 4):
        bad = labels.copy()
        bad[7] = wrong
        with pytest.raises(fl.InputError, match=rf"`y_true` of `{name}` must be a class from 0 to 3, got {wrong} at index 7"):
            loss(bad, z)
    with pytest.raises(ValueError, match="rows of scores are of 2 classes or more"):
        loss(np.zeros(10, int), z[:, :1])
    with pytest.raises(ValueError, match="one label per row"):
        loss(labels[:9], z)
    with pytest.raises(TypeError, match="must be integers"):
        loss(labels.astype(float), z)
    if LOSSES[name].prediction.high == 1.0:
        z[3, 2] = 1.5
        with pytest.raises(fl.InputError, match=r"`y_pred` .*in \[0, 1\].* 1\.5"):
            loss(labels, z)
    if not LOSSES[name].weights:
        with pytest.raises(TypeError, match="`class_weight` is not an option"):
            type(loss)(class_weight=[1, 2])
    else:
        with pytest.raises(ValueError, match="has 2 weights, but `y_pred` has 4 classes"):
            type(loss)(class_weight=[1, 2])(labels, z)


def test_ignored_labels_are_those_of_int64():
    for wrong in (2**63, -(2**63) - 1, 1e300, 1.5, True, "x"):
        with pytest.raises(
            ValueError, match=r"`ignore_index` of `softmax_cross_entropy` must be an integer from -2\*\*63 to 2\*\*63 - 1, got"
        ):
            fl.SoftmaxCrossEntropy(ignore_index=wrong)
    for fine in (2**63 - 1, -(2**63), 2**53 + 1):
        loss = fl.SoftmaxCrossEntropy(ignore_index=fine)
        assert fl.get(loss.spec).ignore_index == fine
        assert fl.State.from_bytes(fl.State(loss).to_bytes()).losses == [loss]
        assert loss.loss(np.array([fine, 0]), np.zeros((2, 2))).tolist() == [0.0, math.log(2.0)]
    labels, z = np.array([0, 2**64 - 1], np.uint64), np.zeros((2, 2))
    for options in ({}, {"ignore_index": -1}):
        with pytest.raises(fl.InputError, match="from 0 to 1.* got 18446744073709551615 at index 1; .*int64.* and ignore_index=-1"):
            fl.cross_entropy(labels, z, **options)
    assert fl.cross_entropy(labels.astype("int64"), z, ignore_index=-1) == math.log(2.0)


@pytest.mark.parametrize("weight", [1e39, 1e-300])
def test_class_weights_beyond_float32_are_refused_there(weight):
    labels, z = given("softmax_cross_entropy", "float64", 20, 3)
    loss = fl.SoftmaxCrossEntropy(class_weight=[1.0, weight, 0.0])
    assert loss.loss(labels, z)[labels == 1].max() < 100 * weight
    with pytest.raises(ValueError, match=r"`class_weight` of `softmax_cross_entropy` must be .*; 1e.* is (inf|0\.0) in float32"):
        loss(labels, z.astype("float32"))


def test_measures_have_no_gradient_and_costs_no_losses():
    labels, z = given("top_k_error", "float64")
    for name in ("top_k_error", "multiclass_error"):
        for method in ("gradient", "loss_gradient", "cost_gradient", "gradient_hessian"):
            with pytest.raises(TypeError, match=f"`{name}` has no gradient"):
                getattr(fl.get(name), method)(labels, z)
    with pytest.raises(TypeError, match="`perplexity` is the exponential of a mean: it is a cost, without a gradient"):
        fl.Perplexity().cost_gradient(labels, z)
    with pytest.raises(ValueError, match="is the exponential of a mean and has no sum; use `softmax_cross_entropy`"):
        fl.perplexity(labels, z, reduction="sum")
    with pytest.raises(TypeError, match="`total_variation` has no Hessian"):
        fl.TotalVariation().gradient_hessian(abs(z), abs(z))
    with pytest.raises(ValueError, match="`k` of `top_k_error` must be an integer >= 1, got 1.5"):
        fl.TopKError(k=1.5)
    with pytest.raises(ValueError, match="`p` of `multi_margin` must be 1 or 2, got 3"):
        fl.MultiMargin(p=3)


def test_perplexity_is_the_exponential_of_the_cost():
    labels, z = given("softmax_cross_entropy", "float64", 100)
    labels[::5] = -1
    options = {"temperature": 2.0, "ignore_index": -1}
    assert fl.perplexity(labels, z, **options) == math.exp(fl.softmax_cross_entropy(labels, z, **options))
    state = fl.State(["softmax_cross_entropy", "perplexity"])
    state.update(np.abs(labels), z)
    costs = state.compute()
    assert costs["perplexity"] == math.exp(costs["softmax_cross_entropy"]) and len(state._tallies) == 1
    assert fl.perplexity(np.array([1]), np.array([[1e4, 0.0]])) == math.inf


def test_perplexity_of_each_class():
    (result,) = fl.State("perplexity", per_class=True).update([0, 1], np.zeros((2, 2))).results()
    assert [found.cost for found in result.classes.values()] == [2.0, 2.0] and result.cost == 2.0
    labels, z = given("softmax_cross_entropy", "float64", 100)
    cost, perplexity = fl.State(["cross_entropy", "perplexity"], per_class=True).update(labels, z).results()
    assert len(cost.classes) == 7
    for label, found in perplexity.classes.items():
        assert found.cost == math.exp(cost.classes[label].cost) == fl.perplexity(labels[labels == label], z[labels == label])


def test_bytes_with_a_negative_label_are_damaged():
    head, text = fl.State("cross_entropy", per_class=True).update([1], [[0.0, 1.0]]).to_bytes().split(b"\n")
    text = text.replace(b'{"1": [', b'{"-1": [')
    with pytest.raises(ValueError, match="this fastloss state is damaged: .* label is negative"):
        fl.State.from_bytes(head[:-8] + b"%08x\n" % zlib.crc32(text) + text)


def agree(name, value, labels, z, rtol=1e-13, **parameters):
    loss = type(fl.get(name))(**parameters)
    np.testing.assert_allclose(loss.loss(labels, z), value, rtol=rtol, atol=1e-15)


def test_torch_agrees():
    torch = pytest.importorskip("torch")
    F = torch.nn.functional  # noqa: N806
    labels, z = given("softmax_cross_entropy", "float64", 60, 9)
    c = np.array(weights_of(9))
    y, weight = torch.tensor(labels), torch.tensor(c)
    cases = [
        ("softmax_cross_entropy", {}, lambda t: F.cross_entropy(t, y, reduction="none")),
        ("softmax_cross_entropy", {"class_weight": c, "label_smoothing": 0.1},
         lambda t: F.cross_entropy(t, y, weight, reduction="none", label_smoothing=0.1)),
        ("negative_log_likelihood", {"class_weight": c}, lambda t: F.nll_loss(t, y, weight, reduction="none")),
        ("multi_margin", {}, lambda t: F.multi_margin_loss(t, y, reduction="none")),
        ("multi_margin", {"p": 2, "margin": 0.5, "class_weight": c},
         lambda t: F.multi_margin_loss(t, y, p=2, margin=0.5, weight=weight, reduction="none")),
        ("one_vs_all_logistic", {"average": True}, lambda t: F.multilabel_soft_margin_loss(t, F.one_hot(y, 9).double(), reduction="none")),
    ]  # fmt: skip
    for name, parameters, function in cases:
        t = torch.tensor(z, requires_grad=True)
        value = function(t)
        value.sum().backward()
        agree(name, value.detach().numpy(), labels, z, **parameters)
        gradient = type(fl.get(name))(**parameters).gradient(labels, z)
        np.testing.assert_allclose(gradient, t.grad.numpy(), rtol=1e-12, atol=1e-15)


def test_sklearn_agrees():
    metrics = pytest.importorskip("sklearn.metrics")
    labels, z = given("crammer_singer", "float64", 60, 9)
    assert fl.crammer_singer(labels, z) == pytest.approx(metrics.hinge_loss(labels, z, labels=range(9)), rel=1e-14)
    labels, p = given("multiclass_brier", "float64", 60, 9)
    p[3] = np.eye(9)[(labels[3] + 1) % 9]
    assert fl.multiclass_log_loss(labels, p, clip="sklearn") == pytest.approx(metrics.log_loss(labels, p, labels=range(9)), rel=1e-14)
    assert fl.multiclass_log_loss(labels, p) == math.inf
    ours, theirs = fl.multiclass_brier(labels, p), metrics.brier_score_loss(labels, p, labels=range(9), scale_by_half=False)
    assert ours == pytest.approx(theirs, rel=1e-14)


def test_formulas_of_optax_keras_and_scoringrules():
    labels, z = given("sparsemax", "float64", 60, 6)
    hot, rows = np.eye(6)[labels], np.arange(60)
    agree("multiclass_perceptron", z.max(1) - z[rows, labels], labels, z)
    agree("crammer_singer", np.max(z + 1.0 - hot, 1) - z[rows, labels], labels, z)  # optax.multiclass_hinge_loss
    agree("categorical_hinge", np.maximum(((1 - hot) * z).max(1) - (hot * z).sum(1) + 1, 0), labels, z)
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    own = p[rows, labels]
    agree("poly1_cross_entropy", -np.log(own) + 2.0 * (1 - own), labels, z)
    agree("categorical_focal", (1 - own) ** 2 * -np.log(own), labels, z)
    agree("generalized_cross_entropy", (1 - own**0.5) / 0.5, labels, z, q=0.5)
    keras = np.clip(p * 3 / (p * 3).sum(1, keepdims=True), 1e-7, 1 - 1e-7)[rows, labels]
    agree("multiclass_log_loss", -np.log(keras), labels, p, clip="keras", normalize=True)
    agree("ranked_probability_score", ((p.cumsum(1) - hot.cumsum(1)) ** 2).sum(1), labels, p)
