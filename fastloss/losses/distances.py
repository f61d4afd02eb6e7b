"""Distances of rows: total variation and the ranked probability score of distributions, the angle between vectors, and how far one
softmax is from another (distillation). What y, p and z are is said in distributions.py."""

from fastloss.losses.distributions import TEMPERATURE, divergence, excess, heated, remaining
from fastloss.losses.functions import exp, log_ratio, sqrt
from fastloss.losses.rowspec import Last, Partition, each, largest, once, row_loss, running, total
from fastloss.losses.spec import INF, NONNEGATIVE, REAL, Switch


def sign(x):
    return 1.0 if x > 0.0 else (-1.0 if x < 0.0 else 0.0 * x)


def directionless(y_most, z_most):
    """1 if one of two vectors is 0 and neither holds a NaN."""
    return 1.0 if (y_most == 0.0 or z_most == 0.0) and y_most == y_most and z_most == z_most else 0.0


@row_loss(
    family="distributions", targets=NONNEGATIVE, scores=NONNEGATIVE, aliases=("total_variation_distance", "tvd"),
    formula="1/2 sum_j |p_j - y_j|", source="Levin & Peres 2017; Liger-Kernel LigerTVDLoss",
    notes="Rows that do not sum to 1 are taken as they are. The gradient at p = y is 0; the Hessian is 0 wherever there is one.",
    examples=(((1.0, 0.0), (0.0, 1.0), 1.0), ((0.5, 0.5), (0.25, 0.75), 0.25)),
)  # fmt: skip
class TotalVariation:
    """Total variation distance of predicted probabilities: the largest difference of the probabilities of any set of classes."""

    @total
    def cost(y, z):
        return abs(z - y)

    def value(cost):
        return 0.5 * cost

    def gradient(y, z):
        return 0.5 * sign(z - y)


@row_loss(
    family="distributions", targets=NONNEGATIVE, scores=REAL, aliases=("total_variation_distance_with_log_probs",),
    formula="1/2 sum_j |exp(z_j) - y_j|", source="Levin & Peres 2017",
    notes="The gradient is with respect to the log-probability: sign(p - y) p / 2.",
    examples=(((1.0, 0.0), (-INF, 0.0), 1.0), ((0.5, 1.0), (0.0, 0.0), 0.25)),
)  # fmt: skip
class TotalVariationWithLogProbs:
    """Total variation distance of predicted log-probabilities."""

    @total
    def cost(y, z):
        return abs(exp(z) - y)

    def value(cost):
        return 0.5 * cost

    def gradient(y, z):
        return 0.5 * sign(exp(z) - y) * exp(z)


@row_loss(
    family="distributions", targets=NONNEGATIVE, scores=REAL, aliases=("total_variation_distance_with_logits",),
    formula="1/2 sum_j |p_j - y_j|, p = softmax(z)", source="Levin & Peres 2017",
    notes="The sign in the gradient is that of p - y as computed: within the rounding of p it may be either.",
    examples=(((1.0, 0.0), (-INF, 0.0), 1.0), ((0.25, 0.75), (0.0, 0.0), 0.25)),
)  # fmt: skip
class TotalVariationWithLogits:
    """Total variation distance of the softmax of logits."""

    partition = Partition("z")

    @each
    def gap(j, y, e, e_top, rest, norm, top_at):
        return excess(e * norm, norm * remaining(j, top_at, e_top, rest, e), y)

    @total
    def cost(gap):
        return abs(gap)

    @total
    def over(gap, e):
        return e if gap > 0.0 else 0.0

    @total
    def under(gap, e):
        return e if gap < 0.0 else 0.0

    @total
    def level(gap, e):
        return 0.0 if gap < 0.0 or gap > 0.0 else e

    def value(cost):
        return 0.5 * cost

    def gradient(gap, e, norm, over, under, level):
        # p_j (s_j - sum_k p_k s_k) / 2 for signs s: what is subtracted from 1 is what the others have
        s = 2.0 * under + level if gap > 0.0 else (0.0 - 2.0 * over - level if gap < 0.0 else under - over)
        return 0.5 * (e * norm) * (s * norm) + 0.0 * gap


@row_loss(
    family="distributions", targets=NONNEGATIVE, scores=NONNEGATIVE, aliases=("squared_emd", "cramer_distance"),
    formula="sum_{k < C} (sum_{j <= k} p_j - y_j)**2, divided by C - 1 where normalized", source="Cramer 1928; Hou et al. 2016",
    notes="For classes in order; of a label instead of a distribution it is the ranked_probability_score. "
    "The last cumulated difference, 0 for rows of equal sums, does not count, whatever the rows sum to.",
    examples=(((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), 2.0), ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), 1.0, {"normalized": True})),
)  # fmt: skip
class SquaredEarthMoversDistance:
    """Squared distance of cumulated probabilities: a wrong class costs the more, the farther off it is."""

    normalized = Switch(False, "True: divided by C - 1, so that the score is at most 1")

    @running
    def predicted(z):
        return z

    @running
    def observed(y):
        return y

    @each
    def gap(predicted, predicted_low, observed, observed_low, j, classes):
        apart = (predicted - observed) + (predicted_low - observed_low)
        return apart if j < classes - 1.0 else 0.0 * apart

    @running
    def gaps(gap):
        return gap

    whole = Last("gaps")

    @total
    def squares(gap):
        return gap * gap

    def value(squares, normalized, classes):
        return squares if normalized == 0.0 else squares / (classes - 1.0)

    def gradient(gap, gaps, gaps_low, whole, whole_low, normalized, classes):
        # class j is in the sums from j to C - 1: in all but what was summed before it
        slope = 2.0 * (((whole - gaps) + (whole_low - gaps_low)) + gap)
        return slope if normalized == 0.0 else slope / (classes - 1.0)

    def hessian(j, y, z, normalized, classes):
        steps = 2.0 * (classes - 1.0 - j)
        return (steps if normalized == 0.0 else steps / (classes - 1.0)) + 0.0 * (y + z)


