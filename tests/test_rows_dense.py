"""Losses whose target is a row of numbers: exactness of value and gradient, layouts, streams, what torch says, and what is refused."""

import functools
import math

import numpy as np
import pytest
from mpmath import mp, mpf

import fastloss as fl
from fastloss.losses import ROW_REGISTRY
from fastloss.losses.rowspec import LABELS
from fastloss.losses.spec import ZERO_ONE
from tests.row_references import KINDS, TERMS, VALUES

DENSE = {name: definition for name, definition in ROW_REGISTRY.items() if definition.target is not LABELS}
CLASSES = (2, 3, 10, 64, 65, 1025)
PREC, STEP = 440, 100
FEW = ("apart", "near", "one-hot, confident", "confident", "confident and wrong", "soft", "any", "few")  # of many classes
VARIANTS = {
    "soft_label_cross_entropy": ({"label_smoothing": 0.125}, {"temperature": 2.0}),
    "jensen_shannon_divergence": ({"beta": 0.125},),
    "squared_earth_movers_distance": ({"normalized": True},),
    "distillation": ({"temperature": 4.0},),
    "multilabel_margin": ({"margin": 0.125}, {"margin": -3.0}),
}
CASES = [(name, given) for name in VALUES for given in ({}, *VARIANTS.get(name, ()))]


def distributions(rng, classes, dtype):
    """Rows (what it is, y, p) of probabilities in the dtype."""

    def share(a):
        p = rng.gamma(a, size=classes) + 1e-12
        return p / p.sum()

    hot, zeros = np.zeros(classes), share(1.0)
    hot[rng.integers(classes)] = 1
    zeros[rng.integers(classes)] = 0
    y = share(1.0)
    rows = [
        ("apart", y, share(0.3)),
        ("near", y, y * (1 + rng.choice([-1, 1], classes) * 10.0 ** rng.uniform(-4, -1, classes))),
        ("very near", y, y * (1 + rng.choice([-1, 1], classes) * 10 * np.finfo(dtype).eps)),
        ("one-hot", hot, share(1.0)),
        ("one-hot, confident", hot, np.where(hot == 1, 1 - 1e-6, 1e-6 / classes)),
        ("zeros in both", zeros / zeros.sum(), np.where(zeros == 0, 0, share(1.0))),
        ("sums of 3 and 1/2", 3 * y, 0.5 * share(1.0)),
    ]
    return [(what, a.astype(dtype), b.astype(dtype)) for what, a, b in rows]


def hits_of(rng, classes, dtype):
    """Rows of targets 0 or 1: all, none, few and many of them; scores far apart, and gaps that nearly are the margin."""
    hits, z = rng.integers(0, 2, classes), rng.standard_normal(classes)
    few = np.isin(np.arange(classes), rng.integers(0, classes, 4))
    close = rng.permutation(np.arange(classes)) + np.finfo(dtype).eps * rng.integers(-9, 9, classes)
    rows = [("bits", hits, z), ("few", few, 3 * z), ("apart", few, 10.0 ** rng.integers(-20, 20, classes) * z), ("all", 1 + 0 * hits, z)]
    return rows + [("few", few, 1000 + z), ("many", ~few, 1e-3 * z), ("met", few, np.where(few, 3.0, z)), ("close", few, close)]


