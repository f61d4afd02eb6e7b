"""Any loss of ours as a function of jax arrays."""

import jax.numpy as jnp

import fastloss as fl
from fastloss.adapters.jax import losses, rules


def _rule(loss, per_sample):
    """That of a loss, or of its spec."""
    loss = fl.get(loss)
    if loss.definition.base or per_sample and loss.definition.terms:
        what = "a loss of each sample" if per_sample else "a gradient of each sample"
        raise TypeError(f"`{loss.name}` is no mean of losses: it has not {what}")
    for known in (losses.CROSS_ENTROPY, losses.SOFT_LABELS, *losses.RULES.values()):
        if known.loss == loss:
            return known
    return rules.Rule(loss)


def _arrays(rule, predictions, targets):
    p, y = losses.floating(predictions, "predictions"), jnp.asarray(targets)
    shape = p.shape[:-1] if rule.rows and rule.loss.labels else p.shape
    if y.shape != shape:
        raise ValueError(f"`targets` of `{rule.loss.name}` must have the shape {shape} for predictions of {p.shape}, got {y.shape}")
    if jnp.issubdtype(y.dtype, jnp.floating):
        dtype = jnp.result_type(p, y)
        p, y = p.astype(dtype), y.astype(dtype)
    return p, y


def from_loss(loss):
    """A function (predictions, targets, sample_weight=None) that gives the loss of every sample, of any loss that has one.

    loss  a configured loss, fl.TweedieLoss(power=1.5), or its text, "tweedie:power=1.5"

    Arrays are of one shape; of rows, predictions (..., C) have labels (...) or targets (..., C). The result has the dtype of predictions
    and targets together. It is differentiated by the predictions twice where the loss is elementwise, once where it is of rows; by the
    targets where it is a loss of the difference, or of those that optax has; by the weights always. TypeError for costs that are no means.

    >>> import fastloss.jax, jax, jax.numpy as jnp
    >>> tweedie = fastloss.jax.from_loss("tweedie:power=1.5")
    >>> jax.grad(lambda z: tweedie(z, jnp.array([1.0, 0.0])).mean())(jnp.zeros(2)).tolist()
    [0.0, 0.5]
    """
    rule = _rule(loss, True)

    def per_sample(predictions, targets, sample_weight=None):
        found = rules.per_sample(rule, *_arrays(rule, predictions, targets))
        if sample_weight is None:
            return found
        weight = jnp.asarray(sample_weight)
        if weight.shape not in ((), found.shape):
            raise ValueError(f"`sample_weight` must have the shape {found.shape}, got {weight.shape}")
        return found * weight.astype(found.dtype)

    return per_sample


def cost(loss):
    """A function (predictions, targets, sample_weight=None) that gives the cost, sum(w * loss) / sum(w), a scalar of predictions' dtype
    (float32 for half precision), correctly rounded before it is put in that. Value and gradient come from one pass of ours, which writes
    the gradient and nothing per sample besides. It is differentiated once, by the predictions, and by the targets of losses of p - y.

    >>> import fastloss.jax, jax, jax.numpy as jnp
    >>> value, gradient = jax.value_and_grad(fastloss.jax.cost("mse"))(jnp.array([1.0, 3.0]), jnp.zeros(2))
    >>> float(value), gradient.tolist()
    (5.0, [1.0, 3.0])
    """
    rule = _rule(loss, False)

    def of_all(predictions, targets, sample_weight=None):
        p, y = _arrays(rule, predictions, targets)
        weight = () if sample_weight is None else (jnp.asarray(sample_weight),)
        shape = p.shape[:-1] if rule.rows else p.shape
        if weight and weight[0].shape != shape:
            raise ValueError(f"`sample_weight` must have the shape {shape}, got {weight[0].shape}")
        return rules.cost(rule, p, y, *weight)

    return of_all
