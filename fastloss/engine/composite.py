"""Weighted sums of losses: ``0.5 * fl.Huber() + fl.Dice()``, a loss like any other, whose cost is that sum of costs.

Its tallies are those of its parts. So they go through the data in one pass, a State keeps them exactly, and the cost is rounded once, from
the exact sums of all parts. Outputs per sample, and the gradient, are made part by part: each further part takes an array of its own.
"""

import math
import numbers
import re
from fractions import Fraction
from types import MappingProxyType

import numpy as np

from fastloss.engine.configured import REDUCTIONS, Loss, NoCalls
from fastloss.engine.exact import ONE, quotient
from fastloss.engine.specs import get
from fastloss.losses.spec import Definition

BLOCK = 1 << 14  # numbers that are added at a time
TERM = re.compile(r"\s*(?:((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?)\s*\*\s*)?(.*?)\s*", re.IGNORECASE | re.DOTALL)


class Sum:
    """A weighted sum of losses."""


class SumDefinition(Definition):
    """What there is to know of a sum: it has no formula of its own, and its cost is computed from the sums of its parts."""

    def __init__(self, spec, parts):
        first = parts[0][1].definition
        super().__init__(
            Sum, target=first.target, prediction=first.prediction, formula=spec, source="", family="sums", aliases=(), examples=(),
            wide=False, notes="", base=None, root=False, terms=tuple(loss.name for _, loss in parts), rows=first.rows,
        )  # fmt: skip
        self.name = spec


class Composite(Loss):
    """A weighted sum of losses, of single predictions or of rows. Made by ``2 * loss``, ``loss + loss``, ``loss / 2``, or of text:
    fl.get("0.5*huber:delta=2 + mse").

    parts  ((weight, loss), ...): weights are finite and > 0
    cost   the weighted sum of the parts' costs, rounded once; with nan="skip" each part leaves out what is NaN of it
    rest   loss, gradient ... as of other losses: weighted sums of the parts' arrays, added in float64. Costs among the parts that are no
           means (rmse, dice) have a cost, and where they have one a gradient of the cost, but nothing per sample: a TypeError
    """

    __slots__ = ("definition", "parts")

    def __init__(self, parts):
        parts = tuple((float(weight), loss) for weight, loss in parts)
        if bad := [weight for weight, _ in parts if not (math.isfinite(weight) and weight > 0)]:
            raise ValueError(f"the weights of a sum of losses must be finite and > 0 as float64, got {bad[0]!r}")
        if len({loss.definition.rows for _, loss in parts}) > 1:
            names = " and ".join(loss.name for _, loss in parts)
            raise ValueError(f"losses of single predictions and losses of rows cannot be added: {names}")
        spec = " + ".join(f"{weight!r}*{loss.spec}" for weight, loss in parts)
        values = {"parts": parts, "spec": spec, "definition": SumDefinition(spec, parts), "parameters": MappingProxyType({})}
        for name, value in (values | {"_hash": hash(parts), "_bound": {}, "_calls": NoCalls}).items():
            object.__setattr__(self, name, value)

    def __eq__(self, other):
        return isinstance(other, Composite) and self.parts == other.parts

    def __hash__(self):
        return self._hash

    def __reduce__(self):
        return Composite, (self.parts,)

    def __repr__(self):
        return " + ".join(f"{weight!r} * {loss!r}" if weight != 1.0 else repr(loss) for weight, loss in self.parts)

    @property
    def labels(self):
        """Of losses of rows: is the target a label per row?"""
        return all(loss.labels for _, loss in self.parts)

    @property
    def ignore_index(self):
        return self.parts[0][1].ignore_index

    def check_classes(self, classes):
        for _, loss in self.parts:
            loss.check_classes(classes)

    def computed(self):
        return tuple(one for _, loss in self.parts for one in loss.computed())

    def _tallied(self, tallies):
        """(weight, loss, its tallies) of each part."""
        at = 0
        for weight, loss in self.parts:
            count = len(loss.computed())
            yield weight, loss, tallies[at : at + count]
            at += count

    def cost_of(self, tallies, nan):
        return _total((weight, _cost(loss, mine, nan)) for weight, loss, mine in self._tallied(tallies))

    def __call__(self, y_true, y_pred, sample_weight=None, *, reduction="mean", nan="propagate", n_threads=None):
        """The weighted sum of the parts' costs, as a float; with reduction="sum" that of their sums. Arguments as of other losses."""
        if reduction not in REDUCTIONS:
            raise ValueError(f"`reduction` must be one of {', '.join(map(repr, REDUCTIONS))}, got {reduction!r}")
        tallies = self._run(y_true, y_pred, sample_weight, nan, n_threads)
        if reduction == "mean":
            return self.cost_of(tallies, nan)
        return _total((weight, _cost(loss, mine, nan, "sum")) for weight, loss, mine in self._tallied(tallies))

    def _run(self, y_true, y_pred, sample_weight, nan, n_threads):
        computed, found = self.computed(), {}
        for run in dict.fromkeys(one.run for one in computed):
            which = [k for k, one in enumerate(computed) if one.run is run]
            tallies, _ = run([computed[k] for k in which], y_true, y_pred, sample_weight, nan=nan, n_threads=n_threads)
            found |= zip(which, tallies, strict=True)
        return [found[k] for k in range(len(computed))]

    def _outputs(self, parts, y_true, y_pred, sample_weight, *outs_and_threads):
        *outs, n_threads = outs_and_threads
        found = [loss._outputs(parts, y_true, y_pred, sample_weight, None, None, None, n_threads) for _, loss in self.parts]
        wanted = [out for part, out in zip((1, 2, 4), outs, strict=True) if parts & part]
        found = [one if isinstance(one, tuple) else (one,) for one in found]
        results = tuple(self._added([one[k] for one in found], out) for k, out in enumerate(wanted))
        return results[0] if len(results) == 1 else results

    def cost_gradient(self, y_true, y_pred, sample_weight=None, gradient_out=None, n_threads=None):
        """(cost, gradient of the cost), a pass over the data for each part, and one for the cost."""
        cost = self(y_true, y_pred, sample_weight, n_threads=n_threads)
        gradients = [loss.cost_gradient(y_true, y_pred, sample_weight, n_threads=n_threads)[1] for _, loss in self.parts]
        return cost, self._added(gradients, gradient_out)

    def _added(self, arrays, out):
        """The weighted sum of arrays of one shape, in the first of them or in ``out``."""
        weights = [weight for weight, _ in self.parts]
        if not np.ndim(arrays[0]):
            return type(arrays[0])(sum(weight * float(array) for weight, array in zip(weights, arrays, strict=True)))
        into = arrays[0] if out is None else out
        if not isinstance(into, np.ndarray) or into.shape != arrays[0].shape or into.dtype.kind != "f" or not into.flags.writeable:
            found = f"{into.dtype} {into.shape}" if isinstance(into, np.ndarray) else type(into).__name__
            raise ValueError(f"an output must be a writeable float array of shape {arrays[0].shape}, got {found}")
        flags = ["external_loop", "buffered", "zerosize_ok"]
        iterator = np.nditer(
            [*arrays[1:], arrays[0], into], flags, [["readonly"]] * len(arrays) + [["writeonly" if into is not arrays[0] else "readwrite"]],
            buffersize=BLOCK, casting="same_kind",
        )  # fmt: skip
        with iterator, np.errstate(all="ignore"):
            for *others, first, result in iterator:
                total = weights[0] * first.astype(np.float64)
                for weight, other in zip(weights[1:], others, strict=True):
                    total += weight * other.astype(np.float64)
                result[...] = total
        return into


