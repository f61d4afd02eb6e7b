"""Losses of a row of targets, most often a distribution over C classes, and a distribution that is predicted.

    y       targets >= 0; as a rule probabilities, but a row may sum to anything: each loss says what it is then
    p       probabilities >= 0 of the classes, for losses without an ending
    z       their logarithms (..._with_log_probs), or logits whose softmax they are (..._with_logits)

0 log 0 is 0. A class that the prediction rules out (p = 0) costs nothing where y is 0, and infinity elsewhere.

Two forms of divergence: the textbook's sum of y log(y / p), whose terms have both signs and which may be negative where the rows do not
sum to the same; and the generalised one, the sum of y log(y / p) - y + p, all of whose terms are >= 0. They agree on rows that sum to 1.
"""

from fastloss.losses.functions import exp, kl_div, log, log1pmx, log_ratio
from fastloss.losses.rowspec import Partition, each, largest, once, row_loss, total
from fastloss.losses.spec import INF, NONNEGATIVE, REAL, UNIT, Interval, Parameter

TEMPERATURE = Parameter(1.0, Interval(0.0, INF, open_low=True, open_high=True), "logits are divided by it", usual=1.0)


def heated(z, temperature):
    return z if temperature == 1.0 else z / temperature


def ratio(a, b):
    """a / b with 0 / 0 = 0."""
    return 0.0 if a == 0.0 and b == b else a / b


def log_of_ratio(a, b, log_b):
    """log(a / b) for b = exp(log_b), which may be too small to be told from 0."""
    return log_ratio(a, b) if b > 1e-37 and b < 1e37 else log(a) - log_b


def divergence(a, b, change, log_a_b):
    """a log(a / b) - a + b >= 0 for b = a + change: a phi(x), x = change / a, phi(x) = x - log1p(x); farther off by log(a / b)."""
    x = change / a
    return (-a * log1pmx(x) if abs(x) < 0.5 else a * log_a_b + change) if a != 0.0 else b


def excess(p, others, y):
    """p - y for a probability p and 1 - p, which is not formed as that: what a confident class lacks to 1 is not lost."""
    return p * (1.0 - y) - y * others


def remaining(j, at, top, others, x):
    """The sum of a row less one class's number x, never formed as that: ``top`` is the largest, at ``at``, ``others`` the sum without."""
    return others if j == at else top + (others - x)


@row_loss(
    family="distributions", targets=NONNEGATIVE, scores=REAL, weights=True,
    aliases=("categorical_cross_entropy", "cross_entropy_with_probabilities", "softmax_cross_entropy_with_probabilities"),
    formula="sum_j c_j t_j (-log p_j), t = (1 - label_smoothing) y + label_smoothing / C, p = softmax(z / temperature)",
    source="Hinton, Vinyals & Dean 2015; torch.nn.functional.cross_entropy with probabilities",
    notes="Rows y that do not sum to 1 are taken as they are, as torch does: the gradient is then p sum(w) - w, w = c t. Class weights do "
    "not enter the mean's denominator, as in torch. The Hessian is the diagonal of the matrix. A temperature that is no power of two adds "
    "up to |z / temperature| ULP to the error of losses, and twice that to the gradients'.",
    examples=(
        ((0.5, 0.5), (0.0, 0.0), 0.6931471805599453), ((0.0, 0.0, 1.0), (1.0, 2.0, 3.0), 0.4076059644443803),
        ((0.0, 1.0), (0.0, 0.0), 0.6931471805599453, {"label_smoothing": 0.5}),
    ),
)  # fmt: skip
class SoftLabelCrossEntropy:
    """Cross-entropy of C logits and a distribution over the classes: label smoothing, mixup, annotators who disagree."""

    temperature = TEMPERATURE
    label_smoothing = Parameter(0.0, UNIT, "share of the target that is spread over all classes", usual=0.0)

    @each
    def u(z, temperature):
        return heated(z, temperature)

    @each
    def w(y, c, label_smoothing, classes):
        return c * (y if label_smoothing == 0.0 else (1.0 - label_smoothing) * y + label_smoothing / classes)

    partition = Partition("u")

    @largest
    def w_top(w):
        return w

    @total
    def w_others(w, j, w_top_at):
        return 0.0 if j == w_top_at else w

    @total
    def gaps(w, u, top):
        return 0.0 if w == 0.0 else w * (top - u)

    @once
    def mass(w_top, w_others):
        return w_top + w_others

    def value(gaps, mass, log_rest):
        return gaps + (0.0 if mass == 0.0 and log_rest == log_rest else mass * log_rest)

    def gradient(j, w, w_top, w_top_at, w_others, e, e_top, rest, norm, top_at, temperature):
        p = e * norm
        # p sum(w) - w, as a difference of terms that do not cancel for hard labels
        slope = p * remaining(j, w_top_at, w_top, w_others, w) - w * (norm * remaining(j, top_at, e_top, rest, e))
        return slope if temperature == 1.0 else slope / temperature

    def hessian(j, mass, e, e_top, rest, norm, top_at, temperature):
        spread = mass * (e * norm) * (norm * remaining(j, top_at, e_top, rest, e))
        return spread if temperature == 1.0 else spread / temperature / temperature


