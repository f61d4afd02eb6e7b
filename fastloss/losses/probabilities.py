"""Losses of C probabilities and a label. z is a row of probabilities, in [0, 1]; that they sum to 1 is not asked for, unless
``sum_tolerance`` does so, nor made so, unless ``normalize`` says it. Gradient and Hessian are with respect to the probabilities, each as
if the others stood still."""

from fastloss.losses.binary import HALF_OPEN
from fastloss.losses.functions import log, log1p, log_ratio
from fastloss.losses.multiclass import weighed
from fastloss.losses.rowspec import LABELS, Last, at, each, once, row_loss, running, total
from fastloss.losses.spec import INF, UNIT, Parameter, Switch


@row_loss(
    family="multiclass", targets=LABELS, scores=UNIT, weights=True,
    aliases=("categorical_log_loss", "mlogloss", "multi_logloss", "sparse_categorical_crossentropy_from_probabilities"),
    formula="-c_y log(q), q = z_y, or z_y / sum_j z_j if normalize, clipped to [clip, 1 - clip]",
    source="Good 1952; sklearn.metrics.log_loss",
    notes="From probabilities; from logits use softmax_cross_entropy. clip=0 is honest: a label of probability 0 costs infinity. "
    "'sklearn' clips at the machine epsilon of the dtype and does not normalize, 'keras' clips at 1e-7 and goes with normalize=True. "
    "Where q is clipped the loss is constant and the gradient 0. Without normalize only the label's probability matters. The mean "
    "divides by the sum of c_y.",
    examples=((1, (0.5, 0.25, 0.25), 1.3862943611198906), (0, (0.0, 1.0), INF),
              (0, (0.25, 0.75, 1.0), 2.0794415416798357, {"normalize": True})),
)  # fmt: skip
class MulticlassLogLoss:
    """Cross-entropy of probabilities: minus the log of the one given to the label's class."""

    clip = Parameter(
        0.0, HALF_OPEN, "probabilities are kept this far from 0 and 1",
        names={"sklearn": {"float32": 2.0**-23, "float64": 2.0**-52}, "keras": 1e-7},
    )  # fmt: skip
    normalize = Switch(False, "divide the probabilities by their sum", usual=0.0)

    @total(without="label")
    def others(z):
        return z

    @once
    def q(z_label, others, normalize):
        return z_label if normalize == 0.0 else z_label / (z_label + others)

    @once
    def clipped(q, clip):
        # 0: not clipped, 1: the loss is constant
        return 1.0 if q < clip or q > 1.0 - clip else 0.0

    def value(q, clipped, z_label, others, clip, normalize, c_label):
        near = log1p(others / z_label) if others < z_label else log_ratio(z_label + others, z_label)
        free = 0.0 - log(z_label) if normalize == 0.0 else near
        return weighed(c_label, (0.0 - log(clip if q < clip else 1.0 - clip)) if clipped == 1.0 else free)

    def gradient(normalize, clipped, z_label, others, c_label):
        return 0.0 if normalize == 0.0 or clipped == 1.0 else c_label / (z_label + others)

    @at("label")
    def label_gradient(q, normalize, clipped, z_label, others, c_label):
        slope = 1.0 if normalize == 0.0 else others / (z_label + others)
        return 0.0 if clipped == 1.0 or c_label == 0.0 and q == q else -c_label * (slope / z_label)

    def hessian(normalize, clipped, z_label, others, c_label):
        return 0.0 if normalize == 0.0 or clipped == 1.0 else -c_label / (z_label + others) / (z_label + others)

    @at("label", "hessian")
    def label_hessian(q, normalize, clipped, z_label, others, c_label):
        whole = z_label + others
        share = 1.0 if normalize == 0.0 else others / whole * (1.0 + z_label / whole)
        return 0.0 if clipped == 1.0 or c_label == 0.0 and q == q else c_label * (share / z_label / z_label)


@row_loss(
    family="multiclass", targets=LABELS, scores=UNIT, aliases=("multiclass_brier_score",),
    formula="(1 - z_y)**2 + sum_{j != y} z_j**2, halved if scale_by_half", source="Brier 1950; sklearn.metrics.brier_score_loss",
    notes="In [0, 2]; scale_by_half=True brings it to [0, 1], and for two classes to the brier of one. From logits use softmax_brier.",
    examples=((0, (0.5, 0.25, 0.25), 0.375), (0, (0.75, 0.25), 0.0625, {"scale_by_half": True})),
)  # fmt: skip
class MulticlassBrier:
    """The squared distance of the probabilities from what happened: a proper score."""

    scale_by_half = Switch(False, "halve it, so that it is in [0, 1]")

    @total(without="label")
    def squares(z):
        return z * z

    def value(squares, z_label, scale_by_half):
        return ((1.0 - z_label) * (1.0 - z_label) + squares) * (0.5 if scale_by_half == 1.0 else 1.0)

    def gradient(z, scale_by_half):
        return z * (1.0 if scale_by_half == 1.0 else 2.0)

    @at("label")
    def label_gradient(z_label, scale_by_half):
        return (z_label - 1.0) * (1.0 if scale_by_half == 1.0 else 2.0)

    def hessian(scale_by_half):
        return 1.0 if scale_by_half == 1.0 else 2.0


@row_loss(
    family="multiclass", targets=LABELS, scores=UNIT, aliases=("rps", "rps_score"),
    formula="sum_k (F_k - [k >= y])**2, F_k = z_0 + ... + z_k, divided by C - 1 if normalize",
    source="Epstein 1969; scoringrules.rps_score",
    notes="Of ordered classes: what is far from the label costs more. The last term is 0 where the probabilities sum to 1. Running sums "
    "are carried to twice the digits. The Hessian is 2 (C - j) for class j = 0, 1, ... "
    "The gradient is a sum of terms of both signs: where they cancel it is good relative to the terms, not to itself.",
    examples=((1, (0.5, 0.25, 0.25), 0.3125), (0, (0.0, 0.0, 1.0), 2.0), (0, (0.0, 0.0, 1.0), 1.0, {"normalize": True})),
)  # fmt: skip
class RankedProbabilityScore:
    """The squared distance of the cumulative probabilities from the label's step: a proper score of ordered classes."""

    normalize = Switch(False, "divide by C - 1, so that it is in [0, 1]")

    @running
    def F(z):  # noqa: N802 - a distribution function
        return z

    @each
    def d(F, F_low, j, label):  # noqa: N803
        return (F - (1.0 if j >= label else 0.0)) + F_low

    @running
    def R(d):  # noqa: N802
        return d

    T = Last("R")

    @total
    def squares(d):
        return d * d

    def value(squares, normalize, classes):
        return squares / (classes - 1.0 if normalize == 1.0 else 1.0)

    def gradient(d, R, R_low, T, T_low, normalize, classes):  # noqa: N803
        # 2 sum_{k >= j} d_k: all but what was summed before the class
        return 2.0 * (((T - R) + (T_low - R_low)) + d) / (classes - 1.0 if normalize == 1.0 else 1.0)

    def hessian(j, classes, normalize):
        return 2.0 * (classes - j) / (classes - 1.0 if normalize == 1.0 else 1.0)
