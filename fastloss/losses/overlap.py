"""Costs of how two sets overlap, from the sums of what they have in common and of what only one of them has, over all samples.

y says how much a sample belongs to the target's set, p how much to the predicted one, both in [0, 1]. With weights w:

    TP = sum(w y p)    FP = sum(w (1 - y) p)    FN = sum(w y (1 - p))

A cost near 0 is the quotient of small sums, never 1 minus one near 1: what is missing to a perfect overlap keeps its digits.
"""

from fastloss.losses.spec import AVERAGE, NONNEGATIVE, REAL, UNIT, Parameter, of_sums, term


@term(target=UNIT, prediction=UNIT, formula="y p")
class TruePositive:
    """What both sets have."""

    def value(y, p):
        return y * p

    def gradient(y, p):
        return y + 0.0 * p

    def hessian(y, p):
        return 0.0 * (y + p)


@term(target=UNIT, prediction=UNIT, formula="(1 - y) p")
class FalsePositive:
    """What only the predicted set has."""

    def value(y, p):
        return (1.0 - y) * p

    def gradient(y, p):
        return (1.0 - y) + 0.0 * p

    def hessian(y, p):
        return 0.0 * (y + p)


@term(target=UNIT, prediction=UNIT, formula="y (1 - p)")
class FalseNegative:
    """What only the target's set has."""

    def value(y, p):
        return y * (1.0 - p)

    def gradient(y, p):
        return 0.0 * p - y

    def hessian(y, p):
        return 0.0 * (y + p)


@term(target=UNIT, prediction=UNIT, formula="tp y p + fp (1 - y) p + fn y (1 - p)")
class OverlapSlope:
    """The three, each times a number: <= 0, >= 0 and >= 0, so that for hard labels nothing cancels in the gradient."""

    tp = Parameter(0.0, REAL, "derivative of the cost by TP")
    fp = Parameter(0.0, REAL, "by FP")
    fn = Parameter(0.0, REAL, "by FN")

    def value(y, p, tp, fp, fn):
        return (tp * y + fp * (1.0 - y)) * p + fn * (y * (1.0 - p))

    def gradient(y, p, tp, fp, fn):
        return fp * (1.0 - y) + (tp - fn) * y + 0.0 * p

    def hessian(y, p, tp, fp, fn):
        return 0.0 * (y + p)


def quotient(part, whole):
    """part / whole, and 0 where there is nothing."""
    return part / whole if whole else 0


def quotient_slopes(tp, wrong, smooth, alpha, beta):
    """The derivatives of wrong / (tp + wrong + smooth) by TP, FP and FN, where wrong = alpha FP + beta FN."""
    whole = tp + wrong + smooth
    if not whole:
        return 0, 0, 0
    by_wrong = (tp + smooth) / (whole * whole)
    return -wrong / (whole * whole), alpha * by_wrong, beta * by_wrong


SMOOTH = Parameter(1.0, NONNEGATIVE, "added to both sides of the fraction")
CLASSES = (
    "Of rows (N, C), average='macro' or None takes each class's own sums, and sample_weight is one per row or one per number; None has C "
    "costs and no gradient. Nothing there and nothing predicted costs 0, with smooth=0 too, where the gradient is then 0. "
)


@of_sums(
    "true_positive", "false_positive", "false_negative", slope="overlap_slope",
    family="binary", aliases=("dice_loss", "soft_dice"),
    formula="1 - (2 sum(w y p) + smooth) / (sum(w y) + sum(w p) + smooth)",
    source="Dice 1945; Milletari, Navab & Ahmadi 2016 (V-Net, which squares y and p in the denominator)",
    notes="A cost of all samples together, not a mean: there is no loss per sample. " + CLASSES + "A quotient of exact sums, correctly "
    "rounded: from probabilities; y may be anything from 0 to 1. optax.dice_loss(smooth=s) is smooth=2s (it adds s where TP is counted "
    "once), takes one cost per image and class and averages those; keras.losses.Dice adds 1e-7 alone, to the denominator.",
    examples=(((1.0, 1.0, 0.0), (1.0, 0.5, 0.5), 0.2), ((1.0, 1.0, 0.0), (1.0, 0.5, 0.5), 0.25, {"smooth": 0.0}),
              ((0.0, 0.0), (0.0, 0.0), 0.0, {"smooth": 0.0})),
)  # fmt: skip
class Dice:
    """One minus the Dice coefficient (F1) of two sets, of labels and of predicted probabilities."""

    smooth = SMOOTH
    average = AVERAGE

    def value(tp, fp, fn, smooth):
        return quotient(fp + fn, 2 * tp + fp + fn + smooth)

    def slopes(tp, fp, fn, smooth):
        by_twice_tp, by_fp, by_fn = quotient_slopes(2 * tp, fp + fn, smooth, 1, 1)
        return 2 * by_twice_tp, by_fp, by_fn


@of_sums(
    "true_positive", "false_positive", "false_negative", slope="overlap_slope",
    family="binary", aliases=("tversky_loss",),
    formula="1 - (TP + smooth) / (TP + alpha FP + beta FN + smooth), TP = sum(w y p), FP = sum(w (1 - y) p), FN = sum(w y (1 - p))",
    source="Tversky 1977; Salehi, Erdogmus & Gholipour 2017",
    notes="A cost of all samples together, not a mean: there is no loss per sample. alpha = beta = 1 is the Jaccard loss (1 - IoU), 0.5 "
    "each Dice with twice the smooth. " + CLASSES + "A quotient of exact sums, correctly rounded. As in Salehi et al. and "
    "optax.dice_loss(alpha, beta) alpha weighs false positives; keras.losses.Tversky (Keras 3) names the sums the other way round, so "
    "that its alpha is beta here, and adds 1e-7 alone, to the denominator.",
    examples=(((1.0, 1.0, 0.0), (1.0, 0.5, 0.5), 1 / 6), ((1.0, 0.0), (0.5, 0.25), 0.5, {"alpha": 0.5, "beta": 0.75, "smooth": 0.0}),
              ((1.0, 1.0), (0.5, 0.5), 0.5, {"alpha": 1.0, "beta": 1.0, "smooth": 0.0})),
)  # fmt: skip
class Tversky:
    """One minus the Tversky index of two sets: Dice with a price of its own for false positives and false negatives."""

    alpha = Parameter(0.5, NONNEGATIVE, "weight of false positives")
    beta = Parameter(0.5, NONNEGATIVE, "weight of false negatives")
    smooth = SMOOTH
    average = AVERAGE

    def value(tp, fp, fn, alpha, beta, smooth):
        wrong = alpha * fp + beta * fn
        return quotient(wrong, tp + wrong + smooth)

    def slopes(tp, fp, fn, alpha, beta, smooth):
        return quotient_slopes(tp, alpha * fp + beta * fn, smooth, alpha, beta)
