"""More of what lies between two distributions: the other direction, symmetric and bounded divergences, distances of cumulated shares,
and the distillation of one softmax into another. What y, p and z are is said in distributions.py, and so are the two forms.

Where p is a softmax, a loss that has slope s_j = d loss / d p_j has the gradient p_j (s_j - sum_k p_k s_k). A confident class has nearly
all of that sum: p_top s_top is kept apart from it, so that for that class s_top (1 - p_top) remains, and 1 - p_top is never formed as that.
"""

from fastloss.losses.distributions import divergence, excess, ratio, remaining
from fastloss.losses.functions import exp, log, log1p, log1pmx, log_ratio
from fastloss.losses.rowspec import Partition, each, row_loss, total
from fastloss.losses.spec import INF, NONNEGATIVE, REAL, Interval, Parameter

BETA = Parameter(0.5, Interval(0.0, 1.0, open_low=True, open_high=True), "weight of the target in the mixture, and of its divergence")


def log_of_share(p, y, log_p):
    """log(p / y) for p = exp(log_p), which may be too small to be told from 0."""
    return log_ratio(p, y) if p > 1e-37 and p < 1e37 else log_p - log(y)


def scaled(y, z, more):
    """p (log(p / y) + more) for p = exp(z), infinite where y is 0, even where p is too small to be told from 0."""
    slope = log_of_share(exp(z), y, z) + more
    return 0.0 if z == -INF and y == y else (INF if slope == INF else exp(z) * slope)


def side(a, m, change):
    """a log(a / m) - a + m >= 0 for m = a + change."""
    x = change / a
    return (-a * log1pmx(x) if abs(x) < 0.5 else a * log_ratio(a, m) + change) if a != 0.0 else m


def mixed(y, p, gap, beta):
    """One class's share of the Jensen-Shannon divergence; differences from the mixture are that of y and p, gap = p - y, scaled."""
    m = beta * y + (1.0 - beta) * p
    return beta * side(y, m, (1.0 - beta) * gap) + (1.0 - beta) * side(p, m, -beta * gap)


def mixed_slope(y, p, gap, beta):
    """(1 - beta) log(p / m)"""
    m = beta * y + (1.0 - beta) * p
    x = beta * gap / m
    far = log_ratio(p, m)
    return (1.0 - beta) * (-log1p(-beta) if y == 0.0 and p == p else (log1p(x) if abs(x) < 0.5 else far))


@row_loss(
    family="distributions", targets=NONNEGATIVE, scores=NONNEGATIVE, aliases=("reverse_kl",),
    formula="sum_j p_j log(p_j / y_j)", source="Minka 2005",
    notes="The textbook's form for any row sums, with the gradient log(p / y) + 1; infinite where y is 0 and p is not.",
    examples=(((0.25, 0.75), (0.5, 0.5), 0.14384103622589042), ((0.5, 0.5), (1.0, 0.0), 0.6931471805599453), ((1.0, 0.0), (0.5, 0.5), INF)),
)  # fmt: skip
class ReverseKlDivergence:
    """Kullback-Leibler divergence of the target from predicted probabilities: the direction that seeks modes."""

    @total
    def cost(y, z):
        return 0.0 if z == 0.0 and y == y else z * log_ratio(z, y)

    def value(cost):
        return cost

    def gradient(y, z):
        return 1.0 if y == z else log_ratio(z, y) + 1.0  # of two zeros, too

    def hessian(y, z):
        return 1.0 / z + 0.0 * y


@row_loss(
    family="distributions", targets=NONNEGATIVE, scores=REAL, aliases=("reverse_kl_with_log_probs",),
    formula="sum_j p_j log(p_j / y_j), p = exp(z)", source="Minka 2005",
    notes="The textbook's form for any row sums; the gradient is with respect to the log-probability: p (log(p / y) + 1).",
    examples=(((0.25, 0.75), (-0.6931471805599453, -0.6931471805599453), 0.14384103622589042), ((0.0, 1.0), (-INF, 0.0), 0.0)),
)  # fmt: skip
class ReverseKlDivergenceWithLogProbs:
    """Reverse Kullback-Leibler divergence of predicted log-probabilities."""

    @total
    def cost(y, z):
        return scaled(y, z, 0.0)

    def value(cost):
        return cost

    def gradient(y, z):
        return scaled(y, z, 1.0)

    def hessian(y, z):
        return scaled(y, z, 2.0)


