"""The functions of torch.nn.functional, computed by fastloss. fastloss/torch.py says which there are, and what they promise."""

import warnings

import numpy as np
import torch
from torch.nn import _reduction
from torch.nn import functional as F  # noqa: N812 - as everyone calls it

import fastloss as fl
from fastloss.adapters.torch.autograd import SPECS, call, compiling
from fastloss.adapters.torch.specs import Elementwise, Rows
from fastloss.adapters.torch.tensors import array

__all__ = [
    "l1_loss",
    "mse_loss",
    "huber_loss",
    "smooth_l1_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "soft_margin_loss",
    "poisson_nll_loss",
    "cross_entropy",
    "nll_loss",
    "kl_div",
    "multilabel_soft_margin_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
]

LEAST = 1.0001e-12  # torch's binary_cross_entropy bounds p (1 - p) from below by 1e-12, and logarithms by -100


MEAN = (  # torch's words
    "reduction: 'mean' divides the total loss by both the batch size and the support size."
    "'batchmean' divides only by the batch size, and aligns with the KL div math definition."
    "'mean' will be changed to behave the same as 'batchmean' in the next major release."
)


def _ordinary(input):
    """ValueError where torch's binary_cross_entropy has bounds that fastloss's has not."""
    low, high = torch.aminmax(input.detach())
    if not (low.item() >= LEAST and 1.0 - high.item() >= LEAST):
        raise ValueError("probabilities of nearly 0 or 1, which torch bounds")


def _kl(log_target):
    return fl.KlDivergenceWithLogTargets() if log_target else fl.KlDivergenceWithLogProbs()


def _spread(reduction, shape, rows):
    """What kl_div's means divide by."""
    return shape[0] if reduction == "batchmean" else shape.numel()


def _indicated(target, input):
    """0 or 1 per class, from lists of classes that end with -1. A class that is listed twice is torch's."""
    classes = array(target)
    listed = np.logical_and.accumulate(classes >= 0, axis=-1)
    if classes.max(initial=-1) >= classes.shape[-1]:
        raise ValueError("a class that is none")
    found = np.zeros(classes.shape, bool)
    row, place = np.nonzero(listed)
    found[row, classes[row, place]] = True
    if np.count_nonzero(found) != len(row):
        raise ValueError("a class that is listed twice")
    return found


def _cross_entropy(ignore_index, label_smoothing, class_weight=None):
    return fl.SoftmaxCrossEntropy(label_smoothing=label_smoothing, ignore_index=int(ignore_index), class_weight=class_weight)


def _soft_cross_entropy(ignore_index, label_smoothing, class_weight=None):
    return fl.SoftLabelCrossEntropy(label_smoothing=label_smoothing, class_weight=class_weight)


def _nll(ignore_index, class_weight=None):
    return fl.NegativeLogLikelihood(ignore_index=int(ignore_index), class_weight=class_weight)


SMOOTHED = {"ignore_index": int, "label_smoothing": float}
L1 = Elementwise("l1_loss", fl.AbsoluteError, integers=True, symmetric=True, by_weight=True)
MSE = Elementwise("mse_loss", fl.SquaredError, integers=True, symmetric=True, by_weight=True)
HUBER = Elementwise("huber_loss", fl.Huber, {"delta": float}, integers=True, symmetric=True)
SMOOTH_L1 = Elementwise("smooth_l1_loss", fl.SmoothL1, {"beta": float}, integers=True, symmetric=True, weighted=None)
BCE = Elementwise("binary_cross_entropy", fl.LogLoss, broadcast=True, check=staticmethod(_ordinary))
BCE_WITH_LOGITS = Elementwise("binary_cross_entropy_with_logits", fl.Logistic, broadcast=True)
SOFT_MARGIN = Elementwise("soft_margin_loss", fl.SoftMargin, integers=True, weighted=None)
POISSON = Elementwise("poisson_nll_loss", lambda: fl.PoissonLoss(), integers=True, weighted=None)
CROSS_ENTROPY = Rows("cross_entropy", _cross_entropy, SMOOTHED)
SOFT_CROSS_ENTROPY = Rows("cross_entropy_of_probabilities", _soft_cross_entropy, SMOOTHED, labels=False, reference=F.cross_entropy)
NLL = Rows("nll_loss", _nll, {"ignore_index": int})
KL = Rows(
    "kl_div", _kl, {"log_target": bool}, labels=False, classes=-1, weighted=None, divisor=_spread, reductions=("mean", "batchmean", "sum")
)
MULTILABEL_SOFT_MARGIN = Rows("multilabel_soft_margin_loss", fl.MultilabelLogistic, labels=False, classes=-1)
MULTI_MARGIN = Rows("multi_margin_loss", fl.MultiMargin, {"p": int, "margin": float}, divisor=lambda reduction, shape, rows: rows, most=2)
MULTILABEL_MARGIN = Rows("multilabel_margin_loss", fl.MultilabelMargin, labels=False, classes=-1, weighted=None, convert=_indicated, most=2)
SPECS.update({spec.name: spec for spec in tuple(vars().values()) if isinstance(spec, Elementwise | Rows)})


