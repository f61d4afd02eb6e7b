"""Losses of C classes with one label per row. z is a row of scores: logits, any real numbers."""

from fastloss.losses.functions import tanh
from fastloss.losses.rowspec import LABELS, Partition, at, each, once, row_loss, total
from fastloss.losses.spec import INF, POSITIVE, REAL, Interval, Parameter

SMOOTHING = Interval(0.0, 1.0)
NOT_NEGATIVE = Interval(0.0, INF, open_high=True)
FIXED = Interval(0.0, INF, open_low=True, open_high=True)


def capped(z, temperature, softcap):
    t = z if temperature == 1.0 else z / temperature
    return t if softcap == 0.0 else softcap * tanh(t / softcap)


@row_loss(
    family="multiclass", targets=LABELS, scores=REAL, weights=True,
    aliases=("cross_entropy", "sparse_categorical_cross_entropy", "multinomial_log_loss", "softmax_log_loss"),
    formula="(1 - label_smoothing) c_y (-log p_y) + label_smoothing / C sum_j c_j (-log p_j) + z_loss lse^2, p = softmax(u), lse = "
    "logsumexp(u), u = softcap tanh(z / (temperature softcap)), or z / temperature where softcap is 0",
    source="Bridle 1990; torch.nn.functional.cross_entropy",
    notes="The mean divides by the sum of c_y. The Hessian is the diagonal p_j (1 - p_j) of the matrix; not given for label_smoothing, "
    "z_loss or softcap by other libraries, it is theirs, too, here.",
    examples=((0, (0.0, 0.0), 0.6931471805599453), (2, (1.0, 2.0, 3.0), 0.4076059644443803)),
)  # fmt: skip
class SoftmaxCrossEntropy:
    """Cross-entropy of C logits and a label: minus the log of the probability that softmax gives to the label's class."""

    temperature = Parameter(1.0, FIXED, "logits are divided by it", usual=1.0)
    softcap = Parameter(None, POSITIVE, "logits are kept within +- softcap by a tanh", names={None: 0.0}, usual=0.0)
    label_smoothing = Parameter(0.0, SMOOTHING, "share of the target that is spread over all classes", usual=0.0)
    z_loss = Parameter(0.0, NOT_NEGATIVE, "coefficient of the squared log of the partition function", usual=0.0)

    @each
    def u(z, temperature, softcap):
        return capped(z, temperature, softcap)

    partition = Partition("u")

    @total
    def spread(c, u, top):
        return c * (top - u)

    @total
    def weight(c):
        return c

    @once
    def others(hit, rest, e_label, e_top, norm):
        # 1 - p_y, never formed as that: the sum of the other classes' probabilities
        return (rest if hit == 1.0 else e_top + (rest - e_label)) * norm

    @once
    def share(c_label, label_smoothing, classes, weight, z_loss, top, log_rest):
        smooth = 0.0 if label_smoothing == 0.0 else label_smoothing / classes * weight
        return (1.0 - label_smoothing) * c_label + smooth + (0.0 if z_loss == 0.0 else 2.0 * z_loss * (top + log_rest))

    def value(u_label, c_label, top, log_rest, spread, weight, label_smoothing, z_loss, classes):
        own = (1.0 - label_smoothing) * c_label * ((top - u_label) + log_rest)
        smooth = 0.0 if label_smoothing == 0.0 else label_smoothing / classes * (spread + weight * log_rest)
        lse = top + log_rest
        return own + smooth + (0.0 if z_loss == 0.0 else z_loss * (lse * lse))

    def gradient(e, norm, share, label_smoothing, c, classes, u, temperature, softcap):
        q = share * (e * norm) - (0.0 if label_smoothing == 0.0 else label_smoothing / classes * c)
        r = q if softcap == 0.0 else q * (1.0 - (u / softcap) * (u / softcap))
        return r if temperature == 1.0 else r / temperature

    @at("label")
    def label_gradient(others, c_label, label_smoothing, classes, weight, z_loss, top, log_rest, u_label, temperature, softcap):
        p = 1.0 - others
        smooth = 0.0 if label_smoothing == 0.0 else label_smoothing / classes * (weight * p - c_label)
        squared = 0.0 if z_loss == 0.0 else 2.0 * z_loss * (top + log_rest) * p
        q = smooth + squared - (1.0 - label_smoothing) * c_label * others
        r = q if softcap == 0.0 else q * (1.0 - (u_label / softcap) * (u_label / softcap))
        return r if temperature == 1.0 else r / temperature
