"""Relatives of cross-entropy: functions of softmax's probability p of the label's class. z is a row of logits.

1 - p is the sum of the other probabilities (one_minus_p), and -log p = (top - z_y) + log(1 + rest / e_top), so that a confident
prediction, right or wrong, keeps all digits. The derivatives of p are p (1 - p) by its own logit and -p p_j by another.
"""

from fastloss.losses.functions import exp_product, expm1, log1pmx, pow
from fastloss.losses.multiclass import one_minus_p, weighed
from fastloss.losses.rowspec import LABELS, Partition, at, each, once, row_loss, total
from fastloss.losses.spec import INF, REAL, Interval, Parameter, Switch

GAMMA = Interval(0.0, INF, open_high=True)
Q = Interval(0.0, 1.0, open_low=True)
EPSILON = Interval(-1.0, INF, open_high=True)


def log_loss(top, z_label, log_rest):
    """-log p."""
    return (top - z_label) + log_rest


def own_p(e_label, norm):
    """p of the label's class."""
    return e_label * norm


def rest_of(j, top_at, rest, norm, p):
    """1 - p_j of any class."""
    return rest * norm if j == top_at else 1.0 - p


def raised(x, gamma):
    return x * x if gamma == 2.0 else pow(x, gamma)


@row_loss(
    family="multiclass", targets=LABELS, scores=REAL, weights=True,
    aliases=("softmax_focal_loss", "multiclass_focal", "categorical_focal_crossentropy"),
    formula="c_y (1 - p_y)**gamma (-log p_y), p = softmax(z)",
    source="Lin et al. 2017; keras.losses.CategoricalFocalCrossentropy(from_logits)",
    notes="Keras's alpha, one number or one per class, is class_weight here (None: 1; Keras: 0.25); the mean divides by the sum of c_y. "
    "(1 - p)**gamma magnifies the rounding of 1 - p by gamma. The Hessian may be negative.",
    examples=((0, (0.0, 0.0), 0.17328679513998632), (0, (0.0, 0.0), 0.6931471805599453, {"gamma": 0.0})),
)  # fmt: skip
class CategoricalFocal:
    """Cross-entropy of softmax, faded out where the prediction is already right."""

    gamma = Parameter(2.0, GAMMA, "focusing exponent; 0 is cross-entropy", usual=2.0)

    partition = Partition("z")
    own, ce, others = once(own_p), once(log_loss), once(one_minus_p)

    @once
    def fade(others, gamma, c_label):
        return c_label * raised(others, gamma)

    @once
    def ratio(own, ce, others):
        # p (-log p) / (1 - p): 1 for a certain right prediction, 0 for a certain wrong one
        return (0.0 if own == 0.0 else own * ce) / others if others > 0.0 else 1.0

    def value(fade, ce, others):
        return weighed(fade, ce) if others == others else others

    def gradient(e, norm, fade, gamma, ratio):
        return e * norm * (fade * (1.0 + gamma * ratio))

    @at("label")
    def label_gradient(others, fade, gamma, ratio):
        return -others * (fade * (1.0 + gamma * ratio))

    def hessian(e, norm, j, top_at, rest, fade, gamma, ratio, own, ce, others):
        q = e * norm
        share = q / others if others > 0.0 else 0.0
        bend = share * (gamma * ((0.0 if own == 0.0 else own * ce) - 2.0 * own - (gamma - 1.0) * own * ratio))
        return q * fade * (rest_of(j, top_at, rest, norm, q) * (1.0 + gamma * ratio) - bend)

    @at("label", "hessian")
    def label_hessian(own, ce, others, fade, gamma, ratio):
        return others * fade * (own * (1.0 + 2.0 * gamma + gamma * gamma * ratio) - gamma * (0.0 if own == 0.0 else own * ce))


@row_loss(
    family="multiclass", targets=LABELS, scores=REAL, aliases=("gce", "categorical_generalized_cross_entropy"),
    formula="(1 - p_y**q) / q, p = softmax(z)",
    source="Zhang & Sabuncu 2018; keras.losses.CategoricalGeneralizedCrossEntropy (from probabilities, q=0.5)",
    notes="q -> 0 is cross-entropy, q = 1 is 1 - p, half the L1 distance. The Hessian may be negative.",
    examples=((0, (0.0, 0.0), 0.5, {"q": 1.0}), (1, (0.0, 0.0), 0.5857864376269049, {"q": 0.5})),
)  # fmt: skip
class GeneralizedCrossEntropy:
    """Between cross-entropy and absolute error of the label's probability: bounded, so wrong labels weigh less."""

    q = Parameter(0.7, Q, "0 (excluded): cross-entropy, 1: absolute error")

    partition = Partition("z")
    own, ce, others = once(own_p), once(log_loss), once(one_minus_p)

    @once
    def root(top, z_label, e_top, norm, q):
        # p**q = exp(-q (top - z_y)) p_top**q, with what the difference's rounding lost: exp would make much of it
        d = top - z_label
        b = d - top
        low = (top - (d - b)) - (z_label + b)
        far = exp_product(-q, min(d, 1e30)) * (1.0 - (q * low if low - low == 0.0 else 0.0))
        return far * pow(e_top * norm, q) if d == d else d

    def value(ce, q):
        return -expm1(-q * ce) / q

    def gradient(e, norm, root):
        return e * norm * root

    @at("label")
    def label_gradient(others, root):
        return -others * root

    def hessian(e, norm, j, top_at, rest, root, q):
        r = e * norm
        return root * r * (rest_of(j, top_at, rest, norm, r) - q * r)

    @at("label", "hessian")
    def label_hessian(own, others, root, q):
        return root * others * (own - q * others)