def _legacy(size_average, reduce, reduction):
    """The reduction that the arguments of old mean, with torch's warning."""
    return reduction if size_average is None and reduce is None else _reduction.legacy_get_string(size_average, reduce)


def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    return call(L1, input, target, weight, None, _legacy(size_average, reduce, reduction))


def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    return call(MSE, input, target, weight, None, _legacy(size_average, reduce, reduction))


def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    return call(HUBER, input, target, weight, None, reduction, delta)


def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    return call(SMOOTH_L1, input, target, None, None, _legacy(size_average, reduce, reduction), beta)


def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    return call(BCE, input, target, weight, None, _legacy(size_average, reduce, reduction))


def binary_cross_entropy_with_logits(input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None):
    return call(BCE_WITH_LOGITS, input, target, weight, pos_weight, _legacy(size_average, reduce, reduction))


def soft_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    return call(SOFT_MARGIN, input, target, None, None, _legacy(size_average, reduce, reduction))


def poisson_nll_loss(input, target, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"):
    if not log_input or full:
        return F.poisson_nll_loss(input, target, log_input, full, size_average, eps, reduce, reduction)
    return call(POISSON, input, target, None, None, _legacy(size_average, reduce, reduction))


def cross_entropy(
    input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean", label_smoothing=0.0
):  # fmt: skip
    soft = isinstance(input, torch.Tensor) and isinstance(target, torch.Tensor) and target.shape == input.shape
    spec = SOFT_CROSS_ENTROPY if soft else CROSS_ENTROPY
    return call(spec, input, target, weight, None, _legacy(size_average, reduce, reduction), ignore_index, label_smoothing)


def nll_loss(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
    return call(NLL, input, target, weight, None, _legacy(size_average, reduce, reduction), ignore_index)


def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    if reduction == "mean" and size_average is None and reduce is None and not compiling():
        warnings.warn(MEAN, stacklevel=2)
    return call(KL, input, target, None, None, _legacy(size_average, reduce, reduction), log_target)


def multilabel_soft_margin_loss(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    return call(MULTILABEL_SOFT_MARGIN, input, target, weight, None, _legacy(size_average, reduce, reduction))


def multi_margin_loss(input, target, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"):
    return call(MULTI_MARGIN, input, target, weight, None, _legacy(size_average, reduce, reduction), p, margin)


def multilabel_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    return call(MULTILABEL_MARGIN, input, target, None, None, _legacy(size_average, reduce, reduction))


for _name in __all__:
    globals()[_name].__doc__ = f"""torch.nn.functional.{_name} for tensors on the CPU, computed by fastloss.

    Arguments, defaults, shapes, dtypes, reductions, result, warnings and kinds of errors are those of torch. RuntimeError for a tensor on
    another device. The docstring of fastloss.torch says what is computed by torch itself, and what there is to know of derivatives, memory,
    accuracy and threads.
    """
