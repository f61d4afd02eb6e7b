"""Losses of rows beside their rivals (softmax cross-entropy has some), checked before they are timed: for `fastloss bench`, and for a table
over the number of classes.

Rivals are written as their users have them: tensors over the arrays, buffers and compilation beforehand. The yardsticks are the bare
read of the inputs, and the read of them with the write of what is written.
"""

import importlib
from functools import partial

import numpy as np

from fastloss.losses import find
from fastloss.losses.rowspec import LABELS
from fastloss.losses.spec import REAL
from fastloss.measuring import rivals, roofline, verify
from fastloss.measuring.cases import configured, named
from fastloss.measuring.compare import Comparison
from fastloss.measuring.timing import side_by_side

CLASSES = (2, 3, 10, 100, 1_000, 32_000, 128_000)
LOSS = "softmax_cross_entropy"
RTOL = {"float32": 2e-4, "float64": 1e-9, "bfloat16": 2.0**-4, "float16": 2.0**-7}
RIVALS = ("torch", "jax", "sklearn")  # that have LOSS: its cost, and that with the gradient
BLOCK = 1 << 24  # probabilities that are made at a time


def data(logits, classes, dtype="float32", seed=0):
    """(labels, scores) of softmax cross-entropy: so many logits in all, in rows of so many classes."""
    return data_of(LOSS, max(1, logits // classes), classes, dtype, seed)


def data_of(loss, n, classes, dtype="float32", seed=0):
    """(labels or rows of targets, scores) in a loss's domains: real numbers of standard deviation 3, or probabilities."""
    definition, rng = find(loss), np.random.default_rng(seed)
    targets = None if definition.target is LABELS else _rows(rng, definition.target, n, classes, dtype)
    scores = _rows(rng, definition.prediction, n, classes, dtype)
    return rng.integers(0, classes, n) if targets is None else targets, scores


def _rows(rng, domain, n, classes, dtype):
    wide = np.dtype(np.float64 if dtype == "float64" else np.float32)
    if domain is REAL:
        rows = rng.standard_normal((n, classes), dtype=wide)
        rows *= wide.type(3.0)
    else:
        rows = rng.standard_exponential((n, classes), dtype=wide)
        for start in range(0, n, max(1, BLOCK // classes)):
            part = rows[start : start + max(1, BLOCK // classes)]
            part /= part.sum(axis=1, keepdims=True)
    return rows.astype(named(dtype), copy=False)


def ours(output, t, z, loss=LOSS):
    """The cost, or outputs into buffers made beforehand."""
    if output == "cost":
        return partial(configured(loss), t, z)
    shapes = {"loss": z.shape[:1], "gradient": z.shape, "hessian": z.shape}
    buffers = {f"{part}_out": np.empty(shapes[part], z.dtype) for part in output.split("_") if part != "cost"}
    return partial(getattr(configured(loss), output), t, z, **buffers)


def compare(output, classes, logits, dtype="float32", names=RIVALS, seconds=3.0):
    """The Comparison of softmax cross-entropy for one number of classes, whose ``n`` is that of logits; a rival that is wrong is an
    error."""
    found = comparison(LOSS, output, dtype, max(1, logits // classes), classes, names, seconds, strict=True)
    found.n *= classes
    return found


def comparison(loss, output, dtype, n, classes, names=None, seconds=2.0, strict=False):
    """The Comparison of one loss of n rows of so many classes. Arguments are those of compare.compare."""
    t, z = data_of(loss, n, classes, dtype)
    candidates, absent = {"fastloss": ours(output, t, z, loss)}, {}
    result = candidates["fastloss"]()
    for name in rivals.MODULES if names is None else names:
        why = rivals.missing([name]).get(name)
        if why is None and (name not in RIVALS or loss != LOSS or output not in ("cost", "cost_gradient")):
            why = f"has no {output} of {loss} here"
        if why is None:
            try:
                call = importlib.import_module(f"fastloss.measuring.rivals.with_{name}_rows").prepare(output, t, z)
                _check(name, call(), result, 1.0 / len(t) if name == "sklearn" else 1.0, dtype)
                candidates[name] = call
            except Exception as error:
                if strict and not isinstance(error, TypeError | ValueError | NotImplementedError):  # which say that it takes no such dtype
                    raise
                why = rivals.reason(error)
        if why is not None:
            absent[name] = why
    verify.check_threads()
    if roofline.installed():
        candidates |= yardsticks(output, t, z)
    return Comparison(loss, output, dtype, n, side_by_side(candidates, seconds=seconds), absent, classes)


def yardsticks(output, t, z):
    """Bare reads of the scores (and targets, if they are rows), and writes of as many numbers as outputs have; {} where these are more than
    the yardstick can write: gradient and Hessian beside a label."""
    parts = [part for part in output.split("_") if part in ("gradient", "hessian")]
    flat = z.reshape(-1)
    if t.ndim == 2:
        inputs, outputs = [t.reshape(-1), flat], [np.empty_like(flat) for _ in parts]
    else:  # two arrays are read, and there is one: its halves
        half = flat.size // 2
        inputs = [flat[:half], flat[half : 2 * half]]
        outputs = [np.empty_like(inputs[0]) for _ in range(2 * len(parts))]
    if not parts:
        return roofline.read(inputs)
    return roofline.read_write(inputs, outputs) if len(outputs) <= 3 else {}


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
