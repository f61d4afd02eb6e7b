"""numexpr: the whole expression in one multi-threaded pass over cache-sized blocks, compiled once, into a buffer whose mean NumPy takes.

numexpr's own sum() runs on one thread and adds float32 in float32 one by one: 3 % off at 2**24 samples, and slower than this way.
Constants are whole numbers, or variables of the arrays' dtype: a literal such as 0.5 would take float32 to float64, and so do its
functions maximum and minimum.
"""

import numexpr
import numpy as np

from fastloss.measuring.environment import threads as told

NAME = "numexpr"
GRADIENT_PER_SAMPLE = False
COST, LOSS = {}, {}
PREPARE = {"cost": COST, "loss": LOSS}

numexpr.set_num_threads(told())


def version():
    return numexpr.__version__


def threads():
    return numexpr.get_num_threads()


def _enter(name, expression, factor=1.0, **constants):
    """``factor``: of the mean."""

    def prepare_loss(y, p):
        real = p.dtype.type
        kind = float if p.dtype == np.float32 else np.float64  # numexpr's names of the two
        names = {"y": y, "p": p, **{key: real(value) for key, value in constants.items()}}
        call, given, out = numexpr.NumExpr(expression, [(key, kind) for key in names]), tuple(names.values()), np.empty_like(p)
        return lambda: call(*given, out=out, ex_uses_vml=False)

    def prepare_cost(y, p):
        loss = prepare_loss(y, p)
        return lambda: factor * loss().mean()

    COST[name] = prepare_cost
    if factor == 1.0:
        LOSS[name] = prepare_loss


_enter("squared_error", "(p - y)**2")
_enter("half_squared_error", "(p - y)**2", factor=0.5)
_enter("absolute_error", "abs(p - y)")
_enter("huber", "where(abs(p - y) <= 1, (p - y)**2 / 2, abs(p - y) - half)", half=0.5)
_enter("smooth_l1", "where(abs(p - y) <= 1, (p - y)**2 / 2, abs(p - y) - half)", half=0.5)
_enter("pseudo_huber", "sqrt(1 + (p - y)**2) - 1")
_enter("log_cosh", "abs(p - y) + log1p(exp(-2 * abs(p - y))) - ln_2", ln_2=np.log(2.0))
_enter("pinball", "where(y >= p, q, q - 1) * (y - p)", q=0.9)
_enter("expectile", "where(y >= p, a, 1 - a) * (p - y)**2", a=0.9)
_enter("fair", "abs(p - y) - log1p(abs(p - y))")
_enter("lq", "abs(p - y)**q", q=1.5)
_enter("squared_log_error", "(log1p(p) - log1p(y))**2")
_enter("absolute_percentage_error", "abs((p - y) / y)")
_enter("symmetric_absolute_percentage_error", "2 * abs(p - y) / (abs(p) + abs(y))")
_enter("log_loss", "-(y * log(p) + (1 - y) * log1p(-p))")
_enter("logistic", "where(p > 0, p, 0) - y * p + log1p(exp(-abs(p)))")
_enter("exponential", "exp(-y * p)")
_enter("soft_margin", "where(y * p < 0, -y * p, 0) + log1p(exp(-abs(y * p)))")
_enter("hinge", "where(y * p < 1, 1 - y * p, 0)")
_enter("squared_hinge", "where(y * p < 1, (1 - y * p)**2, 0)")
_enter("perceptron", "where(y * p < 0, -y * p, 0)")
_enter("brier", "(p - y)**2")
_enter("poisson_loss", "exp(p) - y * p")
_enter("gamma_loss", "p + y * exp(-p)")
_enter("gamma_deviance", "2 * (log(p / y) + y / p - 1)")
_enter("tweedie_loss", "2 * (exp(p / 2) + y * exp(-p / 2))")
