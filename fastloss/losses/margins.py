"""Losses of C scores and a label that look at differences of scores alone. z is a row of scores, any real numbers.

Where a difference is exactly at the margin, the gradient is 0. Of several largest scores the first is the rival.
"""

from fastloss.losses.rowspec import LABELS, Threshold, at, each, largest, once, row_loss, total
from fastloss.losses.spec import INF, REAL, Either, Interval, Parameter

MARGIN = Parameter(1.0, Interval(-INF, INF, open_low=True, open_high=True), "by how much the label's score must be the largest")


def slack(z, z_label, margin):
    """margin + z - z_label, correctly rounded but for the last digit even where it cancels: both roundings are undone (Knuth's two-sum)."""
    d = z - z_label
    b = d - z
    s = margin + d
    a = s - margin
    low = ((z - (d - b)) - (z_label + b)) + ((margin - (s - a)) + (d - a))
    return s + low if low - low == 0.0 else s


def hinge(s):
    return 0.0 if s <= 0.0 else s


def step(s):
    """1 where the hinge rises; NaN of a NaN."""
    return 0.0 if s <= 0.0 else (1.0 if s > 0.0 else s)


def nothing(s):
    """0, or NaN."""
    return 0.0 if s == s else s


@row_loss(
    family="multiclass", targets=LABELS, scores=REAL, weights=True, aliases=("multi_margin_loss",),
    formula="c_y / C sum_{j != y} max(0, margin - z_y + z_j)**p", source="Weston & Watkins 1999; torch.nn.functional.multi_margin_loss",
    notes="The mean divides by the sum of c_y; torch's by the number of rows.",
    examples=((0, (0.5, 0.25, -1.0), 0.25), (0, (0.5, 0.25, -1.0), 0.1875, {"p": 2.0})),
)  # fmt: skip
class MultiMargin:
    """Every class whose score comes within the margin of the label's costs what it exceeds, or the square of that."""

    p = Parameter(1.0, Either(1.0, 2.0), "exponent", usual=1.0)
    margin = MARGIN

    @each
    def s(z, z_label, margin):
        return slack(z, z_label, margin)

    @each
    def slope(s, p):
        return step(s) if p == 1.0 else 2.0 * hinge(s)

    @total(without="label")
    def costs(s, p):
        return hinge(s) if p == 1.0 else hinge(s) * hinge(s)

    @total(without="label")
    def slopes(slope):
        return slope

    @total(without="label")
    def active(s):
        return step(s)

    def value(costs, c_label, classes):
        return costs * c_label / classes

    def gradient(slope, c_label, classes):
        return slope * c_label / classes

    @at("label")
    def label_gradient(slopes, c_label, classes):
        return -slopes * c_label / classes

    def hessian(s, p, c_label, classes):
        return 0.0 if p == 1.0 else 2.0 * step(s) * c_label / classes

    @at("label", "hessian")
    def label_hessian(active, p, c_label, classes):
        return 0.0 if p == 1.0 else 2.0 * active * c_label / classes


@row_loss(
    family="multiclass", targets=LABELS, scores=REAL, aliases=("multiclass_hinge", "multiclass_hinge_loss"),
    formula="max(0, margin + max_{j != y} z_j - z_y)",
    source="Crammer & Singer 2001; sklearn.metrics.hinge_loss, optax.multiclass_hinge_loss",
    notes="The Hessian is 0.",
    examples=((0, (0.5, 0.25, -1.0), 0.75), (1, (0.5, 0.25, -1.0), 1.25), (0, (2.0, 0.0), 0.0)),
)  # fmt: skip
class CrammerSinger:
    """The hinge of several classes: by how much the label's score fails to lead the best of the others by the margin."""

    margin = MARGIN

    @largest(without="label")
    def rival(z):
        return z

    @once
    def s(rival, z_label, margin):
        return slack(rival, z_label, margin)

    def value(s):
        return hinge(s)

    def gradient(s):
        return nothing(s)

    @at("rival")
    def rival_gradient(s):
        return step(s)

    @at("label")
    def label_gradient(s):
        return -step(s)

    def hessian():
        return 0.0