def rows_of(kind, classes, dtype, seed=0):
    """Rows (what, y, z) for losses of this kind of scores."""
    rng = np.random.default_rng([seed, classes])
    found = []
    with np.errstate(divide="ignore"):
        for what, y, p in distributions(rng, classes, dtype):
            z = np.log(p.astype("float64"))
            shifted = z - z[np.isfinite(z)].mean() if kind in ("logits", "two_logits") else z
            found.append((what, *{
                "probs": (y, p), "log_probs": (y, z), "logits": (y, shifted), "log_targets": (np.log(y.astype("float64")), z),
                "two_logits": (np.log(y.astype("float64")) + 2.0, shifted), "labels": (np.minimum(y, 1), shifted), "vectors": (y, z),
                "hits": (y, z),
            }[kind]))  # fmt: skip
    if kind == "labels":
        hits = rng.integers(0, 2, classes)
        found = [("bits", hits, rng.standard_normal(classes) * 10), ("soft", rng.random(classes), rng.standard_normal(classes) * 10)]
    if kind == "hits":
        found = hits_of(rng, classes, dtype)
    if kind == "vectors":
        a, b = rng.standard_normal((2, classes))
        found = [("any", a, b), ("near", a, a * (1 + 1e-3 * b)), ("against", a, -a * (1 + 1e-2 * b)), ("large", a * 1e30, b * 1e-30)]
    if kind in ("logits", "two_logits"):
        y = rng.dirichlet(np.ones(classes))
        hot = (np.arange(classes) == classes - 1).astype(float)
        given = hot if kind == "logits" else 60 * hot
        confident, wrong = rng.standard_normal(classes), rng.standard_normal(classes)
        confident[-1], wrong[0] = 40, 70
        found += [("confident", given, confident), ("confident and wrong", given, wrong)]
        found += [("shifted", y, 1000 + rng.standard_normal(classes))]
    # softmax rounds p before it meets y, so that a difference below an ULP of p is nothing but rounding
    left_out = ("very near",) if kind in ("logits", "two_logits") else ()
    found = [row for row in found if row[0] not in left_out and (classes <= 64 or row[0] in FEW)]
    return [(what, y.astype(dtype), z.astype(dtype)) for what, y, z in found]


@functools.cache
def sample(kind, classes, dtype):
    whats, y, z = zip(*rows_of(kind, classes, dtype), strict=True)
    return whats, np.stack(y), np.stack(z)


def slope(function, y, z, j, given):
    """The derivative by z_j, or None where it has none from both sides."""
    if not mp.isfinite(z[j]):
        return None
    h = mp.ldexp(abs(z[j]) or mpf(1), -STEP)
    if KINDS[function] == "probs" and z[j] == 0:
        return None
    after, before = (VALUES[function](y, [*z[:j], z[j] + step, *z[j + 1 :]], **given) for step in (h, -h))
    if KINDS[function] == "hits" and abs(after + before - 2 * VALUES[function](y, z, **given)) > abs(h) / 2**STEP:
        return None
    return (after - before) / (2 * h) if mp.isfinite(after) and mp.isfinite(before) else None


def off(got, true, size, dtype):
    """Error in ULP of the larger of the true result and the size of what it is a difference of."""
    if not mp.isfinite(true):
        return 0.0 if got == float(true) else math.inf
    info = np.finfo(dtype)
    scale = max(abs(float(true)), float(size), float(info.smallest_normal))
    return abs(float(mpf(float(got)) - true)) / float(np.spacing(np.dtype(dtype).type(scale))) if math.isfinite(got) else math.inf


def errors(name, given, classes, dtype):
    """Yield (part, ULP, what the row is, class, got, true)."""
    loss = getattr(fl, DENSE[name].class_name)(**given)
    whats, y, z = sample(KINDS[name], classes, dtype)
    values, gradients = loss.loss_gradient(y, z)
    rng = np.random.default_rng(classes)
    exact = {key: value if isinstance(value, bool) else mpf(value) for key, value in given.items()}
    with mp.workprec(PREC), np.errstate(over="ignore"):
        for i, what in enumerate(whats):
            a, b = [mpf(x) for x in y[i].tolist()], [mpf(x) for x in z[i].tolist()]
            value_size, sizes = TERMS[name](y[i].astype(float), z[i].astype(float), **given)
            true = VALUES[name](a, b, **exact)
            yield "value", off(values[i], true, value_size, dtype), what, None, values[i], true
            picked = range(classes) if classes <= 3 else {int(np.argmax(y[i])), int(rng.integers(classes))}
            if name == "total_variation_with_logits" and what == "near":  # signs of differences within p's rounding
                continue
            if classes > 60 and what not in FEW or classes > 1000 and what not in ("near", "confident", "any", "soft"):
                continue
            for j in picked:
                true = slope(name, a, b, j, exact)
                if true is not None:
                    yield "gradient", off(gradients[i, j], true, sizes[j], dtype), what, j, gradients[i, j], true


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "given"), CASES, ids=[f"{name}{given or ''}" for name, given in CASES])
def test_error(name, given, dtype):
    for classes in CLASSES:
        for part, size, *place in errors(name, given, classes, dtype):
            assert size <= 4 + math.log2(classes), (part, size, classes, *place)