def _cost(loss, tallies, nan, reduction="mean"):
    """A part's cost (or sum): a fraction, exact if it is a mean; or a float that is NaN or infinite."""
    tally = tallies[0]
    plain = not (loss.definition.outer or loss.definition.terms) and not (tally.n_positive or tally.n_negative)
    if plain and tally.weight and (nan == "skip" or not tally.n_nan):
        weight = tally.weight if reduction == "mean" else ONE
        return Fraction(tally.total, weight)
    found = loss.finish(tally, nan, "sum") if reduction == "sum" else loss.cost_of(tallies, nan)
    return Fraction(found) if math.isfinite(found) else found


def _total(parts):
    parts = list(parts)
    if all(isinstance(cost, Fraction) for _, cost in parts):
        total = sum(Fraction(weight) * cost for weight, cost in parts)
        return quotient(total.numerator, total.denominator)
    return sum(weight * float(cost) for weight, cost in parts)


def terms_of(loss):
    return loss.parts if isinstance(loss, Composite) else ((1.0, loss),)


def added(a, b):
    return Composite((*terms_of(a), *terms_of(b)))


def scaled(loss, factor):
    """A loss times a number."""
    if isinstance(factor, bool) or not isinstance(factor, numbers.Real) or not (math.isfinite(factor) and factor > 0):
        raise ValueError(f"a loss is multiplied by a finite number > 0, got {factor!r}")
    return Composite((weight * float(factor), one) for weight, one in terms_of(loss))


def read(spec):
    """A Composite of its text, or None if it is of one loss without a weight."""
    found = [TERM.fullmatch(one).groups() for one in re.split(r"\s\+\s", spec)]
    if len(found) == 1 and found[0][0] is None:
        return None
    made = [scaled(get(name), float(weight or 1.0)) for weight, name in found]
    return Composite(part for one in made for part in one.parts)
