"""scikit-learn: where there is a class of sklearn._loss, that with all threads and buffers made beforehand; else the public metric.

The two are different libraries in effect: sklearn._loss is typed Cython with OpenMP, the metrics are NumPy after input checks, on one
thread (as the mean of the losses of sklearn._loss is). Each loss stands here with the faster way that there is.
"""

from functools import partial

import numpy as np
import sklearn
from sklearn import _loss, metrics
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads

NAME = "scikit-learn"
GRADIENT_PER_SAMPLE = True
METHODS = ("loss", "gradient", "loss_gradient", "gradient_hessian")
PREPARE = {output: {} for output in ("cost", "cost_gradient", *METHODS)}
PRIVATE = []  # losses that are of sklearn._loss
ON_ONE_THREAD = []  # losses that are metrics


def version():
    return sklearn.__version__


def threads():
    """What its estimators would hand to sklearn._loss, as is done here: OpenMP's own number, or 1 if it was built without."""
    return _openmp_effective_n_threads()


def _class(name, loss, target=lambda y: y):
    """Enter a class of sklearn._loss. ``target``: how its targets are made of ours, beforehand."""

    def method(output, y, p):
        buffers = {f"{part}_out": np.empty_like(p) for part in output.split("_")}
        return partial(getattr(loss, output), target(y), p, n_threads=threads(), **buffers)

    def cost(y, p):
        losses = method("loss", y, p)
        return lambda: losses().mean()

    def cost_gradient(y, p):
        both = method("loss_gradient", y, p)

        def call():
            losses, gradient = both()
            return losses.mean(), gradient

        return call

    PRIVATE.append(name)
    PREPARE["cost"][name], PREPARE["cost_gradient"][name] = cost, cost_gradient
    for output in METHODS:
        if not (output == "gradient_hessian" and loss.approx_hessian):  # what stands in for it is another quantity
            PREPARE[output][name] = partial(method, output)


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
    ON_ONE_THREAD.append(name)
    PREPARE["cost"][name] = partial(partial, function)


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