@row_loss(
    family="distributions", targets=NONNEGATIVE, scores=NONNEGATIVE, aliases=("kullback_leibler_divergence", "relative_entropy"),
    formula="sum_j y_j log(y_j / p_j)", source="Kullback & Leibler 1951; scipy.stats.entropy, keras.losses.KLDivergence",
    notes="From probabilities; torch.nn.functional.kl_div, of log-probabilities, is kl_divergence_with_log_probs. The textbook's form for "
    "any row sums: near p = y what is left is a difference of terms of both signs, and the rows' own rounding; generalized_kl_divergence "
    "is the same for rows that sum to 1, and accurate there. Nothing is clipped or normalised.",
    examples=(((0.5, 0.5), (0.25, 0.75), 0.14384103622589042), ((1.0, 0.0), (0.5, 0.5), 0.6931471805599453), ((0.5, 0.5), (1.0, 0.0), INF)),
)  # fmt: skip
class KlDivergence:
    """Kullback-Leibler divergence of predicted probabilities from a target distribution."""

    @total
    def cost(y, z):
        return 0.0 if y == 0.0 and z == z else y * log_ratio(y, z)

    def value(cost):
        return cost

    def gradient(y, z):
        return 0.0 - ratio(y, z)

    def hessian(y, z):
        return ratio(ratio(y, z), z)


@row_loss(
    family="distributions", targets=NONNEGATIVE, scores=REAL, aliases=("kl_div", "kl_divergence_from_log_probs"),
    formula="sum_j y_j (log y_j - z_j), z = log p", source="torch.nn.functional.kl_div, reduction='batchmean'; optax.losses.kl_divergence",
    notes="The textbook's form for any row sums; see kl_divergence. As in torch the gradient is -y and the Hessian 0; what keeps z a "
    "distribution is the log_softmax before it. torch's reduction='mean' divides by N C, which is not the divergence.",
    examples=(((0.5, 0.5), (-1.3862943611198906, -0.2876820724517809), 0.14384103622589042), ((0.0, 1.0), (-INF, 0.0), 0.0)),
)  # fmt: skip
class KlDivergenceWithLogProbs:
    """Kullback-Leibler divergence of predicted log-probabilities from a target distribution."""

    @total
    def cost(y, z):
        return 0.0 if y == 0.0 and z == z else y * log_of_ratio(y, exp(z), z)

    def value(cost):
        return cost

    def gradient(y, z):
        return -y if z == z else z

    def hessian(y, z):
        return 0.0 if z == z and y == y else y + z


@row_loss(
    family="distributions", targets=REAL, scores=REAL, aliases=("kl_div_with_log_targets",),
    formula="sum_j exp(y_j) (y_j - z_j), y = log q, z = log p",
    source="torch.nn.functional.kl_div, log_target=True; optax.losses.kl_divergence_with_log_targets",
    notes="Both rows are log-probabilities. The textbook's form for any row sums; see kl_divergence.",
    examples=(((-0.6931471805599453, -0.6931471805599453), (-1.3862943611198906, -0.2876820724517809), 0.14384103622589042),),
)  # fmt: skip
class KlDivergenceWithLogTargets:
    """Kullback-Leibler divergence of predicted log-probabilities from target log-probabilities."""

    @total
    def cost(y, z):
        return 0.0 if y == -INF and z == z else (INF if y - z == INF else exp(y) * (y - z))

    def value(cost):
        return cost

    def gradient(y, z):
        return -exp(y) if z == z else z

    def hessian(y, z):
        return 0.0 if z == z and y == y else y + z


