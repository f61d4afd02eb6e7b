"""scikit-learn: where there is a class of sklearn._loss, that with all threads and buffers made beforehand; else the public metric.

The two are different libraries in effect: sklearn._loss is typed Cython with OpenMP, the metrics are NumPy after input checks. Each
loss stands here with the faster way that there is.
"""

from functools import partial

import numpy as np
import sklearn
from sklearn import _loss, metrics

from benchmarks import THREADS

NAME = "scikit-learn"
GRADIENT_PER_SAMPLE = True
COST, COST_GRADIENT = {}, {}


def version():
    return sklearn.__version__


def threads():
    return THREADS  # told in each call; the metrics have one


def _class(name, loss, target=lambda y: y):
    """Enter a class of sklearn._loss. ``target``: how its targets are made of ours, beforehand."""

    def cost(y, p):
        y, out = target(y), np.empty_like(p)
        return lambda: loss.loss(y, p, loss_out=out, n_threads=THREADS).mean()

    def cost_gradient(y, p):
        y, out, gradient = target(y), np.empty_like(p), np.empty_like(p)

        def call():
            loss.loss_gradient(y, p, loss_out=out, gradient_out=gradient, n_threads=THREADS)
            return out.mean(), gradient

        return call

    COST[name], COST_GRADIENT[name] = cost, cost_gradient


def _from_signs(y):
    return np.maximum(y, 0.0)


_class("half_squared_error", _loss.HalfSquaredError())
_class("absolute_error", _loss.AbsoluteError())
_class("pinball", _loss.PinballLoss(quantile=0.9))
_class("huber", _loss.HuberLoss(delta=1.0))
_class("poisson_loss", _loss.HalfPoissonLoss())
_class("gamma_loss", _loss.HalfGammaLoss())
_class("tweedie_loss", _loss.HalfTweedieLoss(power=1.5))
_class("logistic", _loss.HalfBinomialLoss())
_class("exponential", _loss.loss.ExponentialLoss(), _from_signs)
_class("soft_margin", _loss.HalfBinomialLoss(), _from_signs)


def _metric(name, function):
    COST[name] = partial(partial, function)


_metric("squared_error", metrics.mean_squared_error)
_metric("root_mean_squared_error", metrics.root_mean_squared_error)
_metric("squared_log_error", metrics.mean_squared_log_error)
_metric("root_mean_squared_log_error", metrics.root_mean_squared_log_error)
_metric("absolute_percentage_error", metrics.mean_absolute_percentage_error)
_metric("poisson_deviance", metrics.mean_poisson_deviance)
_metric("gamma_deviance", metrics.mean_gamma_deviance)
_metric("tweedie_deviance", partial(metrics.mean_tweedie_deviance, power=1.5))
_metric("log_loss", partial(metrics.log_loss, labels=(0.0, 1.0)))
_metric("brier", metrics.brier_score_loss)
_metric("hinge", metrics.hinge_loss)
_metric("zero_one", lambda y, p: metrics.zero_one_loss(y, (p > 0.5).astype(y.dtype)))
