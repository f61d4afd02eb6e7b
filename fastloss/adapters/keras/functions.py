"""Keras' loss functions: (y_true, y_pred, ...) -> a loss per row of the last axis, as keras.losses has them.

The losses of single numbers are ours; means over the last axis, casts and clips are Keras' own operations.
"""

import functools
import importlib

import keras
from keras import ops
from keras.src.backend import set_keras_mask  # what Keras' own loss with ignore_class uses; the public face has nothing for it

import fastloss as fl

BACKENDS = {
    "jax": "fastloss.adapters.keras.with_jax", "tensorflow": "fastloss.adapters.tensorflow.general",
    "torch": "fastloss.adapters.keras.with_torch",
}  # fmt: skip


@functools.cache
def _module(backend):
    if backend not in BACKENDS:
        raise NotImplementedError(f"fastloss.keras has Keras' backends {', '.join(BACKENDS)}, not {backend!r}")
    return importlib.import_module(BACKENDS[backend])


def per_sample(loss, y_true, y_pred):
    """Our losses of tensors of the backend that is set."""
    return _module(keras.backend.backend()).per_sample(loss, y_true, y_pred)


def _pair(y_true, y_pred):
    """Tensors of one dtype and shape: as in Keras a last axis of length 1 may be missing on one side."""
    p = ops.convert_to_tensor(y_pred)
    y = ops.cast(ops.convert_to_tensor(y_true), p.dtype)
    if len(y.shape) == len(p.shape) + 1 and y.shape[-1] == 1:
        p, y = (ops.expand_dims(p, -1), y) if len(p.shape) == 1 else (p, ops.squeeze(y, -1))
    elif len(p.shape) == len(y.shape) + 1 and p.shape[-1] == 1:
        p, y = (p, ops.expand_dims(y, -1)) if len(y.shape) == 1 else (ops.squeeze(p, -1), y)
    unlike = any(a is not None and b is not None and a != b for a, b in zip(p.shape, y.shape, strict=False))
    if unlike or len(p.shape) != len(y.shape):
        p, y = p + ops.zeros_like(y), y + ops.zeros_like(p)
    return y, p


def _mean(loss, y_true, y_pred, axis=-1):
    return ops.mean(per_sample(loss, y_true, y_pred), axis=axis)


def mean_of(loss, y_true, y_pred):
    """The means over the last axis of any elementwise loss."""
    return _mean(loss, *_pair(y_true, y_pred))


def mean_squared_error(y_true, y_pred):
    """As keras.losses.mean_squared_error."""
    return _mean(fl.SquaredError(), *_pair(y_true, y_pred))


def mean_absolute_error(y_true, y_pred):
    """As keras.losses.mean_absolute_error."""
    return _mean(fl.AbsoluteError(), *_pair(y_true, y_pred))


def mean_absolute_percentage_error(y_true, y_pred):
    """As keras.losses.mean_absolute_percentage_error: in percent, with targets of at least Keras' epsilon."""
    return _mean(fl.AbsolutePercentageError(floor=keras.config.epsilon(), percent=True), *_pair(y_true, y_pred))


def mean_squared_logarithmic_error(y_true, y_pred):
    """As keras.losses.mean_squared_logarithmic_error: of values of at least Keras' epsilon."""
    y, p = _pair(y_true, y_pred)
    epsilon = ops.cast(keras.config.epsilon(), p.dtype)
    return _mean(fl.SquaredLogError(), ops.maximum(y, epsilon), ops.maximum(p, epsilon))


@functools.cache
def _made(name, **parameters):
    return getattr(fl, name)(**parameters)


def huber(y_true, y_pred, delta=1.0):
    """As keras.losses.huber."""
    return _mean(_made("Huber", delta=float(delta)), *_pair(y_true, y_pred))


def log_cosh(y_true, y_pred):
    """As keras.losses.log_cosh, also where that rounds small errors away."""
    return _mean(fl.LogCosh(), *_pair(y_true, y_pred))


def _signs(y_true, y_pred):
    """Targets 0 and 1, if there is nothing else, are -1 and 1."""
    y, p = _pair(y_true, y_pred)
    return ops.where(ops.all(ops.logical_or(y == 0, y == 1)), 2 * y - 1, y), p


def hinge(y_true, y_pred):
    """As keras.losses.hinge, of targets -1 and 1, or 0 and 1."""
    return _mean(fl.Hinge(), *_signs(y_true, y_pred))


