"""Whether the label's class is found: measures of C scores and a label, without a gradient. z is a row of scores, any real numbers."""

from fastloss.losses.rowspec import LABELS, largest, row_loss, total
from fastloss.losses.spec import INF, REAL, Integers, Parameter


@row_loss(
    family="multiclass", targets=LABELS, scores=REAL, aliases=("multiclass_zero_one", "merror", "multi_error"),
    formula="0 if argmax_j z_j = y else 1", source="sklearn.metrics.zero_one_loss of argmax; XGBoost merror",
    notes="Of several largest scores the first is the prediction, as numpy.argmax has it. A NaN among the scores: NaN.",
    examples=((1, (0.25, 0.5), 0.0), (1, (0.5, 0.5), 1.0)),
)  # fmt: skip
class MulticlassError:
    """Whether the predicted class is wrong; the mean is 1 - accuracy."""

    @largest
    def best(z):
        return z

    def value(best, best_at, label):
        return (0.0 if best_at == label else 1.0) if best == best else best


@row_loss(
    family="multiclass", targets=LABELS, scores=REAL, aliases=("top_k_error_rate",),
    formula="0 if fewer than k classes rank before y else 1", source="sklearn.metrics.top_k_accuracy_score (1 - that)",
    notes="Scikit-learn's rule for ties: of equal scores the later class ranks before. With k >= C the error is 0. A NaN among the "
    "scores: NaN.",
    examples=((0, (0.25, 0.5, 0.125), 1.0, {"k": 1}), (0, (0.25, 0.5, 0.125), 0.0, {"k": 2}), (0, (0.5, 0.5), 1.0, {"k": 1})),
)  # fmt: skip
class TopKError:
    """Whether the label's class is missing among the k best; the mean is 1 - top-k accuracy."""

    k = Parameter(5.0, Integers(1.0, INF, open_high=True), "how many predictions count")

    @total
    def before(z, z_label, j, label):
        return (1.0 if z > z_label or z == z_label and j > label else 0.0) if z == z else z

    def value(before, k):
        return (0.0 if before < k else 1.0) if before == before else before
