"""Losses of two classes. What y and p are is stated per loss:

    y   UNIT      0, 1 or anything between (soft labels)      p   a probability of class 1, in [0, 1]
        ZERO_ONE  0 or 1                                          or z, a logit (log-odds), any real number
        SIGN      -1 or +1                                        or z, a margin or score, any real number

A bool target serves them all. In the margin forms m = y z, positive where the sign is right.
"""

from fastloss.losses.functions import decay, exp, exp_product, log, log1p, pow, sigmoid, softplus
from fastloss.losses.spec import INF, POSITIVE, REAL, SIGN, UNIT, ZERO_ONE, Interval, Parameter, loss

OPEN_UNIT = Interval(0.0, 1.0, open_low=True, open_high=True)
HALF_OPEN = Interval(0.0, 0.5, open_high=True)
ALPHA = Parameter(
    None, OPEN_UNIT, "weight of class 1, the other getting 1 - alpha; None: both 1", names={None: -1.0}
)  # fmt: skip
GAMMA = Parameter(2.0, Interval(0.0, INF, open_high=True), "focusing exponent; 0 is cross-entropy", usual=2.0)


def class_weight(y, alpha):
    return 1.0 if alpha < 0.0 else (1.0 - alpha if y == 0.0 else alpha)


# Focal's (1 - q)**gamma = exp(-gamma softplus(m)), m the signed logit. softplus(m) = max(m, 0) + log1p(exp(-|m|)); the two parts are
# raised apart, because the rounding of gamma * softplus(m) alone would cost hundreds of ULP where the power is small.


def faded(m, gamma):
    """exp(-gamma max(m, 0)); the bound keeps gamma = 0 from meeting an infinity."""
    return exp_product(-gamma, min(max(m, 0.0), 1e30))


def grown(d, gamma):
    """(1 + d)**gamma, d = decay(m), by which that is yet to be divided."""
    return 1.0 + d * (2.0 + d) if gamma == 2.0 else exp(gamma * log1p(d))


def grown_more(d, gamma):
    """(1 + d)**(gamma + 1)"""
    return 1.0 + d * (3.0 + d * (3.0 + d)) if gamma == 2.0 else (1.0 + d) * exp(gamma * log1p(d))


def raised(u, gamma):
    return u * u if gamma == 2.0 else pow(u, gamma)


def smoothed(y, label_smoothing):
    return y if label_smoothing == 0.0 else y * (1.0 - label_smoothing) + 0.5 * label_smoothing


def clipped(p, clip):
    return min(max(p, clip), 1.0 - clip)


@loss(
    family="binary", target=UNIT, prediction=UNIT, aliases=("binary_log_loss", "binary_cross_entropy", "bce", "neg_log_likelihood"),
    formula="-y log(q) - (1 - y) log(1 - q), q = p clipped to [clip, 1 - clip]", source="Good 1952; sklearn.metrics.log_loss",
    notes="From probabilities; from logits use logistic. clip=0 is honest: a certain wrong prediction costs infinity. 'sklearn' clips at "
    "the machine epsilon of the dtype, 'keras' at 1e-7. Where p is clipped the loss is constant and the gradient 0.",
    examples=((1.0, 0.25, 1.3862943611198906), (0.0, 0.75, 1.3862943611198906), (1.0, 0.0, INF), (1.0, 1.0, 0.0)),
)  # fmt: skip
class LogLoss:
    """Cross-entropy of a probability: minus the log of the probability given to what happened."""

    clip = Parameter(
        0.0, HALF_OPEN, "probabilities are kept this far from 0 and 1",
        names={"sklearn": {"float32": 2.0**-23, "float64": 2.0**-52}, "keras": 1e-7},
    )  # fmt: skip

    def value(y, p, clip):
        # each term only where its weight is not 0, so that 0 * log(0) is 0; log1p(-q) keeps what 1 - q would round away
        q = clipped(p, clip)
        positive = 0.0 if y == 0.0 else y * log(q)
        negative = 0.0 if y == 1.0 else (1.0 - y) * log1p(-q)
        return 0.0 - (positive + negative)

    def gradient(y, p, clip):
        # (q - y) / (q (1 - q)); for hard labels the form that has no 0/0 at the right corner
        q = clipped(p, clip)
        slope = -1.0 / q if y == 1.0 else (1.0 / (1.0 - q) if y == 0.0 else (q - y) / (q * (1.0 - q)))
        return y - y if p < clip or p > 1.0 - clip else slope  # 0, or NaN

    def hessian(y, p, clip):
        q = clipped(p, clip)
        positive = 0.0 if y == 0.0 else y / (q * q)
        negative = 0.0 if y == 1.0 else (1.0 - y) / ((1.0 - q) * (1.0 - q))
        return 0.0 if p < clip or p > 1.0 - clip else positive + negative