def squared_hinge(y_true, y_pred):
    """As keras.losses.squared_hinge, of targets -1 and 1, or 0 and 1."""
    return _mean(fl.SquaredHinge(), *_signs(y_true, y_pred))


def kl_divergence(y_true, y_pred):
    """As keras.losses.kl_divergence: of probabilities, kept within Keras' epsilon and 1."""
    y, p = _pair(y_true, y_pred)
    epsilon = keras.config.epsilon()
    return per_sample(fl.KlDivergence(), ops.clip(y, epsilon, 1), ops.clip(p, epsilon, 1))


def binary_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    """As keras.losses.binary_crossentropy: of probabilities, clipped at Keras' epsilon, or of logits; targets in [0, 1]. A probability near
    1 keeps its digits: target 0 and probability 1 cost -log(1e-7) = 16.12, where Keras' rounding of 1 - p in float32 makes it 15.94."""
    y, p = _pair(y_true, y_pred)
    if from_logits:
        return _mean(_made("Logistic", label_smoothing=float(label_smoothing)), y, p, axis)
    y = y * (1.0 - label_smoothing) + 0.5 * label_smoothing if label_smoothing else y
    return _mean(_made("LogLoss", clip=keras.config.epsilon()), y, p, axis)


def binary_focal_crossentropy(
    y_true, y_pred, apply_class_balancing=False, alpha=0.25, gamma=2.0, from_logits=False, label_smoothing=0.0, axis=-1
):
    """As keras.losses.binary_focal_crossentropy, of targets 0 and 1 and without label_smoothing. Probabilities are clipped at Keras'
    epsilon, here also in the factor (1 - p)**gamma."""
    if label_smoothing:
        raise ValueError(f"`label_smoothing` must be 0: fastloss has focal losses of targets 0 and 1 alone, got {label_smoothing}")
    y, p = _pair(y_true, y_pred)
    parameters = {"gamma": float(gamma), "alpha": float(alpha) if apply_class_balancing else None}
    if from_logits:
        return _mean(_made("Focal", **parameters), y, p, axis)
    epsilon = keras.config.epsilon()
    return _mean(_made("FocalProbability", **parameters), y, ops.clip(p, epsilon, 1.0 - epsilon), axis)


def _last(axis, p):
    """The scores with their classes as the last axis."""
    if isinstance(axis, bool) or not isinstance(axis, int) or not -len(p.shape) <= axis < len(p.shape):
        raise ValueError(f"`axis` must be an axis of `y_pred`, which has {len(p.shape)}, got {axis!r}")
    return p if axis % len(p.shape) == len(p.shape) - 1 else ops.moveaxis(p, axis, -1)


def categorical_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    """As keras.losses.categorical_crossentropy: of probabilities, kept within Keras' epsilon and divided by their sum, or of logits.
    label_smoothing is spread over the classes of `axis`, where Keras divides it by the length of the last axis."""
    y, p = _pair(y_true, y_pred)
    y, p = _last(axis, y), _last(axis, p)
    if not from_logits:  # the softmax of logarithms is what they are divided by their sum
        epsilon = keras.config.epsilon()
        p = ops.log(ops.clip(p / ops.sum(p, axis=-1, keepdims=True), epsilon, 1.0 - epsilon))
    return per_sample(_made("SoftLabelCrossEntropy", label_smoothing=float(label_smoothing)), y, p)


def sparse_categorical_crossentropy(y_true, y_pred, from_logits=False, ignore_class=None, axis=-1):
    """As keras.losses.sparse_categorical_crossentropy: labels 0 to C - 1 and probabilities, clipped at Keras' epsilon and divided by their
    sum, or logits. Labels of `ignore_class` cost 0; a label that is no class is an error."""
    p, y = ops.convert_to_tensor(y_pred), ops.convert_to_tensor(y_true)
    y = ops.squeeze(y, axis=axis) if len(y.shape) == len(p.shape) and y.shape[axis] == 1 else y
    y, p = ops.cast(y, "int32"), _last(axis, p)
    options = {} if ignore_class is None else {"ignore_index": int(ignore_class)}
    if from_logits:
        loss = per_sample(_made("SoftmaxCrossEntropy", **options), y, p)
    else:
        loss = per_sample(_made("MulticlassLogLoss", clip=keras.config.epsilon(), normalize=True, **options), y, p)
    if ignore_class is not None:  # a mean does not count them
        set_keras_mask(loss, mask=ops.not_equal(y, int(ignore_class)))
    return loss
