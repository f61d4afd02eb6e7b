"""Softmax cross-entropy beside its rivals: candidates for a table over the number of classes, checked before they are timed.

Rivals are written as their users have them: tensors over the arrays, buffers and compilation beforehand. The yardsticks are the bare
read of the logits, and the read of them with the write of as much.
"""

import importlib.util
from functools import partial

import numpy as np

import fastloss as fl
from fastloss.measuring import environment, roofline
from fastloss.measuring.cases import named
from fastloss.measuring.compare import Comparison
from fastloss.measuring.timing import side_by_side

CLASSES = (2, 3, 10, 100, 1_000, 32_000, 128_000)
LOSS = "softmax_cross_entropy"
RTOL = {"float32": 2e-4, "float64": 1e-9, "bfloat16": 2.0**-4, "float16": 2.0**-7}


def data(logits, classes, dtype="float32", seed=0):
    """(labels, scores): so many logits in all, of standard deviation 3, in rows of so many classes."""
    rng = np.random.default_rng(seed)
    n = max(1, logits // classes)
    scores = rng.standard_normal((n, classes), dtype=np.float64 if dtype == "float64" else np.float32)
    scores *= scores.dtype.type(3.0)
    return rng.integers(0, classes, n), scores.astype(named(dtype), copy=False)


def ours(output, t, z):
    loss = fl.SoftmaxCrossEntropy()
    if output == "cost":
        return partial(loss, t, z)
    return partial(loss.cost_gradient, t, z, gradient_out=np.empty_like(z))


def torch(output, t, z):
    import torch
    from torch.nn.functional import cross_entropy

    from fastloss.measuring.rivals.with_torch import array, tensor

    torch.set_num_threads(environment.threads())
    labels, scores = torch.from_numpy(t), tensor(z)

    def cost():
        with torch.inference_mode():
            return cross_entropy(scores, labels).item()

    if output == "cost":
        return cost
    scores.requires_grad_()

    def both():
        mean = cross_entropy(scores, labels)
        (gradient,) = torch.autograd.grad(mean, scores)
        return mean.item(), array(gradient, z)

    return both


def jax(output, t, z):
    import jax
    import jax.numpy as jnp

    from fastloss.measuring.rivals import with_jax  # noqa: F401 - settles its configuration

    def mean(scores, labels):
        own = jnp.take_along_axis(scores, labels[:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(scores, axis=1) - own)

    scores, labels = jax.device_put(z), jax.device_put(t)
    if output == "cost":
        call = jax.jit(mean)
        return lambda: call(scores, labels).block_until_ready().item()
    call = jax.jit(jax.value_and_grad(mean))

    def both():
        value, gradient = jax.block_until_ready(call(scores, labels))
        return value.item(), np.asarray(gradient)

    return both


def sklearn(output, t, z):
    """scikit-learn's private multinomial loss, with its threads and buffers."""
    from sklearn._loss import HalfMultinomialLoss

    loss = HalfMultinomialLoss(n_classes=z.shape[1])
    labels, losses, threads = t.astype(z.dtype), np.empty(len(t), z.dtype), environment.threads()
    if output == "cost":
        return lambda: loss.loss(labels, z, loss_out=losses, n_threads=threads).mean()
    gradient = np.empty_like(z)

    def both():
        loss.loss_gradient(labels, z, loss_out=losses, gradient_out=gradient, n_threads=threads)
        return losses.mean(), gradient

    return both


RIVALS = {"torch": torch, "jax": jax, "sklearn": sklearn}


def compare(output, classes, logits, dtype="float32", names=tuple(RIVALS), seconds=3.0):
    """The Comparison of ours, rivals and yardsticks for one number of classes; ``n`` is that of logits."""
    t, z = data(logits, classes, dtype)
    candidates, absent = {"fastloss": ours(output, t, z)}, {}
    result = candidates["fastloss"]()
    for name in names:
        if importlib.util.find_spec(name) is None:
            absent[name] = "not installed"
            continue
        try:
            call = RIVALS[name](output, t, z)
            _check(name, call(), result, 1.0 / len(t) if name == "sklearn" else 1.0, dtype)
            candidates[name] = call
        except (TypeError, ValueError, NotImplementedError) as error:
            absent[name] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
    if roofline.installed():
        flat = z.reshape(-1)[: z.size // 2 * 2]
        halves = [flat[: flat.size // 2], flat[flat.size // 2 :]]
        if output == "cost":
            candidates |= roofline.read(halves)
        else:
            made = np.empty_like(flat)
            candidates |= roofline.read_write(halves, [made[: flat.size // 2], made[flat.size // 2 :]])
    timings = side_by_side(candidates, seconds=seconds)
    return Comparison(f"{LOSS} of {classes} classes", output, dtype, z.size, timings, absent)


def _check(name, theirs, result, scale, dtype):
    """AssertionError unless a rival's result is ours."""
    cost, our_cost = (theirs, result) if isinstance(result, float) else (theirs[0], result[0])
    if not abs(float(cost) - our_cost) <= RTOL[dtype] * abs(our_cost):
        raise AssertionError(f"{name} gives {float(cost)!r}, ours is {our_cost!r}")
    if not isinstance(result, float):
        step = max(1, result[1].shape[0] // 64)  # of large arrays some rows: a difference would need as much memory again
        gap = np.abs(theirs[1][::step].astype(np.float64) * scale - result[1][::step].astype(np.float64)).max()
        if not gap <= RTOL[dtype] * np.abs(result[1][::step].astype(np.float64)).max():
            raise AssertionError(f"the gradient of {name} is {gap!r} away from ours")