@row_loss(
    family="multiclass", targets=LABELS, scores=REAL, aliases=("poly1", "poly_loss", "poly_loss_cross_entropy"),
    formula="-log p_y + epsilon (1 - p_y), p = softmax(z)", source="Leng et al. 2022; optax.poly_loss_cross_entropy",
    notes="The Hessian may be negative.",
    examples=((0, (0.0, 0.0), 1.6931471805599454), (0, (0.0, 0.0), 0.6931471805599453, {"epsilon": 0.0})),
)  # fmt: skip
class Poly1CrossEntropy:
    """Cross-entropy with the first coefficient of its expansion in 1 - p changed by epsilon."""

    epsilon = Parameter(2.0, EPSILON, "what is added to the coefficient of 1 - p; 0 is cross-entropy")

    partition = Partition("z")
    own, ce, others = once(own_p), once(log_loss), once(one_minus_p)

    @once
    def slope(own, others, epsilon):
        # 1 + epsilon p; near epsilon = -1 in the form that keeps its digits where p is near 1
        return (1.0 + epsilon) - epsilon * others if epsilon < 0.0 else 1.0 + epsilon * own

    def value(ce, others, epsilon):
        # -log p - (1 - p), of which a negative epsilon leaves the larger part, cancels where p is near 1
        excess = -log1pmx(-others) if others < 0.5 else ce - others
        bent = (0.0 if epsilon == -1.0 else (1.0 + epsilon) * ce) - epsilon * excess
        return bent if epsilon < 0.0 else ce + epsilon * others

    def gradient(e, norm, slope):
        return e * norm * slope

    @at("label")
    def label_gradient(others, slope):
        return -others * slope

    def hessian(e, norm, j, top_at, rest, slope, own, epsilon):
        q = e * norm
        return q * (rest_of(j, top_at, rest, norm, q) * slope - epsilon * own * q)

    @at("label", "hessian")
    def label_hessian(own, others, slope, epsilon):
        return own * others * (slope - epsilon * others)


@row_loss(
    family="multiclass", targets=LABELS, scores=REAL, aliases=("brier_from_logits",),
    formula="(1 - p_y)**2 + sum_{j != y} p_j**2, halved if scale_by_half, p = softmax(z)", source="Brier 1950",
    notes="From probabilities use multiclass_brier. The Hessian is the diagonal of the matrix, and may be negative.",
    examples=((0, (0.0, 0.0), 0.5), (0, (0.0, 0.0), 0.25, {"scale_by_half": True})),
)  # fmt: skip
class SoftmaxBrier:
    """The squared error of softmax's probabilities: a bounded, proper score of logits."""

    scale_by_half = Switch(False, "halve it, so that it is in [0, 1]")

    partition = Partition("z")
    own, others = once(own_p), once(one_minus_p)

    @each
    def prob(e, norm):
        return e * norm

    @total(without="label")
    def squares(prob):
        return prob * prob

    @total(without="label")
    def small(prob, j, top_at):
        return 0.0 if j == top_at else prob * prob

    def value(others, squares, scale_by_half):
        return (others * others + squares) * (0.5 if scale_by_half == 1.0 else 1.0)

    def gradient(prob, squares, own, others, scale_by_half):
        return prob * ((prob - squares) + own * others) * (1.0 if scale_by_half == 1.0 else 2.0)

    @at("top")
    def top_gradient(e_top, norm, rest, small, own, others, scale_by_half):
        # p_j - sum of squares, whose largest is its own: p_j (1 - p_j) - the others
        q = e_top * norm
        return q * ((q * (rest * norm) - small) + own * others) * (1.0 if scale_by_half == 1.0 else 2.0)

    @at("label")
    def label_gradient(own, others, squares, scale_by_half):
        return -own * (others * others + squares) * (1.0 if scale_by_half == 1.0 else 2.0)

    # d p_j = p_j (1 - p_j) d z_j. With a the bracket of the gradient, p_j a, and r = 1 - p_j, the second derivative is
    # 2 p_j (a (r - 2 p_j) + p_j (r + p_y)), and of the label's class 2 p_y (2 p_y - r) (r**2 + the other squares).

    def hessian(prob, j, top_at, rest, norm, squares, own, others, scale_by_half):
        r = rest_of(j, top_at, rest, norm, prob)
        a = (prob - squares) + own * others
        return prob * (a * (r - 2.0 * prob) + prob * (r + own)) * (1.0 if scale_by_half == 1.0 else 2.0)

    @at("top", "hessian")
    def top_hessian(e_top, norm, rest, small, own, others, scale_by_half):
        q = e_top * norm
        r = rest * norm
        a = (q * r - small) + own * others
        return q * (a * (r - 2.0 * q) + q * (r + own)) * (1.0 if scale_by_half == 1.0 else 2.0)

    @at("label", "hessian")
    def label_hessian(own, others, squares, scale_by_half):
        return own * (2.0 * own - others) * (others * others + squares) * (1.0 if scale_by_half == 1.0 else 2.0)
