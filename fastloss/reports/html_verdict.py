"""Which of two sets of predictions is better: from a Compared, which has a difference (B - A) and how sure that is."""

import math
from statistics import NormalDist

from fastloss.reports.html_page import number, percent

BETTER, WORSE, OPEN, SAME, UNSURE, NONE = "B is better", "A is better", "open", "the same", "no interval", "no difference"
FEW = 30  # pairs that differ, below which an interval by the normal distribution is rough


def bounds(result):
    """The interval of the difference: that of the bootstrap, if there was one; None where there is none of numbers."""
    found = result.at("low"), result.at("high")
    return found if None not in found and all(map(math.isfinite, found)) else None


def verdict(result):
    """BETTER or WORSE (that B is), where the interval has one side of 0 alone; OPEN, where it has both; SAME: no two losses differ;
    UNSURE: no interval tells; NONE: there is no difference that is a number."""
    if result.difference is None or not math.isfinite(result.difference):
        return NONE
    if result.better_a == result.better_b == 0:
        return SAME
    found = bounds(result)
    if found is None:
        return UNSURE
    return BETTER if found[1] < 0 else WORSE if found[0] > 0 else OPEN


def differing(result):
    """The predictions whose losses differ, or None where that was not counted."""
    return None if result.better_a is None else result.better_a + result.better_b


def few(result):
    """Whether an interval by the normal distribution is rough: it comes of less than FEW predictions that differ."""
    found = differing(result)
    return (result.n if found is None else found) < FEW


def relative(result):
    """(the difference, its interval or None) as shares of A's cost, or None where that has none."""
    cost, found = result.cost_a, bounds(result)
    if verdict(result) == NONE or not cost or not math.isfinite(cost):
        return None
    parts = [value / abs(cost) for value in (result.difference, *(found or ()))]
    return (parts[0], tuple(parts[1:]) or None) if all(map(math.isfinite, parts)) else None


def signed(value, digits=4):
    """A difference, with its sign."""
    return "+" * (value is not None and value > 0) + number(value, digits)


def signed_percent(share):
    return "+" * (share is not None and share > 0) + percent(share)


def clear(result, several):
    """BETTER or WORSE, where one of ``several`` results that were all looked at is so clearly (Bonferroni's method; of FEW pairs that
    differ, or more); else None."""
    error = result.standard_error
    if error is None or not math.isfinite(error) or verdict(result) in (NONE, SAME) or few(result):
        return None
    reach = NormalDist().inv_cdf(1 - (1 - result.confidence) / 2 / several) * error if result.confidence < 1 else math.inf
    return BETTER if result.difference < -reach else WORSE if result.difference > reach else None
