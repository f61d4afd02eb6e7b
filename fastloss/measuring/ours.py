"""fastloss in the shape of its rivals: prepare(output, loss, y, p) -> function of no arguments."""

from functools import partial

import numpy as np

from fastloss.measuring.cases import configured


def prepare(output, name, y, p):
    """The cost, or outputs into buffers made beforehand ("loss", "cost_gradient", "gradient_hessian" ...)."""
    loss = configured(name)
    if output == "cost":
        return partial(loss, y, p)
    buffers = {f"{part}_out": np.empty_like(p) for part in output.split("_") if part != "cost"}
    return partial(getattr(loss, output), y, p, **buffers)


def weighted_cost(name, y, p, w):
    return partial(configured(name), y, p, w)