@row_loss(
    family="distributions", targets=NONNEGATIVE, scores=NONNEGATIVE, aliases=("generalised_kl_divergence", "i_divergence"),
    formula="sum_j y_j log(y_j / p_j) - y_j + p_j", source="Csiszar 1975; scipy.special.kl_div",
    notes="Rows may sum to anything: it is 0 only at p = y, and accurate near it. For rows that sum to 1 it is kl_divergence, but the "
    "gradient is 1 - y / p, not -y / p. optax.losses.generalized_kl_divergence takes logs: generalized_kl_divergence_with_log_probs.",
    examples=(((0.5, 0.5), (0.25, 0.75), 0.14384103622589042), ((2.0, 0.0), (1.0, 1.0), 1.3862943611198906), ((1.0, 1.0), (0.0, 1.0), INF)),
)  # fmt: skip
class GeneralizedKlDivergence:
    """Kullback-Leibler divergence of measures that need not sum to 1 (the sum over classes of half a Poisson deviance)."""

    @total
    def cost(y, z):
        return kl_div(y, z)

    def value(cost):
        return cost

    def gradient(y, z):
        return 1.0 if y == 0.0 and z == z else (z - y) / z

    def hessian(y, z):
        return ratio(ratio(y, z), z)


@row_loss(
    family="distributions", targets=NONNEGATIVE, scores=REAL,
    formula="sum_j y_j (log y_j - z_j) - y_j + exp(z_j), z = log p", source="optax.losses.generalized_kl_divergence",
    notes="Rows may sum to anything; see generalized_kl_divergence. The gradient exp(z) - y needs no log_softmax before it.",
    examples=(((0.5, 0.5), (-1.3862943611198906, -0.2876820724517809), 0.14384103622589042), ((0.0, 1.0), (0.0, 0.0), 1.0)),
)  # fmt: skip
class GeneralizedKlDivergenceWithLogProbs:
    """Generalised Kullback-Leibler divergence from predicted logarithms."""

    @total
    def cost(y, z):
        return divergence(y, exp(z), exp(z) - y, log_of_ratio(y, exp(z), z))

    def value(cost):
        return cost

    def gradient(y, z):
        return exp(z) - y

    def hessian(y, z):
        return exp(z) + 0.0 * y


@row_loss(
    family="distributions", targets=NONNEGATIVE, scores=REAL, aliases=("kl_divergence_from_logits", "half_multinomial_deviance"),
    formula="sum_j y_j log(y_j / p_j) - y_j + p_j, p = softmax(z)", source="Kullback & Leibler 1951; Liger-Kernel LigerKLDIVLoss",
    notes="The generalised form: rows y that do not sum to 1 have the terms -y + p. soft_label_cross_entropy less the entropy of y; the "
    "gradients are the same, p sum(y) - y. A teacher's logits instead of y: distillation.",
    examples=(((0.5, 0.5), (0.0, 1.0986122886681098), 0.14384103622589042), ((1.0, 0.0), (0.0, 0.0), 0.6931471805599453)),
)  # fmt: skip
class KlDivergenceWithLogits:
    """Kullback-Leibler divergence of the softmax of logits from a target distribution: 0 where they agree."""

    partition = Partition("z")

    @largest
    def y_top(y):
        return y

    @total
    def y_others(y, j, y_top_at):
        return 0.0 if j == y_top_at else y

    @total
    def cost(j, y, z, e, e_top, rest, norm, top, top_at, log_rest):
        p = e * norm
        return divergence(y, p, excess(p, norm * remaining(j, top_at, e_top, rest, e), y), log_of_ratio(y, p, (z - top) - log_rest))

    def value(cost):
        return cost

    def gradient(j, y, y_top, y_top_at, y_others, e, e_top, rest, norm, top_at):
        return e * norm * remaining(j, y_top_at, y_top, y_others, y) - y * (norm * remaining(j, top_at, e_top, rest, e))

    def hessian(j, y_top, y_others, e, e_top, rest, norm, top_at):
        return (y_top + y_others) * (e * norm) * (norm * remaining(j, top_at, e_top, rest, e))
