"""Any loss as a function of TensorFlow's tensors, through tf.custom_gradient.

The loss and its gradient come from one pass of ours on the way forward; the way back multiplies. Eagerly we read the tensors' own memory,
and what we write becomes tensors as it is; in a graph tf.numpy_function brings us in, which XLA cannot compile.
"""

import math

import numpy as np
import tensorflow as tf
from tensorflow.python.ops import control_flow_util

import fastloss as fl
from fastloss.engine.memory import empty

RESIDUALS = {
    "squared_error", "half_squared_error", "absolute_error", "huber", "smooth_l1", "pseudo_huber", "log_cosh", "pinball", "expectile",
    "fair", "lq",
}  # fmt: skip


def _room(shape, dtype):
    """An empty array at an address that TensorFlow takes for a tensor's: NumPy's own are 16 bytes off, and would be copied."""
    size = math.prod(shape) * dtype.itemsize
    memory = empty(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


def _tensor(array):
    if array.size < 4096 or array.dtype.kind == "V":  # bfloat16, which NumPy cannot hand over
        return tf.convert_to_tensor(array)
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def _run(function, arrays, outputs):
    """The tensors of function(*NumPy arrays), a list of arrays of the (dtype, shape) that `outputs` says."""
    if tf.executing_eagerly():
        return [_tensor(one) for one in function(*[np.asarray(one) for one in arrays])]
    if control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()):
        raise NotImplementedError(
            "fastloss cannot be compiled by XLA inside TensorFlow: use tf.function(jit_compile=False), "
            "or of a Keras model compile(jit_compile=False)"
        )
    function = tf.autograph.experimental.do_not_convert(function)
    found = tf.numpy_function(function, arrays, [dtype for dtype, _ in outputs], stateful=False)
    for one, (_, shape) in zip(found, outputs, strict=True):
        one.set_shape(shape)
    return found


def _refuse(loss, what):
    def backward(*upstream):
        raise NotImplementedError(f"fastloss.tensorflow: `{loss.name}` has no {what}")

    return backward


def _fixed(loss, values, p, backward):
    """The values, as a function of p whose derivative `backward` computes when it is asked for."""

    @tf.custom_gradient
    def function(p):
        return tf.identity(values), backward

    return function(p)


def per_sample(loss, y_true, y_pred):
    """The losses of tensors of one shape; of rows, y_pred (..., C), y_true labels (...) or (..., C)."""
    rows = isinstance(loss, fl.RowLoss)

    def both(p, y):
        values, gradient = _room(p.shape[: p.ndim - rows], p.dtype), _room(p.shape, p.dtype)
        if rows and p.ndim == 1:
            loss.loss_gradient(y[None], p[None], loss_out=values[None], gradient_out=gradient[None])
        elif p.size:
            loss.loss_gradient(y, p, loss_out=values, gradient_out=gradient)
        return [values, gradient]

    def bend(p, y):
        hessian = _room(p.shape, p.dtype)
        loss.gradient_hessian(y, p, hessian_out=hessian)
        return [hessian]

    @tf.custom_gradient
    def function(p, y):
        values, gradient = _run(both, [p, y], [(p.dtype, p.shape[:-1] if rows else p.shape), (p.dtype, p.shape)])

        def second(upstream):
            (hessian,) = _run(bend, [p, y], [(p.dtype, p.shape)])
            return upstream * _fixed(loss, hessian, p, _refuse(loss, "third derivatives"))

        def backward(upstream):
            slope = _fixed(loss, gradient, p, _refuse(loss, "second derivatives in TensorFlow") if rows else second)
            by_p = (upstream[..., None] if rows else upstream) * slope
            return by_p, -by_p if loss.name in RESIDUALS and y.dtype.is_floating else None

        return values, backward

    return function(y_pred, y_true)


def _cost(loss, y_true, y_pred, *weight):
    dtype = tf.float32 if y_pred.dtype.size < 4 else y_pred.dtype

    def both(p, y, *w):
        gradient = _room(p.shape, p.dtype)
        cost, _ = loss.cost_gradient(y, p, *w, gradient_out=gradient)
        return [np.asarray(cost, dtype.as_numpy_dtype), gradient]

    @tf.custom_gradient
    def function(p, y, *w):
        cost, gradient = _run(both, [p, y, *w], [(dtype, ()), (p.dtype, p.shape)])

        def backward(upstream):
            slope = _fixed(loss, gradient, p, _refuse(loss, "second derivative of its cost; from_loss has it of elementwise losses"))
            by_p = tf.cast(upstream, p.dtype) * slope
            return by_p, -by_p if loss.name in RESIDUALS and y.dtype.is_floating else None, *[None for _ in w]

        return cost, backward

    return function(y_pred, y_true, *weight)


def _loss(loss, each):
    loss = fl.get(loss)
    if loss.definition.base or each and loss.definition.terms:
        raise TypeError(f"`{loss.name}` is no mean of losses: it has not a {'loss' if each else 'gradient'} of each sample")
    return loss


def _tensors(loss, y_true, y_pred):
    p = tf.convert_to_tensor(y_pred)
    if not p.dtype.is_floating:
        raise TypeError(f"`y_pred` must be of a floating dtype, got {p.dtype.name}")
    y = tf.convert_to_tensor(y_true)
    y = tf.cast(y, p.dtype) if y.dtype.is_floating else y
    shape = p.shape[:-1] if isinstance(loss, fl.RowLoss) and loss.labels else p.shape
    if not y.shape.is_compatible_with(shape):
        raise ValueError(f"`y_true` of `{loss.name}` must have the shape {shape} for `y_pred` of {p.shape}, got {y.shape}")
    return y, p


def from_loss(loss):
    """A function (y_true, y_pred, sample_weight=None) that gives the loss of every sample, of any loss that has one.

    loss  a configured loss, fl.TweedieLoss(power=1.5), or its text, "tweedie:power=1.5"

    Tensors are of one shape; of rows, y_pred (..., C) has labels (...) or targets (..., C). The result has the dtype of y_pred. It has
    gradients by y_pred (twice, of elementwise losses), by y_true of losses of p - y (else None, as TensorFlow has it), and by the weights.

    >>> import fastloss.tensorflow, tensorflow as tf
    >>> z = tf.Variable([0.0, 0.0])
    >>> with tf.GradientTape() as tape:
    ...     loss = tf.reduce_mean(fastloss.tensorflow.from_loss("tweedie:power=1.5")([1.0, 0.0], z))
    >>> tape.gradient(loss, z).numpy().tolist()
    [0.0, 0.5]
    """
    loss = _loss(loss, True)

    def function(y_true, y_pred, sample_weight=None):
        values = per_sample(loss, *_tensors(loss, y_true, y_pred))
        return values if sample_weight is None else values * tf.cast(sample_weight, values.dtype)

    return function


def cost(loss):
    """A function (y_true, y_pred, sample_weight=None) that gives the cost, sum(w * loss) / sum(w), a scalar of y_pred's dtype (float32 for
    half precision). Value and gradient come from one pass, which writes the gradient and nothing per sample besides. Gradients as from_loss
    has, once, and none by the weights.

    >>> import fastloss.tensorflow, tensorflow as tf
    >>> float(fastloss.tensorflow.cost("mse")([0.0, 0.0], [1.0, 3.0]))
    5.0
    """
    loss = _loss(loss, False)

    def function(y_true, y_pred, sample_weight=None):
        weight = () if sample_weight is None else (tf.convert_to_tensor(sample_weight),)
        return _cost(loss, *_tensors(loss, y_true, y_pred), *weight)

    return function
