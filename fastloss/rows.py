"""The words of which losses of rows are written; see fastloss/losses/rowspec.py for what they mean, and losses/multiclass.py for examples.

import fastloss as fl
from fastloss.rows import LABELS, Partition, at

@fl.loss(target=LABELS)
class MyCrossEntropy:
    partition = Partition("z")

    def value(z_label, top, log_rest):
        return (top - z_label) + log_rest

    def gradient(e, norm):
        return e * norm

    @at("label")
    def own(e_label, norm):
        return e_label * norm - 1.0
"""

from fastloss.losses.rowspec import LABELS, Last, Partition, at, each, largest, once, running, total

__all__ = ["LABELS", "Last", "Partition", "at", "each", "largest", "once", "running", "total"]
