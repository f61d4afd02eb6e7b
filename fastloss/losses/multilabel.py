"""Losses of a row of C answers that are right or wrong each by itself: several classes may hold at once."""

from fastloss.losses.functions import decay, softplus
from fastloss.losses.rowspec import row_loss, total
from fastloss.losses.spec import REAL, UNIT


@row_loss(
    family="multilabel", targets=UNIT, scores=REAL, weights=True, aliases=("multilabel_soft_margin", "multilabel_soft_margin_loss"),
    formula="1/C sum_j c_j (softplus(z_j) - y_j z_j)", source="torch.nn.functional.multilabel_soft_margin_loss",
    notes="The mean of C logistic losses; targets may be anything from 0 to 1. Class weights enter neither C nor the denominator of the "
    "mean over rows, as in torch.",
    examples=(((1.0, 0.0), (0.0, 0.0), 0.6931471805599453), ((0.0, 1.0), (2.0, -2.0), 2.1269280110429727)),
)  # fmt: skip
class MultilabelLogistic:
    """Mean over the classes of the cross-entropy of each class's own logit."""

    @total
    def cost(y, z, c):
        # as in logistic of binary.py: nothing is subtracted
        wrong = 1.0 - y if z > 0.0 else y
        return c * ((0.0 if wrong == 0.0 else wrong * abs(z)) + softplus(-abs(z)))

    def value(cost, classes):
        return cost / classes

    def gradient(y, z, c, classes):
        d = decay(z)
        return c * (((1.0 - y) - y * d if z > 0.0 else (1.0 - y) * d - y) / (1.0 + d)) / classes

    def hessian(y, z, c, classes):
        d = decay(z)
        return c * (d / ((1.0 + d) * (1.0 + d))) / classes + 0.0 * y