@row_loss(
    family="distributions", targets=NONNEGATIVE, scores=REAL, aliases=("reverse_kl_with_logits",),
    formula="sum_j p_j log(p_j / y_j) - p_j + y_j, p = softmax(z)", source="Gu et al. 2024 (MiniLLM)",
    notes="The generalised form: rows y that do not sum to 1 have the terms -p + y, which do not touch the gradient. Infinite, with "
    "infinite or NaN gradients, where y is 0 and p is not.",
    examples=(((0.25, 0.75), (0.0, 0.0), 0.14384103622589042), ((0.0, 1.0), (-INF, 0.0), 0.0)),
)  # fmt: skip
class ReverseKlDivergenceWithLogits:
    """Reverse Kullback-Leibler divergence of the softmax of logits."""

    partition = Partition("z")

    @each
    def slope(y, z, e, norm, top, log_rest):
        return 0.0 if z == -INF and y == y else log_of_share(e * norm, y, (z - top) - log_rest)

    @total
    def cost(j, y, z, e, e_top, rest, norm, top_at, slope):
        p = e * norm
        some = divergence(p, y, -excess(p, norm * remaining(j, top_at, e_top, rest, e), y), slope)
        return y if z == -INF and p == p else (INF if y == 0.0 and p == p else some)

    @total
    def top_share(j, top_at, e, norm, slope):
        return 0.0 if j != top_at or e * norm == 0.0 and slope == slope else e * norm * slope

    @total
    def other_shares(j, top_at, e, norm, slope):
        return 0.0 if j == top_at or e * norm == 0.0 and slope == slope else e * norm * slope

    def value(cost):
        return cost

    def gradient(j, e, norm, rest, top_at, slope, top_share, other_shares):
        s = slope * (rest * norm) if j == top_at else slope - top_share
        return 0.0 if e * norm == 0.0 and top_share == top_share and slope == slope else e * norm * (s - other_shares)


@row_loss(
    family="distributions", targets=NONNEGATIVE, scores=NONNEGATIVE, aliases=("jensen_shannon", "js_divergence", "jsd"),
    formula="sum_j beta y_j log(y_j / m_j) + (1 - beta) p_j log(p_j / m_j), m = beta y + (1 - beta) p",
    source="Lin 1991; Liger-Kernel LigerJSD",
    notes="The square of scipy.spatial.distance.jensenshannon at beta 1/2, of rows that sum to 1. For any rows both forms of divergence "
    "give the same: it is >= 0, and 0 only at p = y. Liger's limits beta 0 and 1 are kl_divergence and reverse_kl_divergence.",
    examples=(((1.0, 0.0), (0.0, 1.0), 0.6931471805599453), ((0.5, 0.5), (0.5, 0.5), 0.0)),
)  # fmt: skip
class JensenShannonDivergence:
    """Jensen-Shannon divergence of predicted probabilities: how far both are from their mixture."""

    beta = BETA

    @total
    def cost(y, z, beta):
        return mixed(y, z, z - y, beta)

    def value(cost):
        return cost

    def gradient(y, z, beta):
        return mixed_slope(y, z, z - y, beta)

    def hessian(y, z, beta):
        return (1.0 - beta) * beta * ratio(ratio(y, z), beta * y + (1.0 - beta) * z)


@row_loss(
    family="distributions", targets=NONNEGATIVE, scores=REAL, aliases=("jensen_shannon_with_log_probs",),
    formula="jensen_shannon_divergence of y and p = exp(z)", source="Lin 1991; Liger-Kernel LigerJSD",
    notes="The gradient is with respect to the log-probability: p (1 - beta) log(p / m).",
    examples=(((1.0, 0.0), (-INF, 0.0), 0.6931471805599453), ((1.0, 1.0), (0.0, 0.0), 0.0)),
)  # fmt: skip
class JensenShannonDivergenceWithLogProbs:
    """Jensen-Shannon divergence of predicted log-probabilities."""

    beta = BETA

    @total
    def cost(y, z, beta):
        return mixed(y, exp(z), exp(z) - y, beta)

    def value(cost):
        return cost

    def gradient(y, z, beta):
        return 0.0 if exp(z) == 0.0 and y == y else exp(z) * mixed_slope(y, exp(z), exp(z) - y, beta)


@row_loss(
    family="distributions", targets=NONNEGATIVE, scores=REAL, aliases=("jensen_shannon_with_logits",),
    formula="jensen_shannon_divergence of y and p = softmax(z)", source="Lin 1991; Agarwal et al. 2024 (generalised JSD)",
    examples=(((1.0, 0.0), (-INF, 0.0), 0.6931471805599453), ((0.5, 0.5), (1.0, 1.0), 0.0)),
)  # fmt: skip
class JensenShannonDivergenceWithLogits:
    """Jensen-Shannon divergence of the softmax of logits."""

    beta = BETA
    partition = Partition("z")

    @each
    def gap(j, y, e, e_top, rest, norm, top_at):
        return excess(e * norm, norm * remaining(j, top_at, e_top, rest, e), y)

    @each
    def slope(y, e, norm, gap, beta):
        return mixed_slope(y, e * norm, gap, beta)

    @total
    def cost(y, e, norm, gap, beta):
        return mixed(y, e * norm, gap, beta)

    @total
    def top_share(j, top_at, e, norm, slope):
        return 0.0 if j != top_at or e * norm == 0.0 and slope == slope else e * norm * slope

    @total
    def other_shares(j, top_at, e, norm, slope):
        return 0.0 if j == top_at or e * norm == 0.0 and slope == slope else e * norm * slope

    def value(cost):
        return cost

    def gradient(j, e, norm, rest, top_at, slope, top_share, other_shares):
        s = slope * (rest * norm) if j == top_at else slope - top_share
        return 0.0 if e * norm == 0.0 and top_share == top_share and slope == slope else e * norm * (s - other_shares)
