"""Softmax cross-entropy beside its rivals: candidates for a table over the number of classes, checked before they are timed.

Rivals are written as their users have them: tensors over the arrays, buffers and compilation beforehand. The yardsticks are the bare
read of the logits, and the read of them with the write of as much.
"""

import importlib
import importlib.util
from functools import partial

import numpy as np

import fastloss as fl
from fastloss.measuring import roofline
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


RIVALS = ("torch", "jax", "sklearn")


def compare(output, classes, logits, dtype="float32", names=RIVALS, seconds=3.0):
    """The Comparison of ours, rivals and yardsticks for one number of classes; ``n`` is that of logits."""
    t, z = data(logits, classes, dtype)
    candidates, absent = {"fastloss": ours(output, t, z)}, {}
    result = candidates["fastloss"]()
    for name in names:
        if importlib.util.find_spec(name) is None:
            absent[name] = "not installed"
            continue
        try:
            call = importlib.import_module(f"fastloss.measuring.rivals.with_{name}_rows").prepare(output, t, z)
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
    found = Comparison(LOSS, output, dtype, z.size, side_by_side(candidates, seconds=seconds), absent)
    found.classes = classes
    return found


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
