"""What a comparison of two sets of predictions comes to."""

import math
from dataclasses import dataclass, field
from fractions import Fraction
from statistics import NormalDist

from fastloss.engine.environment import ieee
from fastloss.engine.exact import quotient
from fastloss.engine.segments import cost_of
from fastloss.engine.signs import sign_test

ROOT_BITS = 160  # of roots whose difference is rounded
AT = ("difference", "low", "high")


@dataclass(frozen=True)
class Compared:
    """What two sets of predictions come to in one loss.

    name, spec        the loss, as it was given and in full
    cost_a, cost_b    the costs; None if there is nothing to divide by
    difference        cost of B - cost of A, below 0 where B is better: that of the exact means, rounded once (of roots, that of the exact
                      roots; of perplexity within a few units in the last place; of losses of sums, as dice, that of the two costs)
    standard_error    of the difference, for pairs that are independent; of roots and perplexity by the delta method; None of losses of
                      sums, and of fewer than 2 pairs
    interval          (low, high) of the difference by the normal distribution, at ``confidence``; or None
    n                 pairs seen; of them n_nan, of which a loss is NaN, and n_inf, of which one is infinite
    weight_sum        or None without weights
    better_a, better_b, equal  pairs (of weight above 0) of which A's loss is the smaller, B's is, or neither; None of losses of sums
    p_value           of the two-sided sign test of better_a and better_b
    p_adjusted        of a segment: the same, adjusted by Holm's method for the number of segments
    bootstrap         the BootstrapResult of the difference, where it was asked for
    """

    name: str
    spec: str
    cost_a: float | None
    cost_b: float | None
    difference: float | None
    standard_error: float | None
    interval: tuple | None
    confidence: float
    n: int
    n_nan: int
    n_inf: int
    weight_sum: float | None
    better_a: int | None
    better_b: int | None
    equal: int | None
    p_value: float | None
    p_adjusted: float | None = None
    bootstrap: object = None

    def at(self, which):
        """The difference, or the "low" or "high" end of its interval: that of the bootstrap, if there was one. None if there is none."""
        interval = self.interval if self.bootstrap is None else self.bootstrap.interval
        return self.difference if which == "difference" else interval and interval[AT.index(which) - 1]


@dataclass(frozen=True)
class ComparedSegment:
    """values: of the columns, in their order, None for one that is missing. n: pairs. results: a Compared per loss."""

    values: tuple
    n: int
    results: tuple

    def __getitem__(self, name):
        """The Compared of a loss, by its name."""
        return {result.name: result for result in self.results}[name]


@dataclass(frozen=True)
class Comparison:
    """Two sets of predictions of the same samples; comparison["mse"] is the Compared of a loss, named as it was given.

    results   a Compared per loss, in order
    rows      pairs
    segments  (ComparedSegment, ...) where they were asked for, in the order of their values
    worst     {loss: (DifferentSample, ...)}, likewise: the samples whose losses differ most, most first
    """

    results: tuple
    rows: int
    segments: tuple | None = field(default=None, kw_only=True)
    worst: dict | None = field(default=None, kw_only=True)

    def __getitem__(self, name):
        found = {result.name: result for result in self.results}
        if name not in found:
            raise KeyError(f"{name!r}; the losses are {', '.join(found)}")
        return found[name]

    def regressions(self, limit, at="difference"):
        """Sentences on the losses by which B is worse than A by more than a limit; none if it is not.

        limit  a number; a text as "0.01", "0.5%" (of A's cost) or "mse=0.01" (of one loss); or a list of texts, or {loss: limit}, of which
               what names a loss goes before what names none, and losses without a limit are left out
        at     what must not be above it: the "difference" itself; the "low" end of its interval (there is no doubt that B is worse); or the
               "high" end (it cannot be ruled out). The interval is that of the bootstrap, if there was one

        What is NaN, or cannot be told, is above any limit. ValueError if there is no such loss, or a limit is none.
        """
        limits = self.limits(limit, [result.name for result in self.results], at)
        return [text for name, one in limits.items() if (text := regression(self[name], one, at))]

    @staticmethod
    def limits(limit, names, at="difference"):
        """{loss: its limit, as given} of losses with these names; ValueError as above."""
        if at not in AT:
            raise ValueError(f"`at` must be one of {', '.join(map(repr, AT))}, got {at!r}")
        if not isinstance(limit, dict):
            pairs = [one.rpartition("=")[::2] if isinstance(one, str) else ("", one) for one in listed(limit)]
            every = [one for name, one in pairs if not name]
            limit = (dict.fromkeys(names, every[-1]) if every else {}) | {name: one for name, one in pairs if name}
        for name, one in limit.items():
            if name not in names:
                raise ValueError(f"a limit is given for {name!r}, but the losses are {', '.join(names)}")
            limit_of(one, None)
        return {name: limit[name] for name in names if name in limit}


