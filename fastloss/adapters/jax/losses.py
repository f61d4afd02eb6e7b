"""optax.losses' functions, and any loss as a function of jax arrays."""

import functools
import math

import jax
import jax.numpy as jnp

import fastloss as fl
from fastloss.adapters.jax import rules

# Derivatives by the targets (prediction first), and gradients as jax functions, from which second derivatives come: see rules.Rule


def _hinge_slope(z, y):
    return jnp.where(1 - y * z > 0, -z, 0)


def _perceptron_slope(z, y):
    return jnp.where(y * z < 0, -z, 0)


def _logit_slope(z, y):
    return -z + jnp.zeros_like(y)


def _minus_log_softmax(z, y):
    return jnp.where((z == -jnp.inf) & (y == 0), 0, -jax.nn.log_softmax(z))  # a class that is left out


def _label_gradient(z, y):
    return jax.nn.softmax(z) - jax.nn.one_hot(y, z.shape[-1], dtype=z.dtype)


def _distribution_gradient(z, y):
    return jax.nn.softmax(z) * jnp.sum(y, axis=-1, keepdims=True) - y


def _log(y):
    return jnp.where(y == 0, 0, jnp.log(jnp.where(y == 0, 1, y)))


def _kl_slope(z, y):
    return _log(y) + 1 - z


def _kl_gradient(z, y):
    return -y + jnp.zeros_like(z)


def _generalized_slope(z, y):
    return jnp.where((z == -jnp.inf) & (y == 0), 0, _log(y) - z)


def _generalized_gradient(z, y):
    return jnp.exp(z) - y


def _log_target_slope(z, y):
    return jnp.where(y == -jnp.inf, 0, jnp.exp(y) * (y - z + 1))


def _log_target_gradient(z, y):
    return -jnp.exp(y) + jnp.zeros_like(z)


def _cosine_slope(z, y):
    return rules.with_gradient(RULES["cosine"], jnp.broadcast_to(y, z.shape), z)[1]


LOGITS, SCORES, OUTPUTS = ("logits", "labels"), ("scores", "labels"), ("predictor_outputs", "targets")
LOGS, BOTH_LOGS = ("log_predictions", "targets"), ("log_predictions", "log_targets")
CROSS_ENTROPY = rules.Rule(fl.SoftmaxCrossEntropy(), again=_label_gradient, names=LOGITS)
SOFT_LABELS = rules.Rule(fl.SoftLabelCrossEntropy(), _minus_log_softmax, _distribution_gradient, LOGITS)
RULES = {
    "squared": rules.Rule(fl.SquaredError()),
    "half": rules.Rule(fl.HalfSquaredError()),
    "log_cosh": rules.Rule(fl.LogCosh()),
    "cosine": rules.Rule(fl.CosineDistance(), _cosine_slope),
    "logistic": rules.Rule(fl.Logistic(), _logit_slope, names=LOGITS),
    "hinge": rules.Rule(fl.Hinge(), _hinge_slope, names=OUTPUTS),
    "perceptron": rules.Rule(fl.Perceptron(), _perceptron_slope, names=OUTPUTS),
    "multiclass_hinge": rules.Rule(fl.CrammerSinger(), names=SCORES),
    "multiclass_perceptron": rules.Rule(fl.MulticlassPerceptron(), names=SCORES),
    "sparsemax": rules.Rule(fl.Sparsemax(), names=SCORES),
    "kl": rules.Rule(fl.KlDivergenceWithLogProbs(), _kl_slope, _kl_gradient, LOGS),
    "kl_log": rules.Rule(fl.KlDivergenceWithLogTargets(), _log_target_slope, _log_target_gradient, BOTH_LOGS),
    "generalized_kl": rules.Rule(fl.GeneralizedKlDivergenceWithLogProbs(), _generalized_slope, _generalized_gradient, LOGS),
}


def floating(array, name):
    """A jax array, if it is one of a floating dtype."""
    array = jnp.asarray(array)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(f"`{name}` must be of a floating dtype, got {array.dtype}")
    return array


def _number(value, name):
    """A parameter: it is fixed when a function is traced."""
    try:
        return float(value)
    except jax.errors.ConcretizationTypeError as error:
        raise TypeError(f"`{name}` must be a number that is known when the function is traced (a static argument), got {value}") from error


def _alike(p, y, equal=None):
    """Of one dtype, and rank, where y may have axes of length 1: the handler goes along them without a copy."""
    if equal and p.shape != y.shape:
        raise ValueError(f"`{equal[0]}` and `{equal[1]}` must have the same shape, got {p.shape} and {y.shape}")
    shape = jnp.broadcast_shapes(p.shape, y.shape)
    if jnp.issubdtype(y.dtype, jnp.floating):
        dtype = jnp.result_type(p, y)
        p, y = p.astype(dtype), y.astype(dtype)
    return jnp.broadcast_to(p, shape), jnp.reshape(y, (1,) * (len(shape) - y.ndim) + y.shape)