@row_loss(
    family="vectors", targets=REAL, scores=REAL, aliases=("cosine_loss",),
    formula="1 - cos(y, z), cos = sum_j y_j z_j / (|y| |z|)", source="optax.losses.cosine_distance; scipy.spatial.distance.cosine",
    notes="Neither row needs to be of length 1. A row of zeros has no direction: its cosine is 0, the distance 1 and the gradient 0, as "
    "in torch and sklearn. keras.losses.CosineSimilarity is this minus 1. Near 0 it is half the squared distance of the unit vectors.",
    examples=(((1.0, 0.0), (0.0, 2.0), 1.0), ((1.0, 1.0), (3.0, 3.0), 0.0), ((1.0, 0.0), (-2.0, 0.0), 2.0), ((0.0, 0.0), (1.0, 2.0), 1.0)),
)  # fmt: skip
class CosineDistance:
    """One minus the cosine of the angle between two rows."""

    @largest
    def z_most(z):
        return abs(z)

    @largest
    def y_most(y):
        return abs(y)

    @total
    def z_square(z, z_most):
        # relative to the largest, so that squares neither overflow nor vanish
        s = 0.0 if z == 0.0 else z / z_most
        return s * s

    @total
    def y_square(y, y_most):
        s = 0.0 if y == 0.0 else y / y_most
        return s * s

    @once
    def z_unit(z_square):
        return sqrt(z_square)

    @once
    def y_unit(y_square):
        return sqrt(y_square)

    @each
    def apart(y, z, y_most, z_most, y_unit, z_unit):
        return (z / z_most) / z_unit - (y / y_most) / y_unit

    @total
    def squares(apart, y_most, z_most):
        return 0.0 if y_most == 0.0 or z_most == 0.0 else apart * apart

    def value(squares, y_most, z_most):
        # |a - b|**2 / 2 = 1 - cos for unit vectors
        return 1.0 if directionless(y_most, z_most) == 1.0 else 0.5 * squares

    def gradient(z, apart, squares, y_most, z_most, z_unit):
        # (cos a - b) / |z| = (a - b - (1 - cos) a) / |z|
        return 0.0 if directionless(y_most, z_most) == 1.0 else (apart - 0.5 * squares * (z / z_most / z_unit)) / z_most / z_unit


@row_loss(
    family="distributions", targets=REAL, scores=REAL, aliases=("knowledge_distillation", "distillation_loss"),
    formula="T**2 sum_j q_j log(q_j / p_j), q = softmax(y / T), p = softmax(z / T), T = temperature",
    source="Hinton, Vinyals & Dean 2015",
    notes="y: the teacher's logits. The gradient, T (p - q), is that of the student alone. The factor T**2 keeps it of one size for any "
    "T; libraries that leave it out have 1 / T**2 of this. A T that is no power of two rounds z / T first: errors grow with |z / T|.",
    examples=(((0.0, 0.0), (0.0, 1.0986122886681098), 0.14384103622589042), ((5.0, 7.0), (-1.0, 1.0), 0.0)),
)  # fmt: skip
class Distillation:
    """Kullback-Leibler divergence of a student's softmax from a teacher's, both given as logits and softened by a temperature."""

    temperature = TEMPERATURE

    @each
    def u(z, temperature):
        return heated(z, temperature)

    @each
    def v(y, temperature):
        return heated(y, temperature)

    partition = Partition("u")
    teacher = Partition("v", prefix="t_")

    @each
    def gap(j, e, norm, e_top, rest, top_at, t_e, t_norm, t_e_top, t_rest, t_top_at):
        # p - q = p (1 - q) - q (1 - p): keeps what confident teachers and students leave to the others
        others = t_norm * remaining(j, t_top_at, t_e_top, t_rest, t_e)
        return e * norm * others - t_e * t_norm * (norm * remaining(j, top_at, e_top, rest, e))

    @total
    def cost(u, top, log_rest, e, norm, v, t_top, t_log_rest, t_e, t_norm, gap):
        q = t_e * t_norm
        p = e * norm
        apart = ((v - t_top) - t_log_rest) - ((u - top) - log_rest)
        some = divergence(q, p, gap, log_ratio(q, p) if p > 1e-37 and q > 1e-37 else apart)
        return INF if u == -INF and v > -INF and p == p and q == q else some

    def value(cost, temperature):
        return cost if temperature == 1.0 else temperature * temperature * cost

    def gradient(gap, temperature):
        return gap if temperature == 1.0 else temperature * gap

    def hessian(j, e, norm, e_top, rest, top_at):
        return e * norm * (norm * remaining(j, top_at, e_top, rest, e))
