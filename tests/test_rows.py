"""Every loss of rows with a label: float32 and float64, few and many classes, within the promised ULP of independent formulas."""

import numpy as np
import pytest

import fastloss as fl
from fastloss.losses import ROW_REGISTRY
from tests.rows import CLASSES, LOSSES, errors, limit_of, variants

PROBED = {2: 10, 3: 10, 10: 5, 33: 3, 64: 3, 65: 3, 100: 3, 1025: 2, 5000: 2}


def worst(name, dtype, classes, definition=None):
    """{part: (error over its limit, error, where)}: the defaults at any number of classes, other parameters at some."""
    found = {}
    for number, loss in enumerate(variants(definition or LOSSES[name], classes)):
        if number and classes not in (3, 65):
            break
        for part, size, *where in errors(loss, dtype, classes, classes <= 100, PROBED[classes]):
            found.setdefault(part, (size, loss.spec, where))
            if size > found[part][0]:
                found[part] = size, loss.spec, where
    return found


@pytest.mark.parametrize("classes", CLASSES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LOSSES)
def test_within_the_promise(name, dtype, classes):
    found = worst(name, dtype, classes)
    assert "value" in found and ("gradient" in found) == hasattr(LOSSES[name].body, "gradient")
    beyond = {part: line for part, line in found.items() if not line[0] <= limit_of(part, classes)}
    assert not beyond


BROKEN = [("softmax_cross_entropy", 0.001), ("sparsemax", 0.001), ("ranked_probability_score", 1e-5), ("multi_margin", 1e-5)]


@pytest.mark.parametrize("name, by", BROKEN)
def test_the_contract_bites(name, by, monkeypatch):
    """A reference that is off by little is refused, in value and gradient."""
    import tests.rows as rows

    right = rows.VALUES[name]
    monkeypatch.setitem(rows.VALUES, name, lambda *given: right(*given) * (1 + by))
    rows.derivatives.cache_clear()
    found = worst(name, "float32", 10)
    rows.derivatives.cache_clear()
    assert found["value"][0] > limit_of("value", 10) and found["gradient"][0] > limit_of("gradient", 10)


class Textbook:
    """Cross-entropy as it is often written: log of softmax, and p - 1 in the label's place."""

    def __init__(self, dtype):
        self.real, self.definition, self.parameters = dtype, LOSSES["softmax_cross_entropy"], fl.SoftmaxCrossEntropy().parameters
        self.class_weight, self.spec = None, "textbook"

    def softmax(self, z):
        e = np.exp(z - z.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    def loss(self, labels, z):
        with np.errstate(divide="ignore"):
            return -np.log(self.softmax(z)[np.arange(len(z)), labels])

    def gradient(self, labels, z):
        return self.softmax(z) - np.eye(z.shape[1], dtype=z.dtype)[labels]

    def gradient_hessian(self, labels, z):
        p = self.softmax(z)
        return None, p * (1 - p)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_textbooks_formulas_are_refused(dtype):
    found = {}
    for part, size, *_ in errors(Textbook(dtype), dtype, 10, True, 10):
        found[part] = max(size, found.get(part, 0.0))
    assert all(found[part] > 1e6 for part in ("value", "gradient", "hessian"))


@pytest.mark.parametrize("definition", LOSSES.values(), ids=list(LOSSES))
def test_examples(definition):
    for label, row, value, *parameters in definition.examples:
        loss = getattr(fl, definition.class_name)(**(parameters[0] if parameters else {}))
        for dtype, eps in (("float64", 2.0**-52), ("float32", 2.0**-23)):
            got = loss(np.array([label]), np.array([row], dtype))
            assert got == value or abs(got - value) <= 4 * eps * abs(value), (definition.name, label, row, got)


@pytest.mark.parametrize("definition", ROW_REGISTRY.values(), ids=list(ROW_REGISTRY))
def test_is_documented_and_reachable(definition):
    assert definition.summary.endswith(".") and definition.formula and definition.source and definition.examples
    cls = getattr(fl, definition.class_name)
    for alias in (definition.name, *definition.aliases):
        assert fl.get(alias) == cls() and callable(getattr(fl, alias))
    assert fl.get(cls().spec) == cls() and eval(repr(cls()), vars(fl) | {definition.class_name: cls}) == cls()
    assert definition.formula in cls.__doc__ and definition.notes in cls.__doc__


def given(name, dtype, n=37, classes=7):
    rng = np.random.default_rng(3)
    z = rng.standard_normal((n, classes))
    z = np.exp(z) / np.exp(z).sum(1, keepdims=True) if LOSSES[name].prediction.high == 1.0 else z
    return rng.integers(classes, size=n), z.astype(dtype)


@pytest.mark.parametrize("classes", [2, 3, 10, 33, 64, 65, 100, 1025])
@pytest.mark.parametrize("name", LOSSES)
def test_layouts_have_the_same_bits(name, classes):
    for dtype in ("float32", "float64"):
        labels, z = given(name, dtype, 35, classes)
        strided, upside_down = np.repeat(np.repeat(z, 2, 0), 3, 1)[::2, ::3], z[::-1].copy()[::-1]
        layouts = [np.asfortranarray(z), strided, upside_down, list(np.ascontiguousarray(z.T))]
        loss = fl.get(name)
        wanted = [loss.loss(labels, z), loss(labels, z)]
        has_gradient = hasattr(LOSSES[name].body, "gradient")
        gradient = loss.gradient(labels, z) if has_gradient else None
        for layout in layouts:
            assert np.array_equal(loss.loss(labels.astype("i1" if classes < 100 else ">i4"), layout), wanted[0])
            assert loss(labels, layout) == wanted[1]
            if has_gradient:
                found = loss.gradient(labels, layout)
                assert found.shape == z.shape and np.array_equal(found, gradient)
                both = loss.loss_gradient(labels, layout)
                assert np.array_equal(both[0], wanted[0]) and np.array_equal(both[1], gradient)


@pytest.mark.parametrize("classes", [3, 70])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LOSSES)
def test_nan_propagates(name, dtype, classes):
    """A NaN anywhere in a row comes out of its loss and gradient, and of no other row's; where only the label's number matters, of that."""
    labels, z = given(name, dtype, 40, classes)
    loss = fl.get(name)
    clean = loss.loss(labels, z)
    for at in (0, 17, 39):
        for j in range(classes) if classes < 10 else (0, 1, 31, 69):
            row = z.copy()
            row[at, j] = np.nan
            seen = j == labels[at] or name not in ("negative_log_likelihood", "multiclass_log_loss")
            value = loss.loss(labels, row)
            assert np.isnan(value[at]) == seen and np.array_equal(np.delete(value, at), np.delete(clean, at)), (at, j)
            if hasattr(LOSSES[name].body, "gradient"):
                gradient = loss.gradient(labels, row)
                assert np.isnan(gradient[at, j]) == seen and not np.isnan(np.delete(gradient, at, 0)).any()