def _regression(rule, predictions, targets, equal=False):
    p = floating(predictions, "predictions")
    y = jnp.zeros((), p.dtype) if targets is None else jnp.asarray(targets)
    return rules.per_sample(rule, *_alike(p, y, equal and targets is not None and ("predictions", "targets")))


def _signs(p, y):
    """Targets of hinges: a bool would be taken as a sign, and is a number in optax."""
    y = jnp.asarray(y)
    return p, y.astype(p.dtype) if y.dtype == bool else y


def _flat(axis, array):
    """The array with the axes (an int, several, None: all) as its last one."""
    if axis == -1:
        return array
    axes = range(array.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if any(not -array.ndim <= one < array.ndim for one in axes):
        raise ValueError(f"`axis` must be axes of an array of {array.ndim} dimensions, got {axis}")
    axes = [one % array.ndim for one in axes]
    kept = [one for one in range(array.ndim) if one not in axes]
    array = jnp.transpose(array, (*kept, *axes))
    return array.reshape(*array.shape[: len(kept)], math.prod(array.shape[len(kept) :]))


def _masked(where, axis, p, shape):
    """`where` as predictions that are laid out flat: (mask, which rows have any)."""
    if where.ndim != p.ndim:
        where = jnp.expand_dims(where, axis)
    where = _flat(axis, jnp.broadcast_to(where, shape))
    return where, jnp.any(where, axis=-1)


def _distributions(rule, p, y, axis, where, hidden):
    """A loss of rows with a target per class. hidden: (prediction, target) of what `where` leaves out: they add 0."""
    p, y = floating(p, rule.names[0]), jnp.asarray(y)
    shape = jnp.broadcast_shapes(p.shape, y.shape)
    p, y = _alike(p, y)
    y = jnp.broadcast_to(y, (*y.shape[:-1], *shape[-1:]))  # whole rows: they are summed
    if axis != -1 or where is not None:
        mask = None if where is None else _masked(where, axis, p, shape)
        p, y = _flat(axis, p), _flat(axis, jnp.broadcast_to(y, shape))
        if mask:  # a row without anything: one that the loss has a number for
            p = jnp.where(mask[0], p, jnp.where(mask[1], hidden[0], 0)[..., None])
            y = jnp.where(mask[0], y, jnp.asarray(hidden[1], y.dtype))
            return jnp.where(mask[1], rules.per_sample(rule, p, y), 0)
    return rules.per_sample(rule, p, y)


def _labels(rule, scores, labels):
    names = rule.names
    scores, labels = floating(scores, names[0]), jnp.asarray(labels)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"`{names[1]}` must be of an integer dtype, got {labels.dtype}")
    if labels.shape != scores.shape[:-1]:
        raise ValueError(f"`{names[1]}` must have the shape {scores.shape[:-1]}, as `{names[0]}` without classes, got {labels.shape}")
    return rules.per_sample(rule, scores, labels)


def squared_error(predictions, targets=None):
    """(predictions - targets)**2, as optax.losses.squared_error: of one shape; no targets are zeros."""
    return _regression(RULES["squared"], predictions, targets, equal=True)


def l2_loss(predictions, targets=None):
    """Half the squared error, as optax.losses.l2_loss."""
    return _regression(RULES["half"], predictions, targets, equal=True)


@functools.cache
def _huber(delta):
    return rules.Rule(fl.Huber(delta=delta))


def huber_loss(predictions, targets=None, *, delta=1.0):
    """As optax.losses.huber_loss; delta > 0 is a number, fixed when traced."""
    return _regression(_huber(_number(delta, "delta")), predictions, targets)


def log_cosh(predictions, targets=None):
    """log(cosh(predictions - targets)), as optax.losses.log_cosh, also where that rounds small errors away."""
    return _regression(RULES["log_cosh"], predictions, targets)


def cosine_distance(predictions, targets, *, epsilon=0.0, axis=-1, where=None):
    """1 - cosine of rows, as optax.losses.cosine_distance; epsilon must be 0. No second derivatives."""
    if _number(epsilon, "epsilon") != 0:
        raise ValueError(f"`epsilon` must be 0, got {epsilon}")
    floating(targets, "targets")
    return _distributions(RULES["cosine"], predictions, targets, axis, where, (0, 0))


