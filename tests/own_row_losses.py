"""Losses of rows of a user's own, for the tests."""
# ruff: noqa: N805, F821 - formulas are no methods, and their vocabulary needs no import

import fastloss as fl
from fastloss.rows import LABELS, Partition, at, each, total
from tests import own_losses  # noqa: F401 - where kernels are kept


@fl.loss(target=LABELS, aliases=("own_ce",))
class OwnCrossEntropy:
    """Cross-entropy of logits and a label."""

    temperature = fl.Parameter(1.0, fl.POSITIVE, "logits are divided by it")

    @each
    def u(z, temperature):
        return z / temperature

    partition = Partition("u")

    def value(c_label, u_label, top, log_rest):
        return c_label * ((top - u_label) + log_rest)

    def gradient(c_label, e, norm, temperature):
        return c_label * e * norm / temperature

    @at("label")
    def own(c_label, rest, e_label, e_top, norm, hit, temperature):
        others = rest if hit == 1.0 else e_top + (rest - e_label)
        return -(c_label * others * norm) / temperature


@fl.loss(target=fl.UNIT, prediction=fl.REAL)
class OwnRowSquares:
    """Half the squares of a row of errors."""

    @total
    def squares(z, y):
        return (z - y) * (z - y)

    def value(squares):
        return 0.5 * squares

    def gradient(z, y):
        return z - y

    def hessian(z, y):
        return 1.0