@loss(
    family="binary", target=UNIT, prediction=REAL,
    aliases=("binary_cross_entropy_with_logits", "bce_with_logits", "sigmoid_binary_cross_entropy", "half_binomial", "logloss_from_logits"),
    formula="(1 - t) softplus(z) + pos_weight t softplus(-z), t = y (1 - label_smoothing) + label_smoothing / 2",
    source="Cox 1958; torch.nn.BCEWithLogitsLoss, sklearn._loss.HalfBinomialLoss",
    notes="softplus(z) = log(1 + exp(z)). A confident right prediction keeps its loss and gradient to full relative accuracy. Where "
    "exp(-|z|) is subnormal (|z| > 87.3 in float32, 708.4 in float64), a pos_weight above 8 magnifies its rounding.",
    examples=((1.0, 0.0, 0.6931471805599453), (0.0, 2.0, 2.1269280110429727), (1.0, 0.0, 2.0794415416798357, {"pos_weight": 3.0})),
)  # fmt: skip
class Logistic:
    """Cross-entropy of a logit: log_loss of sigmoid(z), without its rounding."""

    pos_weight = Parameter(1.0, POSITIVE, "weight of the positive part", usual=1.0)
    label_smoothing = Parameter(0.0, Interval(0.0, 1.0), "share of the target that is replaced by 1/2", usual=0.0)

    def value(y, z, pos_weight, label_smoothing):
        # softplus(z) = max(z, 0) + softplus(-|z|): the logarithm serves both signs, and nothing is subtracted
        w = pos_weight * smoothed(y, label_smoothing)
        u = smoothed(1.0 - y, label_smoothing)  # not 1 - t, which would round
        wrong = u if z > 0.0 else w  # 0 where the sign is right: then an infinite logit costs 0, not 0 * inf
        return (0.0 if wrong == 0.0 else wrong * abs(z)) + (u + w) * softplus(-abs(z))

    def gradient(y, z, pos_weight, label_smoothing):
        # u sigmoid(z) - w sigmoid(-z) over their common denominator; never sigmoid(z) - y, which rounds to 0 early
        w = pos_weight * smoothed(y, label_smoothing)
        u = smoothed(1.0 - y, label_smoothing)
        d = decay(z)
        return (u - w * d if z > 0.0 else u * d - w) / (1.0 + d)

    def hessian(y, z, pos_weight, label_smoothing):
        d = decay(z)
        s = 1.0 + d
        return (smoothed(1.0 - y, label_smoothing) + pos_weight * smoothed(y, label_smoothing)) * (d / s / s)


@loss(
    family="binary", target=SIGN, prediction=REAL, aliases=("exponential_loss", "adaboost"),
    formula="exp(-y z)", source="Freund & Schapire 1997",
    notes="sklearn._loss.ExponentialLoss is the same of targets 0 and 1.",
    examples=((1.0, -1.0, 2.718281828459045), (-1.0, 0.0, 1.0)),
)  # fmt: skip
class Exponential:
    """The loss that AdaBoost lowers: exponential in the margin, so outliers weigh much."""

    def value(y, z):
        return exp(-y * z)

    def gradient(y, z):
        return -y * exp(-y * z)

    def hessian(y, z):
        return exp(-y * z)


@loss(
    family="binary", target=SIGN, prediction=REAL, aliases=("soft_margin_loss", "margin_logistic"),
    formula="log(1 + exp(-y z))", source="torch.nn.SoftMarginLoss",
    notes="The logistic loss of targets -1 and +1. Does not overflow, as torch's does.",
    examples=((1.0, 0.0, 0.6931471805599453), (-1.0, 2.0, 2.1269280110429727)),
)  # fmt: skip
class SoftMargin:
    """The logistic loss as a function of the margin."""

    def value(y, z):
        return softplus(-y * z)

    def gradient(y, z):
        d = decay(z)
        return -y * ((d if y * z > 0.0 else 1.0) / (1.0 + d))

    def hessian(y, z):
        d = decay(z)
        s = 1.0 + d
        return d / s / s