def sigmoid_binary_cross_entropy(logits, labels):
    """As optax.losses.sigmoid_binary_cross_entropy, of labels in [0, 1]; a confident right prediction keeps its loss and gradient."""
    z, y = floating(logits, "logits"), jnp.asarray(labels)
    return rules.per_sample(RULES["logistic"], *_alike(z, y.astype(z.dtype) if jnp.issubdtype(y.dtype, jnp.floating) else y))


def sigmoid_focal_loss(logits, labels, *, alpha=None, gamma=2.0):
    """As optax.losses.sigmoid_focal_loss, of labels 0 and 1; alpha in (0, 1) and gamma >= 0 are numbers, fixed when traced."""
    z, y = floating(logits, "logits"), jnp.asarray(labels)
    y = y.astype(z.dtype) if jnp.issubdtype(y.dtype, jnp.floating) else y
    rule = _focal(None if alpha is None else _number(alpha, "alpha"), _number(gamma, "gamma"))
    return rules.per_sample(rule, *_alike(z, y))


@functools.cache
def _focal(alpha, gamma):
    return rules.Rule(fl.Focal(alpha=alpha, gamma=gamma), names=LOGITS)


def hinge_loss(predictor_outputs, targets):
    """max(0, 1 - predictor_outputs * targets), as optax.losses.hinge_loss, of targets -1 and 1; at 0 the gradient is 0 (optax: half)."""
    return rules.per_sample(RULES["hinge"], *_alike(*_signs(floating(predictor_outputs, "predictor_outputs"), targets)))


def perceptron_loss(predictor_outputs, targets):
    """max(0, -predictor_outputs * targets), as optax.losses.perceptron_loss, of targets -1 and 1; at 0 the gradient is 0 (optax: half)."""
    p, y = _signs(floating(predictor_outputs, "predictor_outputs"), targets)
    return rules.per_sample(RULES["perceptron"], *_alike(p, y, ("predictor_outputs", "targets")))


def softmax_cross_entropy(logits, labels, axis=-1, where=None):
    """As optax.losses.softmax_cross_entropy, of labels >= 0; a class of logit -inf and label 0 adds 0 (optax: NaN)."""
    return _distributions(SOFT_LABELS, logits, labels, axis, where, (-jnp.inf, 0))


def safe_softmax_cross_entropy(logits, labels):
    """The same as softmax_cross_entropy, which is safe here, too."""
    return softmax_cross_entropy(logits, labels)


def softmax_cross_entropy_with_integer_labels(logits, labels, axis=-1, where=None):
    """As optax.losses.softmax_cross_entropy_with_integer_labels. A label that is no class is an error; where a label's own class is left
    out by `where` the loss is infinite."""
    if axis is None:
        raise ValueError("`axis` must be an int or a tuple of ints, got None")
    z, y, mask = floating(logits, "logits"), jnp.asarray(labels), None
    if where is not None:
        mask = _masked(where, axis, z, z.shape)
    z = _flat(axis, z)
    if mask:
        z = jnp.where(mask[0], z, jnp.where(mask[1], -jnp.inf, 0)[..., None].astype(z.dtype))
    loss = _labels(CROSS_ENTROPY, z, y)
    return jnp.where(mask[1], loss, 0) if mask else loss


def multiclass_hinge_loss(scores, labels):
    """As optax.losses.multiclass_hinge_loss. No second derivatives."""
    return _labels(RULES["multiclass_hinge"], scores, labels)


def multiclass_perceptron_loss(scores, labels):
    """As optax.losses.multiclass_perceptron_loss. No second derivatives."""
    return _labels(RULES["multiclass_perceptron"], scores, labels)


def multiclass_sparsemax_loss(scores, labels):
    """As optax.losses.multiclass_sparsemax_loss. No second derivatives."""
    return _labels(RULES["sparsemax"], scores, labels)


def kl_divergence(log_predictions, targets, axis=-1, where=None):
    """As optax.losses.kl_divergence: sum targets (log targets - log_predictions), of targets >= 0."""
    floating(targets, "targets")
    return _distributions(RULES["kl"], log_predictions, targets, axis, where, (0, 0))


def kl_divergence_with_log_targets(log_predictions, log_targets, axis=-1, where=None):
    """As optax.losses.kl_divergence_with_log_targets."""
    floating(log_targets, "log_targets")
    return _distributions(RULES["kl_log"], log_predictions, log_targets, axis, where, (0, -jnp.inf))


def generalized_kl_divergence(log_predictions, targets, axis=-1, where=None):
    """As optax.losses.generalized_kl_divergence: of rows that need not sum to 1, of targets >= 0."""
    floating(targets, "targets")
    return _distributions(RULES["generalized_kl"], log_predictions, targets, axis, where, (-jnp.inf, 0))
