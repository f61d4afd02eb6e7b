"""fastloss inside scikit-learn, and in place of it.

Losses    HalfSquaredError, AbsoluteError, PinballLoss, HuberLoss, HalfPoissonLoss, HalfGammaLoss, HalfTweedieLoss,
          HalfTweedieLossIdentity, HalfBinomialLoss, HalfMultinomialLoss, ExponentialLoss: all methods and attributes of those of
          scikit-learn 1.9's private sklearn._loss.loss, so that code that was written for them runs on ours. scikit-learn is not needed
          for them; ``as_host(loss)`` makes one that is an instance of its class, too.
Models    Objective(loss, X, y, ...): cost of X @ w + b, and penalties; value, gradient, Hessian product for scipy.optimize, in one pass
          over X. HuberScaleObjective(X, y, ...): that of HuberRegressor, whose scale is fitted, too.
"""

from fastloss.adapters.absent import absent as _absent
from fastloss.adapters.sklearn.huber import HuberScaleObjective
from fastloss.adapters.sklearn.links import LINKS, Interval, Link, MultinomialLogit
from fastloss.adapters.sklearn.losses import CLASSES, BaseLoss, as_host
from fastloss.adapters.sklearn.objective import Objective

globals().update(CLASSES)

__all__ = [*CLASSES, "LINKS", "BaseLoss", "HuberScaleObjective", "Interval", "Link", "MultinomialLogit", "Objective", "as_host"]
__getattr__ = _absent(__name__, __all__, f"it has {', '.join(__all__)}; metrics are in fastloss.metrics, all else in scikit-learn")
