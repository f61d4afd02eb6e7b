"""Losses of C classes with one label per row. z is a row of scores: logits, any real numbers."""

from fastloss.losses.functions import decay, softplus, tanh
from fastloss.losses.rowspec import LABELS, Partition, at, each, exp_of, once, row_loss, total
from fastloss.losses.spec import INF, POSITIVE, REAL, Interval, Parameter, Switch

SMOOTHING = Interval(0.0, 1.0)
NOT_NEGATIVE = Interval(0.0, INF, open_high=True)
FIXED = Interval(0.0, INF, open_low=True, open_high=True)


def weighed(c, loss):
    """c * loss, where a class of weight 0 costs nothing, whatever is lost."""
    return 0.0 if c == 0.0 and loss == INF else c * loss


def one_minus_p(hit, rest, e_label, e_top, norm):
    """1 - p of the label's class, never formed as that: the sum of the other classes' probabilities."""
    return (rest if hit == 1.0 else e_top + (rest - e_label)) * norm


def slope_of(z, temperature, softcap):
    """The derivative of capped(z) by z / temperature: 1 / cosh**2, not 1 - tanh**2, which cancels."""
    d = decay(2.0 * (z / temperature / softcap))
    return 1.0 if softcap == 0.0 else 4.0 * d / ((1.0 + d) * (1.0 + d))


def capped(z, temperature, softcap):
    """z / temperature, kept within +- softcap; a masked class stays one."""
    t = z if temperature == 1.0 else z / temperature
    return t if softcap == 0.0 or z == -INF else softcap * tanh(t / softcap)


@row_loss(
    family="multiclass", targets=LABELS, scores=REAL, weights=True,
    aliases=("cross_entropy", "sparse_categorical_cross_entropy", "multinomial_log_loss", "softmax_log_loss"),
    formula="(1 - label_smoothing) c_y (-log p_y) + label_smoothing / C sum_j c_j (-log p_j) + z_loss lse^2, p = softmax(u), lse = "
    "logsumexp(u), u = softcap tanh(z / (temperature softcap)), or z / temperature where softcap is 0",
    source="Bridle 1990; torch.nn.functional.cross_entropy",
    notes="The mean divides by the sum of c_y. The Hessian is the diagonal of the matrix of second derivatives: a p_j (1 - p_j), where "
    "a = c_y, or with label_smoothing the mean of c_y and all c accordingly. XGBoost doubles it, LightGBM multiplies by C / (C - 1). An "
    "infinite loss of a class of weight 0 counts as 0. A softcap, and a temperature that is no power of two, round u before its "
    "exponential is taken: to the error of losses they add up to |u| ULP, the softcap 4 |u|, and twice that to the gradients'.",
    examples=((0, (0.0, 0.0), 0.6931471805599453), (2, (1.0, 2.0, 3.0), 0.4076059644443803)),
)  # fmt: skip
class SoftmaxCrossEntropy:
    """Cross-entropy of C logits and a label: minus the log of the probability that softmax gives to the label's class."""

    temperature = Parameter(1.0, FIXED, "logits are divided by it", usual=1.0)
    softcap = Parameter(None, POSITIVE, "logits are kept within +- softcap by a tanh", names={None: 0.0}, usual=0.0, rare=True)
    label_smoothing = Parameter(0.0, SMOOTHING, "share of the target that is spread over all classes", usual=0.0)
    z_loss = Parameter(0.0, NOT_NEGATIVE, "coefficient of the squared log of the partition function", usual=0.0)

    @each
    def u(z, temperature, softcap):
        return capped(z, temperature, softcap)

    partition = Partition("u")

    @total
    def spread(c, u, top):
        return weighed(c, top - u)

    @total
    def weight(c):
        return c

    others = once(one_minus_p)

    @once
    def share(c_label, label_smoothing, classes, weight, z_loss, top, log_rest):
        smooth = 0.0 if label_smoothing == 0.0 else label_smoothing / classes * weight
        return (1.0 - label_smoothing) * c_label + smooth + (0.0 if z_loss == 0.0 else 2.0 * z_loss * (top + log_rest))

    def value(u_label, c_label, top, log_rest, spread, weight, label_smoothing, z_loss, classes):
        own = (1.0 - label_smoothing) * weighed(c_label, (top - u_label) + log_rest)
        smooth = 0.0 if label_smoothing == 0.0 else label_smoothing / classes * (spread + weight * log_rest)
        lse = top + log_rest
        return own + smooth + (0.0 if z_loss == 0.0 else z_loss * (lse * lse))

    def gradient(e, norm, share, label_smoothing, c, classes, z, temperature, softcap):
        q = share * (e * norm) - (0.0 if label_smoothing == 0.0 else label_smoothing / classes * c)
        r = q if softcap == 0.0 else q * slope_of(z, temperature, softcap)
        return r if temperature == 1.0 else r / temperature

    @once
    def own_slope(others, e_label, norm, c_label, label_smoothing, classes, weight, z_loss, top, log_rest):
        p = e_label * norm
        smooth = 0.0 if label_smoothing == 0.0 else label_smoothing / classes * (weight * p - c_label)
        squared = 0.0 if z_loss == 0.0 else 2.0 * z_loss * (top + log_rest) * p
        return smooth + squared - (1.0 - label_smoothing) * c_label * others

    @at("label")
    def label_gradient(own_slope, z_label, temperature, softcap):
        r = own_slope if softcap == 0.0 else own_slope * slope_of(z_label, temperature, softcap)
        return r if temperature == 1.0 else r / temperature

    def hessian(e, norm, rest, j, top_at, label, share, own_slope, c, classes, label_smoothing, z_loss, z, u, temperature, softcap):
        p = e * norm
        others = rest * norm if j == top_at else 1.0 - p
        h = share * (p * others) + (0.0 if z_loss == 0.0 else 2.0 * z_loss * (p * p))
        q = own_slope if j == label else share * p - (0.0 if label_smoothing == 0.0 else label_smoothing / classes * c)
        slope = slope_of(z, temperature, softcap)
        bend = 0.0 if z == -INF else 2.0 * q * (u / softcap / softcap)
        r = h if softcap == 0.0 else (h * slope - bend) * slope
        return r if temperature == 1.0 else r / temperature / temperature


