"""fastloss in the shape of its rivals: prepare(...) -> function of no arguments."""

from functools import partial

import numpy as np

from benchmarks.cases import configured


def cost(name, y, p):
    return partial(configured(name), y, p)


def weighted_cost(name, y, p, w):
    return partial(configured(name), y, p, w)


def cost_gradient(name, y, p):
    return partial(configured(name).cost_gradient, y, p, gradient_out=np.empty_like(p))


def outputs(name, method, y, p):
    """A per-sample method ("loss", "gradient_hessian" ...) into buffers made beforehand."""
    buffers = {f"{part}_out": np.empty_like(p) for part in method.split("_")}
    return partial(getattr(configured(name), method), y, p, **buffers)


PREPARE = {"cost": cost, "cost_gradient": cost_gradient}
