"""Rows for any rowwise loss, and how far two backends may be apart on them: what test_rows_backends.py compares."""

import numpy as np

from fastloss.losses import ROW_REGISTRY
from fastloss.losses.rowspec import LABELS
from fastloss.losses.spec import Either, Integers
from tests.row_references import KINDS, TERMS
from tests.test_rows_dense import rows_of

OUTPUTS = ("value", "gradient", "hessian")
ULP = 8
# Of two backends, each within 4 + log2(C) of the truth. A power magnifies what 1 - p was rounded by; slopes of rounded probabilities are
# summed; squares of them are subtracted
MORE_ULP = {"categorical_focal": 12, "jensen_shannon_divergence_with_logits": 12, "softmax_brier": 12}


def changed(definition):
    """All parameters at other than their default values."""
    found = {}
    for name, parameter in definition.parameters.items():
        low, high = parameter.domain.low, parameter.domain.high
        words = [word for word in parameter.names if word != parameter.default]
        if isinstance(parameter.domain, Either | Integers):
            options = parameter.domain.values if isinstance(parameter.domain, Either) else (low + 1, low + 2)
            found[name] = next(value for value in options if value != parameter.default)
        else:
            found[name] = words[0] if low > high else low + 0.3 * (high - low) if np.isfinite(high - low) else max(low, 0.0) + 0.7
    return found


def rows_in(interval, shape, rng):
    """Rows of numbers in an interval: of size 1, some with one number far above the others, some far from zero."""
    low, high = interval.low, interval.high
    if np.isfinite(high - low):
        return low + (high - low) * rng.uniform(0.01, 0.99, shape)
    rows = 3 * rng.standard_normal(shape) if not np.isfinite(low) else low + rng.exponential(1.0, shape)
    for i in range(shape[0]):
        if i % 7 in (1, 2):
            rows[i, rng.integers(shape[1])] += 30 * (i % 7)
        if i % 7 in (3, 4):
            rows[i] = rows[i] + 1e4 if i % 7 == 3 else 1e3 * rows[i]
        if i % 7 == 5 and not np.isfinite(low):
            rows[i] -= 500
    return rows


def data(name, dtype, classes, n=67):
    """(labels or targets, scores) of n rows."""
    definition = ROW_REGISTRY[name]
    if definition.target is not LABELS:
        rows, seed = [], 0
        while len(rows) < n:
            rows += rows_of(KINDS[name], classes, np.dtype(dtype).name, seed)
            seed += 1
        _, y, z = zip(*rows[:n], strict=True)
        return np.stack(y), np.stack(z)
    rng = np.random.default_rng(classes)
    z = rows_in(definition.prediction, (n, classes), rng).astype(dtype)
    y = rng.integers(0, classes, n)
    for i in range(0, n, 6):  # confident and right
        z[i, y[i]] += dtype(25 if definition.prediction.high == np.inf else 0)
    return y, z


# ---- what derivatives of losses of labels are differences of ---------------------------------------------------------------------


def shares(y, z):
    """(softmax, 1 - that, the label's of both, is it the label's class), never as 1 - p"""
    e = np.exp(z - z.max(1, keepdims=True))
    total, own = e.sum(1, keepdims=True), np.arange(z.shape[1]) == y[:, None]
    at_top = e == 1
    others = np.where(at_top, np.where(at_top, 0, e).sum(1, keepdims=True) + (at_top.sum(1, keepdims=True) - 1), total - e) / total
    p = e / total
    return p, others, p[own][:, None], others[own][:, None], own


def of_cross_entropy(y, z, temperature=1.0, softcap=None, label_smoothing=0.0, z_loss=0.0):
    if softcap is None and label_smoothing == z_loss == 0:
        return 0 * z, 0 * z
    u = z / temperature if softcap is None else np.where(z == -np.inf, z, softcap * np.tanh(z / temperature / softcap))
    p, others, _, _, own = shares(y, u)
    squared = 2 * z_loss * (1 + np.abs(u.max(1, keepdims=True)) + np.log(z.shape[1]))
    slope = (1 + squared) * p + np.where(own, others, 0) + label_smoothing / z.shape[1]
    return slope / temperature, (p * (1 + squared) + (0 if softcap is None else 2 * slope / softcap)) / temperature**2


def of_brier(y, z, scale_by_half=False):
    p, _, mine, rest, own = shares(y, z)
    bracket = (1 if scale_by_half else 2) * p * (p + np.where(own, 0, p * p).sum(1, keepdims=True) + mine * rest)
    return bracket, 3 * bracket + (1 if scale_by_half else 2) * p * p