def test_references_cover_the_registry():
    assert set(VALUES) == set(DENSE)


@pytest.mark.parametrize("name", DENSE)
def test_examples(name):
    definition = DENSE[name]
    assert definition.summary.endswith(".") and definition.formula and definition.source and definition.examples
    for y, z, value, *given in definition.examples:
        loss = getattr(fl, definition.class_name)(**(given[0] if given else {}))
        for dtype, tolerance in (("float64", 4e-16), ("float32", 4e-7)):
            got = loss(np.array([y], dtype), np.array([z], dtype))
            assert got == value or math.isclose(got, value, rel_tol=4 * tolerance, abs_tol=tolerance), (y, z, got, value)


def batch(name, classes, dtype="float64", n=70):
    """(y, z) of n rows, those of the accuracy test by turns, without the infinitely bad."""
    _, y, z = sample(KINDS[name], classes, dtype)
    finite = np.flatnonzero(np.isfinite(fl.get(name).loss(y, z)))
    index = finite[np.arange(n) % len(finite)]
    return y[index], z[index]


@pytest.mark.parametrize("classes", [3, 65])
@pytest.mark.parametrize("name", DENSE)
def test_layouts_dtypes_and_threads_leave_no_trace(name, classes):
    y, z = batch(name, classes)
    loss = fl.get(name)
    value, gradient = loss.loss_gradient(y, z)
    wide = np.zeros((70, 2 * classes))
    wide[:, ::2] = z
    by_column = np.asfortranarray(z)
    for a, b in ((np.asfortranarray(y), by_column), (y, wide[:, ::2]), (y[::-1][::-1], by_column), (y, list(np.ascontiguousarray(z.T)))):
        values, gradients = loss.loss_gradient(a, b)
        assert np.array_equal(values, value)
        assert np.array_equal(gradients if isinstance(gradients, np.ndarray) else np.stack(gradients, 1), gradient)
    assert np.array_equal(loss.loss(y, z), value) and np.array_equal(loss.gradient(y, z), gradient)
    if "hessian" in vars(DENSE[name].body):
        assert loss.loss_gradient_hessian(y, z)[2].shape == z.shape
    costs = {loss(y, z, n_threads=threads) for threads in (1, 2, None)}
    assert len(costs) == 1
    narrow = loss(y.astype("float32"), z.astype("float32"))
    assert math.isclose(narrow, costs.pop(), rel_tol=1e-4)


@pytest.mark.parametrize("name", DENSE)
def test_streams_add_up_to_the_bit(name):
    y, z = batch(name, 10)
    w = np.random.default_rng(1).random(len(y))
    whole = fl.State(name).update(y, z, w)
    first, second = fl.State(name).update(y[33:], z[33:], w[33:]), fl.State(name)
    for start in range(0, 33, 5):
        second.update(y[start : min(start + 5, 33)], z[start : min(start + 5, 33)], w[start : min(start + 5, 33)])
    assert first.merge(second).compute() == whole.compute() == fl.get(name)(y, z, w)
    cost, gradient = fl.get(name).cost_gradient(y, z, w)
    assert cost == whole.compute() and np.allclose(gradient, fl.get(name).gradient(y, z) * w[:, None] / w.sum(), rtol=1e-14, atol=0)