def listed(limit):
    return limit if isinstance(limit, list | tuple) else [limit]


def regression(result, limit, at):
    """Why a result is above the limit; None if it is not."""
    most, found = limit_of(limit, result.cost_a), result.at(at)
    if found is not None and found <= most:
        return None
    costs = f"A {result.cost_a!r}, B {result.cost_b!r}"
    if found is None:
        what = "difference" if at == "difference" else "interval"
        return f"{result.name}: there is no {what} that could be held to the limit {most:.6g} ({costs})"
    shown = f"{limit} of A's cost, {most:.6g}" if isinstance(limit, str) and limit.endswith("%") else f"{most:.6g}"
    what = "the difference of costs, B - A," if at == "difference" else f"the {at} end of the interval of B - A"
    return f"{result.name}: {what} is {found:.6g}, above the limit {shown} ({costs})"


def limit_of(limit, cost):
    """A limit as a number; in percent of A's cost."""
    percent = isinstance(limit, str) and limit.strip().endswith("%")
    try:
        number = math.nan if isinstance(limit, bool) else float(limit.strip()[:-1] if percent else limit)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f'a limit must be a number, or one in percent of the cost of A, as "0.5%"; got {limit!r}')
    return number if not percent or cost is None else number / 100 * abs(cost)


def compared(name, loss, sums, nan, confidence, weight_sum, bootstrap=None):
    """The Compared of a loss that is made of these Sums."""
    first, terms = sums[0], bool(loss.definition.terms)
    tallies = [one.a for one in sums], [one.b for one in sums]
    cost_a, cost_b = (cost_of(loss, mine, nan) for mine in tallies)
    there = cost_a is not None and cost_b is not None
    outer, error = loss.definition.outer, None
    difference = difference_of(outer, None if terms else first.means(), cost_a, cost_b) if there else None
    if there and not terms:
        error = first.standard_error(slope(outer, cost_a), slope(outer, cost_b))
    interval = None
    if error is not None:
        reach = NormalDist().inv_cdf(0.5 + confidence / 2) * error
        interval = difference - reach, difference + reach
    counts = first.counts
    signs = (None,) * 4 if terms else (
        *(counts[sign] for sign in ("better_a", "better_b", "equal")), sign_test(counts["better_a"], counts["better_b"])
    )  # fmt: skip
    return Compared(
        name, loss.spec, cost_a, cost_b, difference, error, interval, confidence, first.a.n, counts["nan"], counts["infinite"], weight_sum,
        *signs, bootstrap=bootstrap,
    )  # fmt: skip


@ieee
def difference_of(outer, means, cost_a, cost_b):
    """Cost of B - cost of A; of exact means that of what is taken of them."""
    if means is None or not (math.isfinite(cost_a) and math.isfinite(cost_b)):
        return cost_b - cost_a
    a, b = means
    if outer == "sqrt":
        total = exact_root(a) + exact_root(b)
        exact = (b - a) / total if total else Fraction(0)
    elif outer == "exp":
        return cost_a * math.expm1(float(b - a)) if abs(b - a) < 1 else cost_b - cost_a
    else:
        exact = b - a
    return quotient(exact.numerator, exact.denominator)


def exact_root(number):
    """The root of a fraction, to so many bits that what is made of it rounds as if it were exact."""
    shift = max(0, 2 * ROOT_BITS - number.numerator.bit_length() + number.denominator.bit_length())
    shift += shift % 2
    return Fraction(math.isqrt((number.numerator << shift) // number.denominator), 1 << (shift // 2))


def slope(outer, cost):
    """The derivative of a cost by the mean that it is made of. Of a root that is 0, whose losses are all 0: any will do."""
    if outer is None or not math.isfinite(cost):
        return 1.0
    return cost if outer == "exp" else 0.5 / cost if cost else 0.0