def of_ranks(y, z, normalize=False):
    whole = 2 * np.abs(z.cumsum(1) - (np.arange(z.shape[1]) >= y[:, None])).sum(1, keepdims=True)
    return whole / (z.shape[1] - 1 if normalize else 1) + 0 * z, 0 * z


def of_focal(y, z, gamma=2.0):
    p, others, mine, rest, own = shares(y, z)
    with np.errstate(all="ignore"):
        cost = np.where(mine > 0, mine * -np.where(mine < 0.5, np.log(mine), np.log1p(-rest)), 0)
        ratio = np.where(rest > 0, cost / rest, 1)
        bend = np.where(rest > 0, p / rest, 0) * gamma * (cost + (2 + (gamma - 1) * ratio) * mine)
    at_label = rest * (mine * (1 + 2 * gamma + gamma * gamma * ratio) + gamma * cost)
    return 0 * z, rest**gamma * np.where(own, at_label, p * (others * (1 + gamma * ratio) + bend))


def of_generalized(y, z, q=0.7):
    p, others, mine, rest, own = shares(y, z)
    return 0 * z, mine**q * np.where(own, rest * (mine + q * rest), p * (others + q * p))


def of_poly(y, z, epsilon=2.0):
    p, others, mine, rest, own = shares(y, z)
    slope = 1 + epsilon * mine
    return 0 * z, np.where(own, mine * rest * (slope + epsilon * rest), p * (others * slope + epsilon * mine * p))


OF_LABELS = {
    "softmax_cross_entropy": of_cross_entropy, "softmax_brier": of_brier,
    "ranked_probability_score": of_ranks, "categorical_focal": of_focal,
    "generalized_cross_entropy": of_generalized, "poly1_cross_entropy": of_poly,
}  # fmt: skip


def sizes(name, y, z, settings):
    """{part: what the results' terms are as large as, or 0}"""
    y, z = (array.astype(np.float64) if array.dtype.kind == "f" else np.maximum(array, 0) for array in (y, z))
    value, gradient, hessian = np.zeros(len(z)), np.zeros(z.shape), np.zeros(z.shape)
    given = {key: number for key, number in settings.items() if key in ROW_REGISTRY[name].parameters}
    with np.errstate(all="ignore"):
        if name in TERMS:
            found = [TERMS[name](a, b, **given) for a, b in zip(y, z, strict=True)]
            value, gradient = (np.array(part, float) for part in zip(*found, strict=True))
            if name == "reverse_kl_divergence_with_log_probs":
                hessian = gradient
        elif name == "log_sum_exp":  # near 0 the largest score and what the others add cancel
            value = np.abs(z.max(1))
        elif name in OF_LABELS:
            gradient, hessian = OF_LABELS[name](y, z, **given)
    most = max(settings.get("class_weight", (1.0,)))
    return {"value": most * value, "gradient": most * gradient, "hessian": most * hessian}


def apart(mine, theirs, ulp, size=0.0):
    """Where two results differ by more than so many ULP, of themselves or of the size of what they are differences of."""
    mine, theirs = np.asarray(mine), np.asarray(theirs)
    with np.errstate(invalid="ignore", over="ignore"):
        scale = np.maximum(np.fmin(np.abs(mine), np.abs(theirs)), np.finfo(mine.dtype).smallest_normal)
        scale = np.fmax(scale, np.asarray(size).astype(mine.dtype))
        near = np.abs(mine.astype(np.float64) - theirs) <= ulp * np.spacing(scale)
        return ~((mine == theirs) | (np.isnan(mine) & np.isnan(theirs)) | (near & np.isfinite(mine) & np.isfinite(theirs)))


def disagreements(name, ours, theirs, y, z, settings=()):
    """Yield (part, ours, theirs, rows) where results of a loss's outputs are apart."""
    size = sizes(name, y, z, dict(settings))
    ulp = max(MORE_ULP.get(name, ULP), 4 + np.log2(z.shape[1]))
    for part, mine, other in zip(OUTPUTS, ours, theirs, strict=False):
        assert mine.dtype == other.dtype and mine.shape == other.shape
        wrong = apart(mine, other, ulp, size[part])
        if wrong.any():
            rows = np.flatnonzero(wrong.reshape(len(z), -1).any(1))[:2]
            yield part, mine[wrong][:3], other[wrong][:3], y[rows], z[rows]