@exp_of(
    "softmax_cross_entropy", formula="exp(mean of softmax_cross_entropy)", source="Jelinek et al. 1977; torchmetrics.text.Perplexity",
    notes="From logits, the labels being those of tokens; ignore_index leaves padding out. Rounding of the mean is magnified by its size.",
    examples=((0, (0.0, 0.0), 2.0),),
)  # fmt: skip
class Perplexity:
    """How many equally likely classes the predictions leave open: the exponential of the mean cross-entropy. A cost only."""


@row_loss(
    family="multiclass", targets=LABELS, scores=REAL,
    formula="temperature log sum_j exp(z_j / temperature)", source="scipy.special.logsumexp; the free energy of Liu et al. 2020, negated",
    notes="The label is not looked at, save that it must be a class (or ignore_index): the target is one so that this goes with "
    "softmax_cross_entropy and its like in one pass. The gradient is softmax(z / temperature), the Hessian p_j (1 - p_j) / temperature. As "
    "a sum of the largest score and what the others add, a value near 0 is accurate to rounding of the larger of the two. fl.logsumexp, "
    "fl.softmax and fl.log_softmax are functions of scores alone.",
    examples=((0, (0.0, 0.0), 0.6931471805599453), (1, (1.0, 2.0, 3.0), 3.4076059644443803), (0, (0.0, 0.0), 1.3862943611198906,
              {"temperature": 2.0})),
)  # fmt: skip
class LogSumExp:
    """The log of the partition function of C logits: a smooth largest score, and how much evidence there is for any class."""

    temperature = Parameter(1.0, FIXED, "how smooth: towards 0 the value becomes the largest score", usual=1.0)

    @each
    def u(z, temperature):
        return z if temperature == 1.0 else z / temperature

    partition = Partition("u")

    def value(top, log_rest, temperature):
        lse = top + log_rest
        return lse if temperature == 1.0 else temperature * lse

    def gradient(e, norm):
        return e * norm

    def hessian(e, norm, rest, j, top_at, temperature):
        p = e * norm
        h = p * (rest * norm if j == top_at else 1.0 - p)
        return h if temperature == 1.0 else h / temperature


@row_loss(
    family="multiclass", targets=LABELS, scores=REAL, weights=True, aliases=("nll", "nll_loss"),
    formula="-c_y z_y", source="torch.nn.functional.nll_loss",
    notes="z are log-probabilities, from log_softmax say; from logits use softmax_cross_entropy, from probabilities "
    "multiclass_log_loss. Only the label's score matters, so a NaN elsewhere is not seen. The mean divides by the sum of c_y. Hessian 0.",
    examples=((1, (-3.0, -0.5), 0.5),),
)  # fmt: skip
class NegativeLogLikelihood:
    """Minus the log-probability of the label's class."""

    def value(z_label, c_label):
        return weighed(c_label, 0.0 - z_label)

    def gradient():
        return 0.0

    @at("label")
    def label_gradient(z_label, c_label):
        return -c_label if z_label == z_label else z_label

    def hessian():
        return 0.0


@row_loss(
    family="multiclass", targets=LABELS, scores=REAL,
    aliases=("one_vs_rest_logistic", "multiclassova", "multi_class_one_vs_all"),
    formula="softplus(-z_y) + sum_{j != y} softplus(z_j), divided by C if average",
    source="LightGBM multiclassova; CatBoost MultiClassOneVsAll",
    notes="softplus(z) = log(1 + exp(z)). average=True is CatBoost's, and torch's multilabel_soft_margin_loss of one-hot targets.",
    examples=((0, (0.0, 0.0), 1.3862943611198906), (0, (0.0, 0.0), 0.6931471805599453, {"average": True})),
)  # fmt: skip
class OneVsAllLogistic:
    """C logistic losses, one per class against the rest: probabilities that need not sum to 1."""

    average = Switch(False, "divide by the number of classes")

    @total(without="label")
    def others(z):
        return softplus(z)

    def value(others, z_label, average, classes):
        return (others + softplus(-z_label)) / (classes if average == 1.0 else 1.0)

    def gradient(z, average, classes):
        d = decay(z)
        return (1.0 if z > 0.0 else d) / (1.0 + d) / (classes if average == 1.0 else 1.0)

    @at("label")
    def label_gradient(z_label, average, classes):
        d = decay(z_label)
        return -((d if z_label > 0.0 else 1.0) / (1.0 + d)) / (classes if average == 1.0 else 1.0)

    def hessian(z, average, classes):
        d = decay(z)
        return d / (1.0 + d) / (1.0 + d) / (classes if average == 1.0 else 1.0)
