"""Losses as jax functions: what they are, and what their derivatives are, for every transformation of jax.

They are jax.custom_jvp functions: from such rules jax makes both forward and reverse mode; custom_vjp would be for reverse alone. Under
reverse mode loss and gradient come from one pass of ours on the way forward, the gradient is kept, and the way back is a multiplication.
"""

import functools

import jax
import jax.numpy as jnp

import fastloss as fl
from fastloss.adapters.jax import xla

Zero = jax.custom_derivatives.SymbolicZero
RESIDUAL = "residual"  # losses of p - y alone: the derivative by the target is minus that by the prediction
RESIDUALS = {
    "squared_error", "half_squared_error", "absolute_error", "huber", "smooth_l1", "pseudo_huber", "log_cosh", "pinball", "expectile",
    "fair", "lq",
}  # fmt: skip


class Rule:
    """How a loss is differentiated beyond its gradient by the predictions.

    by_target  RESIDUAL, or a function of jax arrays (prediction, target) that gives the loss's derivative by the target; None: an error
    again      the gradient as a function of jax arrays (prediction, target), from which jax makes second derivatives; None: the loss's
               Hessian where it is elementwise, and an error for rows
    names      what errors call the prediction and the target
    """

    def __init__(self, loss, by_target=None, again=None, names=("predictions", "targets")):
        self.loss, self.again, self.names = loss, again, names
        self.rows = isinstance(loss, fl.RowLoss)
        self.by_target = RESIDUAL if by_target is None and loss.name in RESIDUALS else by_target

    def __eq__(self, other):
        return isinstance(other, Rule) and self.key() == other.key()

    def __hash__(self):
        return hash(self.key())

    def key(self):
        return self.loss, self.by_target, self.again, self.names

    def shape(self, prediction):
        """Of the losses."""
        return jax.ShapeDtypeStruct(prediction.shape[:-1] if self.rows else prediction.shape, prediction.dtype)

    def along(self, slope, tangent):
        """The directional derivative, of every loss."""
        return jnp.sum(slope * tangent, axis=-1) if self.rows else slope * tangent

    def refuse(self, what):
        raise NotImplementedError(f"fastloss.jax: `{self.loss.name}` has no {what}")


def _direction(rule, p_dot, y_dot, p, y):
    """(tangent by the prediction, that of the target that is left or None): a residual loss sees the difference of both."""
    y_dot = None if isinstance(y_dot, Zero) or not jnp.issubdtype(y.dtype, jnp.floating) else y_dot
    p_dot = None if isinstance(p_dot, Zero) else p_dot
    if y_dot is not None and rule.by_target is RESIDUAL:
        y_dot = y_dot.astype(p.dtype)
        return -y_dot if p_dot is None else p_dot - y_dot, None
    if y_dot is not None and rule.by_target is None:
        rule.refuse("derivative by its targets here: stop it with jax.lax.stop_gradient(targets)")
    return p_dot, y_dot


def _zeros(like):
    return jnp.zeros(like.shape, like.dtype)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def per_sample(rule, p, y):
    """The loss of every sample or row."""
    return xla.call("loss", rule, [rule.shape(p)], p, y)[0]


@functools.partial(per_sample.defjvp, symbolic_zeros=True)
def _per_sample_jvp(rule, primals, tangents):
    p, y = primals
    p_dot, y_dot = _direction(rule, *tangents, p, y)
    loss, gradient = with_gradient(rule, p, y)
    tangent = _zeros(loss) if p_dot is None else rule.along(gradient, p_dot)
    if y_dot is not None:
        tangent = tangent + rule.along(rule.by_target(p, y), y_dot).astype(loss.dtype)
    return loss, tangent


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def with_gradient(rule, p, y):
    """(loss, gradient) of every sample or row, in one pass."""
    return tuple(xla.call("loss,gradient", rule, [rule.shape(p), p], p, y))


@functools.partial(with_gradient.defjvp, symbolic_zeros=True)
def _with_gradient_jvp(rule, primals, tangents):
    p, y = primals
    p_dot, y_dot = _direction(rule, *tangents, p, y)
    if rule.again is None and rule.rows:
        rule.refuse("second derivatives in jax")
    if rule.again is None:
        loss, gradient, hessian = with_hessian(rule, p, y)
        bend = _zeros(p) if p_dot is None else hessian * p_dot
        if y_dot is not None:  # the gradient's derivative by the target is the target's slope's by the prediction
            bend = bend + jax.jvp(lambda at: rule.by_target(at, y), (p,), (jnp.ones_like(p),))[1] * y_dot
    else:
        loss, gradient = with_gradient(rule, p, y)
        known = [(at, dot) for at, dot in ((p, p_dot), (y, y_dot)) if dot is not None]
        moving = [at is not None for at in (p_dot, y_dot)]

        def gradient_of(*moved):
            moved = iter(moved)
            return rule.again(*[next(moved) if moves else at for at, moves in zip((p, y), moving, strict=True)])

        bend = jax.jvp(gradient_of, *map(tuple, zip(*known, strict=True)))[1].astype(gradient.dtype) if known else _zeros(gradient)
    slope = _zeros(loss) if p_dot is None else rule.along(gradient, p_dot)
    if y_dot is not None:
        slope = slope + rule.along(rule.by_target(p, y), y_dot).astype(loss.dtype)
    return (loss, gradient), (slope, bend)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def with_hessian(rule, p, y):
    """(loss, gradient, Hessian) of every sample, in one pass."""
    return tuple(xla.call("loss,gradient,hessian", rule, [p, p, p], p, y))


@with_hessian.defjvp
def _with_hessian_jvp(rule, primals, tangents):
    rule.refuse("third derivatives")


def _cost_shapes(p):
    """Of the cost and its gradient: half precision is too coarse for a mean over all samples."""
    return [jax.ShapeDtypeStruct((), jnp.promote_types(p.dtype, jnp.float32)), p]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def cost(rule, p, y, *weight):
    """sum(w * loss) / sum(w), exact before its one rounding."""
    return xla.call("cost", rule, _cost_shapes(p)[:1], p, y, *weight)[0]


@functools.partial(cost.defjvp, symbolic_zeros=True)
def _cost_jvp(rule, primals, tangents):
    p, y, *weight = primals
    if any(not isinstance(dot, Zero) and jnp.issubdtype(at.dtype, jnp.floating) for at, dot in zip(weight, tangents[2:], strict=True)):
        rule.refuse("derivative of its cost by sample_weight: stop it with jax.lax.stop_gradient(sample_weight)")
    if rule.by_target is not RESIDUAL:
        rule = Rule(rule.loss, names=rule.names)  # a slope per sample would have to be weighed once more
    p_dot, _ = _direction(rule, *tangents[:2], p, y)
    value, gradient = cost_and_gradient(rule, p, y, *weight)
    return value, _zeros(value) if p_dot is None else jnp.sum((gradient * p_dot).astype(value.dtype))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def cost_and_gradient(rule, p, y, *weight):
    """(cost, its gradient), in one pass."""
    return tuple(xla.call("cost_gradient", rule, _cost_shapes(p), p, y, *weight))


@cost_and_gradient.defjvp
def _cost_and_gradient_jvp(rule, primals, tangents):
    rule.refuse("second derivative of its cost; take the mean of fastloss.jax.from_loss, which has it of elementwise losses")