@loss(
    family="binary", target=SIGN, prediction=REAL, aliases=("hinge_loss",),
    formula="max(0, 1 - y z)", source="Cortes & Vapnik 1995; sklearn.metrics.hinge_loss",
    notes="At y z = 1 the gradient is 0. Not torch's hinge_embedding_loss.",
    examples=((1.0, 0.25, 0.75), (-1.0, 0.5, 1.5), (1.0, 2.0, 0.0)),
)  # fmt: skip
class Hinge:
    """The support vector machine's loss: nothing beyond the margin, linear within."""

    def value(y, z):
        m = 1.0 - y * z
        return 0.0 if m <= 0.0 else m  # in this order a NaN survives

    def gradient(y, z):
        m = 1.0 - y * z
        return 0.0 if m <= 0.0 else (-y if m > 0.0 else m)

    def hessian(y, z):
        return 0.0


@loss(
    family="binary", target=SIGN, prediction=REAL, aliases=("squared_hinge_loss",),
    formula="max(0, 1 - y z)**2", source="keras.losses.SquaredHinge",
    examples=((1.0, 0.5, 0.25), (-1.0, 0.5, 2.25)),
)  # fmt: skip
class SquaredHinge:
    """The hinge squared: smooth, and harder on large violations."""

    def value(y, z):
        m = 1.0 - y * z
        return 0.0 if m <= 0.0 else m * m

    def gradient(y, z):
        m = 1.0 - y * z
        return 0.0 if m <= 0.0 else -2.0 * y * m

    def hessian(y, z):
        return 0.0 if 1.0 - y * z <= 0.0 else 2.0


@loss(
    family="binary", target=SIGN, prediction=REAL, aliases=("perceptron_loss",),
    formula="max(0, -y z)", source="Rosenblatt 1958; optax.perceptron_loss",
    notes="At z = 0 the gradient is 0.",
    examples=((1.0, -0.5, 0.5), (-1.0, -0.5, 0.0)),
)  # fmt: skip
class Perceptron:
    """The hinge without a margin: only wrong signs cost."""

    def value(y, z):
        m = -y * z
        return 0.0 if m <= 0.0 else m

    def gradient(y, z):
        m = -y * z
        return 0.0 if m <= 0.0 else (-y if m > 0.0 else m)

    def hessian(y, z):
        return 0.0


@loss(
    family="binary", target=UNIT, prediction=UNIT, aliases=("brier_score", "brier_score_loss"),
    formula="(p - y)**2", source="Brier 1950 (one class); sklearn.metrics.brier_score_loss",
    examples=((1.0, 0.75, 0.0625), (0.0, 0.5, 0.25)),
)  # fmt: skip
class Brier:
    """The squared error of a probability: in [0, 1], a proper score."""

    def value(y, p):
        e = p - y
        return e * e

    def gradient(y, p):
        return 2.0 * (p - y)

    def hessian(y, p):
        return 2.0


@loss(
    family="binary", target=ZERO_ONE, prediction=REAL, aliases=("sigmoid_focal_loss", "focal_loss", "focal_with_logits"), wide=True,
    formula="a (1 - q)**gamma (-log q), q = sigmoid(z) if y = 1 else sigmoid(-z), a = alpha if y = 1 else 1 - alpha",
    source="Lin et al. 2017; optax.sigmoid_focal_loss",
    notes="From logits; from probabilities use focal_probability. In float64 a gamma above 2 magnifies roundings: errors up to about "
    "1.5 gamma ULP.",
    examples=((1.0, 0.0, 0.17328679513998632), (0.0, 0.0, 0.6931471805599453, {"gamma": 0.0}),
              (1.0, 0.0, 0.04332169878499658, {"alpha": 0.25})),
)  # fmt: skip
class Focal:
    """Cross-entropy of a logit, faded out where the prediction is already right."""

    gamma = GAMMA
    alpha = ALPHA

    def value(y, z, gamma, alpha):
        m = -z if y == 0.0 else y * z  # y is 1, or a NaN that must survive
        return class_weight(y, alpha) * (faded(m, gamma) * softplus(-m) / grown(decay(m), gamma))

    def gradient(y, z, gamma, alpha):
        m = -z if y == 0.0 else y * z  # y is 1, or a NaN that must survive
        d = decay(m)
        right = 1.0 if m > 0.0 else d  # sigmoid(m) and sigmoid(-m), times 1 + d
        wrong = d if m > 0.0 else 1.0
        turn = gamma * (0.0 if m == -INF else right * softplus(-m)) + wrong
        slope = class_weight(y, alpha) * (faded(m, gamma) * (turn / grown_more(d, gamma)))
        return slope if y == 0.0 else -slope

    def hessian(y, z, gamma, alpha):
        m = -z if y == 0.0 else y * z  # y is 1, or a NaN that must survive
        s = sigmoid(m)
        t = sigmoid(-m)
        fade = faded(m, gamma) / grown(decay(m), gamma)
        share = 0.0 if m == -INF else s * softplus(-m)
        return class_weight(y, alpha) * (gamma * share * (gamma * s - t) + s * t * (2.0 * gamma + 1.0)) * fade