@pytest.mark.parametrize("classes", [3, 70])
def test_masked_classes_have_no_probability(classes):
    """A logit of -inf is a class that is not there: the rest of the row is as without it."""
    rng = np.random.default_rng(5)
    z = rng.standard_normal((20, classes))
    labels = rng.integers(1, classes, 20)
    z[:, 0] = -np.inf
    for name in ("softmax_cross_entropy", "categorical_focal", "generalized_cross_entropy", "poly1_cross_entropy", "softmax_brier",
                 "one_vs_all_logistic", "crammer_singer", "multiclass_perceptron", "sparsemax", "multi_margin"):  # fmt: skip
        loss = fl.get(name)
        (value, gradient), (without, slope) = loss.loss_gradient(labels, z), loss.loss_gradient(labels - 1, z[:, 1:])
        scale = (classes - 1) / classes if name == "multi_margin" else 1.0
        np.testing.assert_allclose(value, without * scale, rtol=1e-14)
        np.testing.assert_allclose(gradient[:, 1:], slope * scale, rtol=1e-13, atol=1e-16)
        assert (gradient[:, 0] == 0).all()
    nothing = np.full((3, classes), -np.inf)
    for name in ("softmax_cross_entropy", "categorical_focal", "generalized_cross_entropy", "poly1_cross_entropy", "softmax_brier",
                 "sparsemax"):  # fmt: skip
        assert np.isnan(fl.get(name).loss(labels[:3], nothing)).all() and np.isnan(fl.get(name).gradient(labels[:3], nothing)).all()
    z[:, 1] = 0.5
    assert fl.softmax_cross_entropy(np.zeros(20, int), z) == np.inf
    assert (fl.GeneralizedCrossEntropy(q=0.5).loss(np.zeros(20, int), z) == 2.0).all()


@pytest.mark.parametrize("name, label, row, gradient", [
    ("multiclass_log_loss", 0, (0.0, 1.0), (-np.inf, 0.0)), ("multiclass_log_loss:clip=keras", 0, (0.0, 1.0), (0.0, 0.0)),
    ("multiclass_log_loss:normalize=true", 0, (0.5, 0.0), (0.0, 2.0)), ("multiclass_brier", 0, (1.0, 0.0), (0.0, 0.0)),
    ("crammer_singer", 0, (1.0, 0.0), (0.0, 0.0)), ("crammer_singer", 0, (0.5, 0.0, 0.0), (-1.0, 1.0, 0.0)),
    ("categorical_hinge", 0, (-1.0, -2.0), (-1.0, 0.0)), ("multiclass_perceptron", 1, (2.0, 2.0), (0.0, 0.0)),
    ("multiclass_perceptron", 2, (2.0, 2.0, 1.0), (1.0, 0.0, -1.0)), ("multi_margin", 0, (1.0, 0.0), (0.0, 0.0)),
    ("sparsemax", 0, (1.0, 0.0), (0.0, 0.0)), ("sparsemax", 1, (5.0, 0.0), (1.0, -1.0)), ("softmax_brier", 0, (2000.0, 0.0), (0.0, 0.0)),
    ("categorical_focal", 1, (2000.0, 0.0), (1.0, -1.0)), ("categorical_focal:gamma=0", 0, (2000.0, 0.0), (0.0, 0.0)),
])  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_conventions_at_kinks_and_ends(name, label, row, gradient, dtype):
    got = fl.get(name).gradient(np.array([label]), np.array([row], dtype))[0]
    np.testing.assert_allclose(got, gradient, rtol=2 * np.finfo(dtype).eps, atol=0)


def test_ties_of_ranks_are_those_of_sklearn_and_numpy():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    z = rng.integers(0, 4, (400, 6)).astype(float)
    labels = rng.integers(0, 6, 400)
    for k in (1, 2, 3, 5):
        accuracy = metrics.top_k_accuracy_score(labels, z, k=k, labels=range(6))
        assert fl.top_k_error(labels, z, k=k) == pytest.approx(1 - accuracy, abs=1e-15)
    assert fl.multiclass_error(labels, z) == np.mean(np.argmax(z, 1) != labels)
