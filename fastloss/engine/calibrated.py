"""What a Calibration comes to: its bins, and the errors made of them."""

from fastloss.engine.records import Record


def same(one, other):
    """Are all fields equal?"""
    if type(one) is not type(other):
        return NotImplemented
    return all(getattr(one, name) == getattr(other, name) for name in one.__slots__)


class CalibrationBin(Record):
    """Rows of confidence low < c <= high: n of them, weight (the sum of theirs; n without weights), and the weighted means of their
    confidence and accuracy (of one-dimensional predictions: the share of ones). Both are None where the weight is 0."""

    __slots__ = ("low", "high", "n", "weight", "confidence", "accuracy")

    def __eq__(self, other):
        return same(self, other)

    __hash__ = None


class CalibrationResult:
    """What a Calibration comes to. gap = accuracy - confidence of a bin, share = its part of the weight:

    ece   expected calibration error, sum of share |gap|: the correctly rounded value of the sums
    mce   maximum calibration error, the largest |gap| (of bins that weigh something)
    rms   root of the sum of share gap**2
    bins  a CalibrationBin each, in order
    n, n_nan, n_ignored  rows in bins; rows whose confidence is NaN; rows left out by their label
    """

    __slots__ = ("ece", "mce", "rms", "bins", "n", "n_nan", "n_ignored")

    def __init__(self, **fields):
        for name, value in fields.items():
            setattr(self, name, value)

    def __eq__(self, other):
        return same(self, other)

    __hash__ = None

    def __repr__(self):
        more = "".join(f", {name} {getattr(self, name)}" for name in ("n_nan", "n_ignored") if getattr(self, name))
        lines = [f"ece {self.ece:.6g}, mce {self.mce:.6g}, rms {self.rms:.6g}, n {self.n}{more}"]
        lines.append(f"{'bin':>16}{'n':>12}{'weight':>12}{'confidence':>12}{'accuracy':>12}{'gap':>12}")
        for part in self.bins:
            place = f"({part.low:.3f}, {part.high:.3f}]"
            means = (None,) * 3 if part.confidence is None else (part.confidence, part.accuracy, part.accuracy - part.confidence)
            shown = "".join(f"{'-' if mean is None else format(mean, '.4f'):>12}" for mean in means)
            lines.append(f"{place:>16}{part.n:>12}{part.weight:>12.6g}{shown}")
        return "\n".join(lines)