@loss(
    family="binary", target=ZERO_ONE, prediction=UNIT, aliases=("binary_focal_crossentropy",), wide=True,
    formula="a (1 - q)**gamma (-log q), q = p if y = 1 else 1 - p, a = alpha if y = 1 else 1 - alpha",
    source="Lin et al. 2017; keras.losses.BinaryFocalCrossentropy",
    notes="In float64 a gamma above 3 magnifies the rounding of 1 - p: errors up to about 1.2 gamma ULP.",
    examples=((1.0, 0.5, 0.17328679513998632), (0.0, 0.75, 0.7797905781299385), (1.0, 1.0, 0.0)),
)  # fmt: skip
class FocalProbability:
    """Cross-entropy of a probability, faded out where the prediction is already right."""

    gamma = GAMMA
    alpha = ALPHA

    # u = 1 - q is the probability given to what did not happen, l = -log(1 - u). l / u -> 1 as u -> 0.

    def value(y, p, gamma, alpha):
        u = p if y == 0.0 else y - p  # y is 1, or a NaN that must survive
        l = -log1p(-p) if y == 0.0 else -log(y * p)  # noqa: E741
        return class_weight(y, alpha) * (raised(u, gamma) * l) if u != 0.0 else 0.0

    def gradient(y, p, gamma, alpha):
        u = p if y == 0.0 else y - p  # y is 1, or a NaN that must survive
        l = -log1p(-p) if y == 0.0 else -log(y * p)  # noqa: E741
        ratio = 1.0 if u == 0.0 else l / u
        slope = class_weight(y, alpha) * (raised(u, gamma) * (gamma * ratio + 1.0 / (1.0 - p if y == 0.0 else y * p)))
        return slope if y == 0.0 else -slope

    def hessian(y, p, gamma, alpha):
        u = p if y == 0.0 else y - p  # y is 1, or a NaN that must survive
        q = 1.0 - p if y == 0.0 else p
        l = -log1p(-p) if y == 0.0 else -log(y * p)  # noqa: E741
        ratio = 1.0 if u == 0.0 else l / u
        # u**(gamma - 1); below 1/2 gamma - 1 rounds, and pow would magnify that
        steep = u if gamma == 2.0 else pow(u, gamma) / u if gamma < 0.5 and u > 0.0 else pow(u, gamma - 1.0)
        bend = gamma * steep * ((gamma - 1.0) * ratio + 2.0 / q) if gamma > 0.0 else 0.0
        return class_weight(y, alpha) * (raised(u, gamma) / (q * q) + bend)


@loss(
    family="binary", target=ZERO_ONE, prediction=REAL, aliases=("zero_one_loss", "error_rate", "misclassification"),
    formula="0 if (p > threshold) = y else 1", source="sklearn.metrics.zero_one_loss; XGBoost error@t",
    notes="threshold=0 for logits and scores. The gradient is 0 wherever it exists.",
    examples=((1.0, 0.75, 0.0), (0.0, 0.75, 1.0), (1.0, 0.5, 1.0)),
)  # fmt: skip
class ZeroOne:
    """Whether the predicted class is wrong; the mean is the error rate, 1 - accuracy."""

    threshold = Parameter(0.5, REAL, "predictions above it say class 1")

    def value(y, p, threshold):
        wrong = (0.0 if p > threshold else 1.0) if y == 1.0 else (1.0 if p > threshold else 0.0)
        return wrong if p == p and y == y else p * y

    def gradient(y, p, threshold):
        return 0.0 if p == p and y == y else p * y

    def hessian(y, p, threshold):
        return 0.0