@pytest.mark.parametrize("classes", [3, 70])
@pytest.mark.parametrize("name", DENSE)
def test_nan_comes_out(name, classes):
    y, z = (np.array(array) for array in batch(name, classes, n=6))
    y[1, 1] = z[4, 0] = np.nan
    values, gradients = fl.get(name).loss_gradient(y, z)
    assert np.isnan(values).tolist() == [False, True, False, False, True, False]
    assert np.isnan(gradients[4, 0]) and (np.isnan(gradients[1, 1]) or DENSE[name].body.__name__ == "KlDivergence")
    assert fl.State(name, nan="skip").update(y, z).compute() == fl.get(name)(np.delete(y, (1, 4), 0), np.delete(z, (1, 4), 0))


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind == "logits"])
def test_masked_classes(name):
    """A logit of -inf where the target is 0: as if the class were not there."""
    y, z = np.array([[0.25, 0.0, 0.75], [1.0, 0.0, 0.0]]), np.array([[1.0, -np.inf, 2.0], [3.0, -np.inf, -np.inf]])
    values, gradients = fl.get(name).loss_gradient(y, z)
    without = fl.get(name).loss_gradient(y[:1, ::2], z[:1, ::2])
    assert math.isclose(values[0], without[0][0], rel_tol=1e-15) and values[1] == 0
    assert np.allclose(gradients[0, ::2], without[1][0], rtol=1e-14, atol=1e-17) and gradients[0, 1] == 0 and not gradients[1].any()
    assert np.isnan(fl.get(name).loss(y[:1], np.full((1, 3), -np.inf))).all()


def test_rows_that_do_not_sum_to_one():
    rng = np.random.default_rng(2)
    y, p = rng.random((2, 20, 5)) * 2
    textbook = (y * np.log(y / p)).sum(1)
    assert np.allclose(fl.KlDivergence().loss(y, p), textbook, rtol=1e-13)
    assert np.allclose(fl.KlDivergenceWithLogProbs().loss(y, np.log(p)), textbook, rtol=1e-12)
    assert np.allclose(fl.KlDivergenceWithLogTargets().loss(np.log(y), np.log(p)), textbook, rtol=1e-12)
    assert np.allclose(fl.ReverseKlDivergence().loss(p, y), textbook, rtol=1e-13)
    general = textbook - y.sum(1) + p.sum(1)
    assert np.allclose(fl.GeneralizedKlDivergence().loss(y, p), general, rtol=1e-12) and (general > 0).all()
    q = np.exp(p) / np.exp(p).sum(1, keepdims=True)
    assert np.allclose(fl.KlDivergenceWithLogits().loss(y, p), (y * np.log(y / q)).sum(1) - y.sum(1) + 1, rtol=1e-12)
    entropy = -(y * np.log(q)).sum(1)
    assert np.allclose(fl.SoftLabelCrossEntropy().loss(y, p), entropy, rtol=1e-13)
    assert np.allclose(fl.SoftLabelCrossEntropy().gradient(y, p), y.sum(1, keepdims=True) * q - y, rtol=1e-12)
    assert (fl.JensenShannonDivergence().loss(y, p) >= 0).all() and not fl.JensenShannonDivergence().loss(y, y).any()


def test_hessians_are_derivatives_of_gradients():
    rng = np.random.default_rng(3)
    for name, definition in DENSE.items():
        if "hessian" in vars(definition.body):
            y, z = (rng.dirichlet(np.ones(4), 6) for _ in range(2))
            y = (y > 0.25).astype(float) if definition.target is ZERO_ONE else y
            steps = np.empty_like(z)
            for j in range(4):
                step = np.zeros(4)
                step[j] = 1e-6
                steps[:, j] = (fl.get(name).gradient(y, z + step) - fl.get(name).gradient(y, z - step))[:, j] / 2e-6
            assert np.allclose(fl.get(name).loss_gradient_hessian(y, z)[2], steps, rtol=2e-5, atol=1e-8), name