@row_loss(
    family="multiclass", targets=LABELS, scores=REAL,
    formula="max(0, 1 + max(0, max_{j != y} z_j) - z_y)", source="keras.losses.CategoricalHinge",
    notes="Keras finds the rival among (1 - y) z, where the label's place holds 0: so the rival is never below 0. That is "
    "crammer_singer only if some other score is positive. The Hessian is 0.",
    examples=((0, (0.5, 0.25, -1.0), 0.75), (0, (0.5, -2.0), 0.5)),
)  # fmt: skip
class CategoricalHinge:
    """Keras's hinge of several classes, whose rival scores at least 0."""

    @largest(without="label")
    def rival(z):
        return z

    @once
    def s(rival, z_label):
        return slack(0.0 if rival < 0.0 else rival, z_label, 1.0)

    def value(s):
        return hinge(s)

    def gradient(s):
        return nothing(s)

    @at("rival")
    def rival_gradient(s, rival):
        return 0.0 if rival <= 0.0 and s == s else step(s)

    @at("label")
    def label_gradient(s):
        return -step(s)

    def hessian():
        return 0.0


@row_loss(
    family="multiclass", targets=LABELS, scores=REAL, aliases=("multiclass_perceptron_loss",),
    formula="max_j z_j - z_y", source="Michael Collins 2002; optax.multiclass_perceptron_loss",
    notes="Where the label's score is one of the largest, the gradient is 0. The Hessian is 0.",
    examples=((0, (0.5, 0.25), 0.0), (1, (0.5, 0.25), 0.25)),
)  # fmt: skip
class MulticlassPerceptron:
    """By how much the best score exceeds the label's: only wrong predictions cost."""

    @largest
    def best(z):
        return z

    @once
    def s(best, z_label):
        return best - z_label

    def value(s):
        return s

    def gradient(s):
        return nothing(s)

    @at("best")
    def best_gradient(s):
        return step(s)

    @at("label")
    def label_gradient(s):
        return -step(s)

    def hessian():
        return 0.0


@row_loss(
    family="multiclass", targets=LABELS, scores=REAL, aliases=("sparsemax_loss", "multiclass_sparsemax_loss"),
    formula="1/2 - z_y + 1/2 sum_{j in S} (z_j**2 - tau**2), p = max(z - tau, 0) sums to 1, S = where p > 0",
    source="Martins & Astudillo 2016; optax.multiclass_sparsemax_loss",
    notes="Computed as half the squared distance of p from the label's corner, plus tau - z_y where that is positive: nothing cancels. The "
    "gradient is p - e_y, the Hessian 1 - 1 / |S| within the support and 0 elsewhere.",
    examples=((0, (0.0, 0.0), 0.25), (0, (1.0, 0.0), 0.0), (1, (3.0, 0.0), 2.5 + 0.5)),
)  # fmt: skip
class Sparsemax:
    """The loss of sparsemax, the projection of scores onto the simplex: 0 as soon as the label leads by 1."""

    threshold = Threshold()

    @each
    def prob(z, peak, tau, tau_low):
        d = z - peak
        b = d - z
        low = (z - (d - b)) - (peak + b)
        q = (d - tau) + (low - tau_low)
        return (q if q > 0.0 else 0.0) if tau == tau else tau

    @total(without="label")
    def others(prob):
        return prob

    @total(without="label")
    def squares(prob):
        return prob * prob

    @total
    def support(prob):
        return 1.0 if prob > 0.0 else 0.0

    def value(others, squares, prob_label, z_label, peak, tau, tau_low):
        d = peak - z_label
        b = d - peak
        low = (peak - (d - b)) - (z_label + b)
        short = (tau + d) + (tau_low + low)  # tau - z_y, where the label is not in the support
        beyond = (short if low - low == 0.0 else d) if prob_label == 0.0 else 0.0
        return 0.5 * (others * others + squares) + beyond

    def gradient(prob):
        return prob

    @at("label")
    def label_gradient(others, prob_label):
        return -(1.0 if prob_label == 0.0 else others)

    def hessian(prob, support):
        return (support - 1.0) / support if prob > 0.0 else nothing(prob)
