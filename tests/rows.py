"""Measures the errors of losses of rows with a label, in ULP, against tests/row_references_labels.py."""

import functools

import numpy as np
from mpmath import mp, mpf

import fastloss as fl
from fastloss.losses import ROW_REGISTRY
from fastloss.losses.rowspec import LABELS
from tests.accuracy import error, numbers, ulp
from tests.row_references_labels import KNOWN, TERMS, VALUES

LOSSES = {name: definition for name, definition in ROW_REGISTRY.items() if definition.target is LABELS and not definition.base}
CLASSES = (2, 3, 10, 33, 64, 65, 100, 1025, 5000)
STEP = 80  # derivatives step 2**-STEP times the scores' size
SMOOTH = {
    "softmax_cross_entropy", "log_sum_exp", "one_vs_all_logistic", "categorical_focal", "generalized_cross_entropy",
    "poly1_cross_entropy", "softmax_brier",
}  # fmt: skip
# Values of parameters besides the defaults, exact in float32
VARIANTS = {
    "softmax_cross_entropy": [
        {"label_smoothing": 0.125}, {"z_loss": 0.25}, {"temperature": 2.0}, {"class_weight": True},
        {"softcap": 8.0, "label_smoothing": 0.125, "class_weight": True},
    ],
    "log_sum_exp": [{"temperature": 2.0}, {"temperature": 0.5}],
    "negative_log_likelihood": [{"class_weight": True}],
    "one_vs_all_logistic": [{"average": True}],
    "categorical_focal": [{"gamma": 0.0}, {"gamma": 0.5}, {"gamma": 1.0}, {"class_weight": True}],
    "generalized_cross_entropy": [{"q": 1.0}, {"q": 0.125}],
    "poly1_cross_entropy": [{"epsilon": -1.0}, {"epsilon": 0.5}],
    "softmax_brier": [{"scale_by_half": True}],
    "multi_margin": [{"p": 2}, {"margin": 0.25, "class_weight": True}, {"p": 2, "margin": 3.0}],
    "crammer_singer": [{"margin": 0.25}, {"margin": 0.0}],
    "multiclass_log_loss": [
        {"clip": 0.125}, {"clip": "sklearn"}, {"clip": 2.0**-20, "normalize": True}, {"normalize": True}, {"class_weight": True},
    ],
    "multiclass_brier": [{"scale_by_half": True}],
    "ranked_probability_score": [{"normalize": True}],
    "top_k_error": [{"k": 1}, {"k": 2}],
}  # fmt: skip


def weights_of(classes):
    """Class weights, a zero among them."""
    return [(0.5, 2.0, 0.0, 1.25)[j % 4] for j in range(classes)]


def variants(definition, classes):
    """The loss with its defaults and with other parameters."""
    for parameters in [{}, *VARIANTS.get(definition.name, [])]:
        given = {**parameters, "class_weight": weights_of(classes)} if "class_weight" in parameters else parameters
        yield getattr(fl, definition.class_name)(**given)


def scores(classes, dtype, rng, many):
    """Rows of scores and labels: gaps of all sizes, right and wrong, ties, masked classes, large numbers."""
    rows = [(int(rng.integers(classes)), scale * rng.standard_normal(classes)) for scale in ((0.01, 1.0, 4.0, 30.0) if many else ())]
    for gap in (1e-3, 1.0, 17.0, 90.0, 400.0, 1e4) if many else (10.0,):
        for right in (True, False):
            z = rng.standard_normal(classes) * min(1.0, gap / 4)
            top = int(rng.integers(classes))
            z[top] = z.max() + gap
            rows.append((top if right else (top + 1) % classes, z))
    if many:
        ties = np.round(2 * rng.standard_normal(classes)) / 2
        rows += [(int(np.argmax(ties)), ties), (classes - 1, np.zeros(classes)), (0, np.full(classes, -1e5) + np.arange(classes) % 3)]
        masked = rng.standard_normal(classes)
        masked[1::3] = -np.inf
        rows += [(0, masked), (0, 1e30 * rng.standard_normal(classes))]
        close = rng.uniform(-0.9, 0, classes)
        close[0], close[-1] = 0.3, 0.3 - 1 + 1e-6
        rows += [(0, close), (classes - 1, close), (0, close + 1000.0)]
    return rows


def probabilities(classes, dtype, rng, many):
    rows = []
    for label, z in scores(classes, dtype, rng, many):
        e = np.exp(np.maximum(z - z.max(), -80.0))
        rows.append((label, (e / e.sum()).astype(dtype)))
    if many:
        sure = np.zeros(classes)
        sure[0] = 1.0
        some = rng.uniform(0, 1, classes)
        nearly = np.where(np.arange(classes) == 0, 1 - 1e-7, 1e-30)
        rows += [(0, sure), (1, sure), (0, some), (classes - 1, np.full(classes, 1.0)), (1, nearly)]
    return rows


@functools.cache
def rows_of(bounded, classes, dtype, many):
    """(labels, rows) in the dtype; long rows are the same numbers for both."""
    rng = np.random.default_rng(classes)
    made = (probabilities if bounded else scores)(classes, dtype if many else "float32", rng, many)
    return np.array([label for label, _ in made]), np.array([row for _, row in made]).astype("float32" if not many else dtype).astype(dtype)


