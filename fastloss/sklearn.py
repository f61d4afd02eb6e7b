"""fastloss inside scikit-learn, and in place of it.

Losses    HalfSquaredError, AbsoluteError, PinballLoss, HuberLoss, HalfPoissonLoss, HalfGammaLoss, HalfTweedieLoss,
          HalfTweedieLossIdentity, HalfBinomialLoss, HalfMultinomialLoss, ExponentialLoss: all methods and attributes of those of
          scikit-learn 1.9's private sklearn._loss.loss, so that code that was written for them runs on ours. scikit-learn is not needed
          for them; ``as_host(loss)`` makes one that is an instance of its class, too.
"""

from fastloss.adapters.sklearn.links import LINKS, Interval, Link, MultinomialLogit
from fastloss.adapters.sklearn.losses import CLASSES, BaseLoss, as_host

globals().update(CLASSES)

__all__ = [*CLASSES, "LINKS", "BaseLoss", "Interval", "Link", "MultinomialLogit", "as_host"]