def test_class_weights_weigh_terms_and_not_rows():
    rng = np.random.default_rng(4)
    z, y, c = rng.standard_normal((9, 4)), rng.dirichlet(np.ones(4), 9), [1.0, 0.0, 2.5, 0.5]
    for make in (fl.SoftLabelCrossEntropy, fl.MultilabelLogistic):
        loss = make(class_weight=c)
        assert math.isclose(loss(y, z), loss.loss(y, z).mean(), rel_tol=1e-15)
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    assert math.isclose(fl.SoftLabelCrossEntropy(class_weight=c)(y, z), -(np.array(c) * y * np.log(p)).sum() / 9, rel_tol=1e-14)


def test_torch_agrees():
    torch = pytest.importorskip("torch")
    f, rng = torch.nn.functional, np.random.default_rng(5)
    z, t, y, c = rng.standard_normal((11, 6)) * 3, rng.standard_normal((11, 6)), rng.dirichlet(np.ones(6), 11), rng.random(6)
    score, soft, weight = (torch.tensor(array) for array in (z, y, c))
    logs, teacher = f.log_softmax(score, 1), f.log_softmax(torch.tensor(t), 1)
    pairs = [
        (fl.SoftLabelCrossEntropy(class_weight=c, label_smoothing=0.1)(y, z), f.cross_entropy(score, soft, weight, label_smoothing=0.1)),
        (fl.KlDivergenceWithLogProbs()(y, logs.numpy()), f.kl_div(logs, soft, reduction="batchmean")),
        (fl.KlDivergenceWithLogits()(y, z), f.kl_div(logs, soft, reduction="batchmean")),
        (fl.KlDivergenceWithLogTargets()(teacher.numpy(), logs.numpy()), f.kl_div(logs, teacher, reduction="batchmean", log_target=True)),
        (fl.Distillation()(t, z), f.kl_div(logs, teacher, reduction="batchmean", log_target=True)),
        (fl.MultilabelLogistic(class_weight=c)(y, z), f.multilabel_soft_margin_loss(score, soft, weight)),
        (fl.CosineDistance()(t, z), (1 - f.cosine_similarity(score, torch.tensor(t))).mean()),
    ]
    for ours, theirs in pairs:
        assert math.isclose(ours, float(theirs), rel_tol=1e-12)


def test_vectors_of_no_direction_and_of_any_length():
    y, z = np.array([[0.0, 0.0], [1.0, 2.0], [1e200, 1e200], [1.0, 1.0]]), np.array([[1.0, 2.0], [0.0, 0.0], [1e-200, 0.0], [1.0, 1.0]])
    value, gradient = fl.CosineDistance().loss_gradient(y, z)
    assert np.allclose(value, [1, 1, 1 - 0.5**0.5, 0], rtol=1e-15, atol=0) and not gradient[[0, 1, 3]].any()


def test_what_is_refused():
    y, z = np.full((3, 4), 0.25), np.zeros((3, 4))
    y[2, 1] = -0.5
    with pytest.raises(fl.InputError, match=r"`y_true` of `soft_label_cross_entropy` must be >= 0, got -0\.5 at index \(2, 1\)"):
        fl.soft_label_cross_entropy(y, z)
    with pytest.raises(fl.InputError, match="y_pred"):
        fl.kl_divergence(z, y)
    with pytest.raises(fl.InputError, match="y_true"):
        fl.multilabel_logistic(z + 1.5, z)
    with pytest.raises(ValueError, match="`y_true` has shape"):
        fl.distillation(z[:2], z)
    with pytest.raises(ValueError, match="`y_true`"):
        fl.kl_divergence_with_logits(np.array([0, 1, 2]), z)
    with pytest.raises(ValueError, match="`class_weight`"):
        fl.SoftLabelCrossEntropy(class_weight=[1.0, 2.0])(z + 0.25, z)
    with pytest.raises(TypeError, match="`class_weight` is not an option"):
        fl.KlDivergence(class_weight=[1.0, 2.0])
    with pytest.raises(ValueError, match="beta"):
        fl.JensenShannonDivergence(beta=1.0)
    with pytest.raises(ValueError, match="temperature"):
        fl.Distillation(temperature=0.0)