def probed(label, row, gradient, rng, limit):
    """Classes whose derivatives are looked at: the label, the largest, the smallest of those that have one, and some at random."""
    if len(row) <= limit:
        return list(range(len(row)))
    some = [label, int(np.argmax(row)), int(np.argmin(np.where(gradient == 0, np.inf, np.abs(gradient)))), *rng.integers(len(row), size=2)]
    return list(dict.fromkeys(map(int, some)))[:limit]


@functools.cache
def derivatives(name, label, row, weights, parameters, classes, high):
    """(value, {class: (left, right, second derivative)}) of the reference at a row of floats."""
    KNOWN.clear()
    function, z = VALUES[name], [mpf(x) for x in row]
    finite = [abs(x) for x in row if abs(x) < np.inf]
    spread = max(*finite, max(row) - min(x for x in row if x > -np.inf))
    bits = int(120 + min(2 * spread / 0.69, 1100)) + 3 * STEP if name in SMOOTH else 600
    with mp.workprec(bits):
        c = None if weights is None else [mpf(x) for x in weights]
        here, found = function(label, z, c, *parameters), {}
        here = mpf(0) if abs(here) < mp.ldexp(1, 40 - bits) else here  # all but cancelled
        size = mp.ldexp(mpf(1), int(np.frexp(max(finite + [1e-9]))[1])) if name not in SMOOTH else mpf(1)
        for j in classes:
            if not mp.isfinite(z[j]) or not mp.isfinite(here):
                found[j] = None
                continue
            h = mp.ldexp(size, -STEP)
            before, after = (function(label, [*z[:j], z[j] + step, *z[j + 1 :]], c, *parameters) for step in (-h, h))
            if high is not None and (row[j] == 0.0 or not mp.isfinite(before)):
                found[j] = None  # an end of the domain: tests of their own
                continue
            second = (after - 2 * here + before) / h**2
            second = mpf(0) if abs(second) < max(abs(here), 1) * mp.ldexp(1, 20 - bits) / h**2 else second  # noise
            if name not in SMOOTH:  # the second derivative may jump here
                beyond = (function(label, [*z[:j], z[j] + step, *z[j + 1 :]], c, *parameters) for step in (-2 * h, 2 * h))
                sides = [(here - 2 * one + two) / h**2 for one, two in zip((before, after), beyond, strict=True)]
                second = None if abs(sides[0] - sides[1]) > mp.ldexp(abs(sides[0]) + abs(sides[1]), -40) else second
            found[j] = (here - before) / h, (after - here) / h, second
    return here, found


def errors(loss, dtype, classes, many, limit):
    """Yield (part, error in ULP, label, row, class or None, got, true) over all rows."""
    name, bounded = loss.definition.name, loss.definition.prediction.high == 1.0
    labels, rows = rows_of(bounded, classes, dtype, many)
    body, rng = loss.definition.body, np.random.default_rng(1)
    outputs = [loss.loss(labels, rows)]
    outputs += [loss.gradient(labels, rows)] if hasattr(body, "gradient") else []
    outputs += [loss.gradient_hessian(labels, rows)[1]] if hasattr(body, "hessian") else []
    parameters = tuple(numbers(loss, dtype))
    weights = loss.class_weight
    terms = TERMS.get(name, {})
    for i, label in enumerate(labels.tolist()):
        row = rows[i]
        places = probed(label, row, outputs[1][i], rng, limit) if len(outputs) > 1 else []
        value, found = derivatives(name, label, tuple(row.tolist()), weights, parameters, tuple(places), 1.0 if bounded else None)
        size = error(float(outputs[0][i]), value, dtype, least_of("value", terms, (label, row, weights, None, parameters)))
        yield "value", size, label, row, None, outputs[0][i], value
        for j, slopes in found.items():
            if slopes is None:
                continue
            for part, got in zip(("gradient", "hessian"), (float(output[i, j]) for output in outputs[1:]), strict=False):
                yield part, *judged(name, part, got, slopes, dtype, terms, (label, row, weights, j, parameters)), label, row, j, got


def least_of(part, terms, where):
    """What a part's error is measured against where the part itself is smaller."""
    if part not in terms:
        return mpf(0)
    label, row, weights, j, parameters = where
    with mp.workprec(100):
        return abs(terms[part](label, [mpf(x) for x in row.tolist()], weights and [mpf(x) for x in weights], j, *parameters))


def judged(name, part, got, slopes, dtype, terms, where):
    """(error in ULP, true): at a kink, a subgradient is right."""
    left, right, second = slopes
    least = least_of(part, terms, where)
    low, high = min(left, right), max(left, right)
    kink = high - low > mp.ldexp(abs(low) + abs(high), -STEP // 2) and name not in SMOOTH
    if part == "gradient":
        true = (low if got < low else high if got > high else mpf(got)) if kink else (low + high) / 2
        return error(got, true, dtype, least), true
    tiny = second is not None and 0 < abs(second) < 8 * np.finfo(dtype).smallest_normal  # no promise about subnormal Hessians
    return (0.0 if kink or tiny or second is None else error(got, second, dtype, least)), second


def limit_of(part, classes):
    return (8 if part == "hessian" else 4) + float(np.log2(classes))


__all__ = ["CLASSES", "LOSSES", "errors", "limit_of", "rows_of", "ulp", "variants", "weights_of"]
