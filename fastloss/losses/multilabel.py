"""Losses of a row of C answers that are right or wrong each by itself: several classes may hold at once."""

from fastloss.losses.functions import decay, softplus
from fastloss.losses.rowspec import Pairs, row_loss, total
from fastloss.losses.spec import INF, REAL, UNIT, ZERO_ONE, Interval, Parameter


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


@row_loss(
    family="multilabel", targets=ZERO_ONE, scores=REAL, aliases=("multilabel_margin_loss",),
    formula="1/C sum_{j: y_j = 1} sum_{i: y_i = 0} max(0, margin - (z_j - z_i))", source="torch.nn.functional.multilabel_margin_loss",
    notes="Targets are 0 or 1 per class; torch's are lists of classes, ended by -1. A row without a 1, or without a 0, costs 0. Where a "
    "difference is exactly the margin, it adds nothing to the gradient. Time grows with the number of targets in a row. A NaN in a row "
    "makes its loss and all of its gradient NaN. The Hessian is 0.",
    examples=(
        ((1.0, 0.0, 0.0, 1.0), (0.1, 0.2, 0.4, 0.8), 0.85), ((1.0, 0.0), (1.0, 0.0), 0.0), ((1.0, 0.0), (2.0, 1.5), 0.75, {"margin": 2.0}),
        ((0.0, 0.0), (3.0, 4.0), 0.0),
    ),
)  # fmt: skip
class MultilabelMargin:
    """Every target's score should exceed every other class's by a margin: each pair costs what it lacks."""

    margin = Parameter(1.0, Interval(-INF, INF, open_low=True, open_high=True), "by how much a target's score must exceed the others'")

    pairs = Pairs()

    def value(hinges, classes):
        return hinges / classes

    def gradient(owed, classes):
        return owed / classes

    def hessian():
        return 0.0
