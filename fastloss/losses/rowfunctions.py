"""Functions of a row of scores that are no losses, for engine/rowfunctions.py and others: ``value`` per row, ``gradient`` per class.

They are made of the same steps, and so have the same accuracy, as the losses beside which they stand.
"""

from fastloss.losses.multiclass import FIXED
from fastloss.losses.rowspec import Partition, each, largest, row_function
from fastloss.losses.spec import REAL, UNIT, Parameter


@row_function(scores=REAL, formula="log(exp(u_j) / sum_k exp(u_k)), u = z / temperature", source="scipy.special.log_softmax")
class LogSoftmax:
    """Log-probabilities per class; per row minus the largest of them. Two terms of one sign, so neither cancels."""

    temperature = Parameter(1.0, FIXED, "logits are divided by it", usual=1.0)

    @each
    def u(z, temperature):
        return z if temperature == 1.0 else z / temperature

    partition = Partition("u")

    def value(log_rest):
        return log_rest

    def gradient(u, top, log_rest):
        return (u - top) - log_rest


@row_function(scores=REAL, formula="max_j p_j, negated unless it is the label's, p = softmax(z)", source="Guo et al. 2017")
class Confidence:
    """How sure logits are of their first best class. Never 0, so that its sign is left to say whether they are right."""

    partition = Partition("z")

    def value(hit, e_top, norm):
        p = e_top * norm
        return p if hit == 1.0 else -p


@row_function(scores=UNIT, formula="max_j z_j, negated unless it is the label's", source="Guo et al. 2017")
class ConfidenceOfProbabilities:
    """The same of probabilities. A wrong prediction of probability 0 is -0.0."""

    @largest
    def best(z):
        return z

    def value(best, best_at, label):
        return best if best_at == label else -best
